import { answer } from '../heads/classifier';
import type { Grid } from '../../domain/size';
import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { norm, withValue, type Tokens } from '../blocks/layers';
import { gridOfLayout, sequence, tokensToMap } from '../blocks/maps';
import { resampled } from '../blocks/positions';
import { reducedBlocks, stagePatches } from '../blocks/reducedAttention';
import { learnedToken, tokenAt, withClassToken } from '../blocks/specialTokens';
import type { BuildOptions, Family, Found, Recognised } from '../family';
import { numberOf, numbersOf, pairOf, stored } from '../figures';
import { tableOf } from '../groups/positionTable';
import { leastSide, pyramidFigures, reductionOf, type PyramidDefaults } from '../groups/pyramidFigures';
import { blocksOf, kernelsOf, patchesOf, pvtSizes, pyramidAssumable, stageFigures } from '../groups/pyramids';
import { sizeTitle } from '../sizes';
import { imageSizeOf, recognisedFrom, sourcesOf } from '../sources';
import { pvtNames } from './names';

const defaults: PyramidDefaults = {
  eps: { pvt: [1e-6, 1e-5], transformers: [1e-6, 1e-6] },
  configuredEps: true,
};

function recognise(evidences: Found): Recognised | undefined {
  const sources = sourcesOf(evidences);
  const found = pyramidFigures(sources, blocksOf, defaults);
  const patch = evidences.tensors.get('patch_embed.proj.weight')?.shape;
  const layout =
    patch?.length === 4 ? tableOf(sources, 'stages.0.pos_embed', [patch[2]!, patch[3]!]) : undefined;
  if (!found || !patch || !layout) return undefined;
  const stages = numbersOf(found, 'depth').length;
  const strides = kernelsOf(evidences.tensors, stages);
  const reduction = reductionOf(sources, blocksOf, stages);
  const least = leastSide(strides, reduction);
  const [rows, columns] = layout.grid.value as readonly [number, number];
  const { imageSize, figure } = imageSizeOf(sources, [rows * patch[2]!, columns * patch[3]!]);
  return recognisedFrom(sources, {
    label: 'pvt',
    title: sizeTitle('PVT', pvtSizes, numbersOf(found, 'depth'), numbersOf(found, 'dim')),
    evidence: {
      ...found,
      patch: stored(strides, 'patch_embed.proj.weight'),
      reduction,
      grid: layout.grid,
      pool: stored('token', 'cls_token'),
      channels: stored(patch[1]!, 'patch_embed.proj.weight'),
      image_size: figure,
    },
    imageSize,
    sizeStep: [least, least],
    pixels: 'imagenet',
    warnings: layout.warnings,
  });
}

/**
 * Adds the stage's position table, resampled bilinearly to the grid of the patches as the authors do. Where a class token joins, in the last
 * stage, the table's first row is its own.
 */
function placed(b: GraphBuilder, patches: Tokens, native: Grid): Tokens {
  const joins = b.has('cls_token');
  const tokens = joins ? withClassToken(b, learnedToken(b, 'cls_token', patches.batch), patches) : patches;
  const table = b.parameter('pos_embed');
  const resized = (rows: ValueInfo): ValueInfo =>
    resampled(b, rows, native, gridOfLayout(patches.layout), 'bilinear');
  const positions = joins
    ? b.concat([b.slice(table, 1, 0, 1), resized(b.slice(table, 1, 1, table.shape[1]!))], 1)
    : resized(table);
  const sum = b.add('Add', [sequence(b, tokens), positions]);
  return withValue(tokens, b.reshape(sum, tokens.value.shape));
}

/** Stages of patches, a position table and blocks; the class token of the last stage is classified. */
function build(b: GraphBuilder, { evidence: figures }: Recognised, { imageSize, batch }: BuildOptions): void {
  const pixels = b.input('pixel_values', [batch, numberOf(figures, 'channels'), ...imageSize]);
  const strides = numbersOf(figures, 'patch');
  let native: Grid = pairOf(figures, 'grid');
  let tokens: Tokens | undefined;
  for (const [stage, depth] of numbersOf(figures, 'depth').entries()) {
    const settings = stageFigures(figures, stage);
    if (stage > 0)
      native = [Math.floor(native[0] / strides[stage]!), Math.floor(native[1] / strides[stage]!)];
    const map = tokens ? tokensToMap(b, tokens) : pixels;
    const patches = stagePatches(b, map, patchesOf(stage), { overlap: false, eps: settings.samplingEps });
    tokens = b.scope(`stages.${stage}`, () => reducedBlocks(b, placed(b, patches, native), depth, settings), {
      title: `Stage ${stage + 1}`,
    });
  }
  const last = withValue(tokens!, norm(b, tokens!.value, 'norm', numberOf(figures, 'eps')));
  const all = sequence(b, last);
  answer(b, tokenAt(b, last, 0), all);
}

/** Pyramid Vision Transformer (Wang et al. 2021): patches side by side, a position table per stage, reduced keys. */
export const pvt: Family<Recognised, void> = {
  name: 'pvt',
  title: 'Pyramid Vision Transformer',
  names: pvtNames,
  assumable: [...pyramidAssumable, 'grid'],
  recognise,
  build,
};
