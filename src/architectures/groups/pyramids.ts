import { answer } from '../heads/classifier';
import type { GraphBuilder } from '../../graph/builder';
import { norm, withValue } from '../blocks/layers';
import { meanOfMap, tokensToMap } from '../blocks/maps';
import { reducedBlocks, type ReducedFigures, stagePatches } from '../blocks/reducedAttention';
import type { BuildOptions, Found, EvidenceRecord, Recognised } from '../family';
import { numberOf, numbersOf, stored, wordOf } from '../figures';
import { sizeTitle, type Sizes } from '../sizes';
import { imageSizeOf, recognisedFrom, sourcesOf } from '../sources';
import { leastSide, type PyramidDefaults, pyramidFigures, reductionOf } from './pyramidFigures';

/** Path of a stage's list of blocks. */
export const blocksOf = (stage: number): string => `stages.${stage}.blocks`;

/** Path of a stage's patch embedding: the first stands before the stages. */
export const patchesOf = (stage: number): string =>
  stage === 0 ? 'patch_embed' : `stages.${stage}.downsample`;
/** Sides of the kernels with which the stages cut patches. */
export const kernelsOf = (tensors: Found['tensors'], stages: number): readonly number[] =>
  Array.from({ length: stages }, (_, stage) => tensors.get(`${patchesOf(stage)}.proj.weight`)?.shape[2] ?? 1);
/** Figures that the user may set. */
export const pyramidAssumable = ['heads', 'activation', 'eps', 'sampling_eps'] as const;

/** Sizes of Wang et al. 2021 (PVT, table 1). */
export const pvtSizes: Sizes = {
  '2,2,2,2 64': 'Tiny',
  '3,4,6,3 64': 'Small',
  '3,4,18,3 64': 'Medium',
  '3,8,27,3 64': 'Large',
};

/** The sizes that PVT v2 and the Mix Transformer of SegFormer have in common. */
export const pyramidSizes: Sizes = {
  '2,2,2,2 32': 'B0',
  '2,2,2,2 64': 'B1',
  '3,4,6,3 64': 'B2',
  '3,4,18,3 64': 'B3',
  '3,8,27,3 64': 'B4',
  '3,6,40,3 64': 'B5',
};

/** Figures of all blocks of a stage. */
export function stageFigures(figures: EvidenceRecord, stage: number): ReducedFigures {
  return {
    heads: numbersOf(figures, 'heads')[stage]!,
    activation: wordOf(figures, 'activation'),
    eps: numberOf(figures, 'eps'),
    samplingEps: numberOf(figures, 'sampling_eps'),
  };
}

/** What tells two families with the same blocks apart. */
interface PyramidVariant {
  readonly label: string;
  readonly title: string;
  readonly sizes: Sizes;
  readonly defaults: PyramidDefaults;
}

/** A pyramid of overlapping patches whose stages end in a norm; undefined where it is another network. */
export function recognisePyramid(
  evidences: Found,
  { label, title, sizes, defaults }: PyramidVariant,
): Recognised | undefined {
  const sources = sourcesOf(evidences);
  const found = pyramidFigures(sources, blocksOf, defaults);
  const patch = evidences.tensors.get('patch_embed.proj.weight')?.shape;
  if (!found || patch?.length !== 4) return undefined;
  const depths = numbersOf(found, 'depth');
  const stages = depths.length;
  const reduction = reductionOf(sources, blocksOf, stages);
  const linear = typeof reduction.value === 'string' ? '-Li' : '';
  const kernels = kernelsOf(evidences.tensors, stages);
  const least = leastSide(
    kernels.map((kernel) => (kernel + 1) >> 1),
    reduction,
  );
  const { imageSize, figure } = imageSizeOf(sources);
  return recognisedFrom(sources, {
    label,
    title: sizeTitle(title, sizes, depths, numbersOf(found, 'dim')) + linear,
    evidence: {
      ...found,
      patch: stored(kernels, 'patch_embed.proj.weight'),
      reduction,
      pool: stored('avg', 'the mean over the last map'),
      channels: stored(patch[1]!, 'patch_embed.proj.weight'),
      image_size: figure,
    },
    imageSize,
    sizeStep: [least, least],
    pixels: 'imagenet',
  });
}

/** Stages of overlapping patches, blocks and a norm; the pooled last map is classified. */
export function buildPyramid(
  b: GraphBuilder,
  { evidence: figures }: Recognised,
  { imageSize, batch }: BuildOptions,
): void {
  let map = b.input('pixel_values', [batch, numberOf(figures, 'channels'), ...imageSize]);
  for (const [stage, depth] of numbersOf(figures, 'depth').entries()) {
    const settings = stageFigures(figures, stage);
    const patches = stagePatches(b, map, patchesOf(stage), { overlap: true, eps: settings.samplingEps });
    map = b.scope(
      `stages.${stage}`,
      () => {
        const tokens = reducedBlocks(b, patches, depth, settings);
        return tokensToMap(b, withValue(tokens, norm(b, tokens.value, 'norm', settings.eps)));
      },
      { title: `Stage ${stage + 1}` },
    );
  }
  answer(b, meanOfMap(b, map), map);
}
