import { at, last } from '../../domain/lists';
import type { GraphBuilder } from '../../graph/builder';
import { norm, withValue } from '../blocks/layers';
import { meanOfMap, tokensToMap } from '../blocks/maps';
import { reducedBlocks, stagePatches } from '../blocks/reducedAttention';
import { mapStage, throughStages, type ImageMaps } from '../blocks/stages';
import { decide, type Sources } from '../decide';
import type { BuildOptions, Evidence, Found, Recognised } from '../family';
import { numbersIn, stored } from '../evidence';
import { answer } from '../heads/classifier';
import { sizeTitle, type Sizes } from '../sizes';
import {
  leastSide,
  patchesAt,
  pyramidShapes,
  reductionOf,
  stageSettings,
  type PyramidConfig,
  type PyramidDefaults,
} from './pyramidConfig';
import { measureStages, stagedConfig } from './stagedConfig';

/** Pattern of the path of a block, and the path of a stage's list of blocks. */
export const blockPath = 'stages.*.blocks.*';
export const blocksOf = (stage: number): string => `stages.${stage}.blocks`;

/** Path of a stage's patch embedding: the first stands before the stages. */
export const patchesOf = (stage: number): string =>
  stage === 0 ? 'patch_embed' : `stages.${stage}.downsample`;

/** Hyper-parameters that the user may set. */
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

/** What sets two families with the same blocks apart. */
interface PyramidVariant {
  readonly label: string;
  readonly title: string;
  readonly sizes: Sizes;
  readonly defaults: PyramidDefaults;
}

/** A pyramid whose patches overlap: `strides` are smaller than their kernels. */
export interface OverlappingConfig extends PyramidConfig {
  readonly strides: readonly number[];
}

/** Strides of the patches: half of their kernels if nobody says another (PVT v2, §3.2). */
function stridesOf(sources: Sources, kernels: readonly number[]): Evidence<readonly number[]> {
  return decide<readonly number[]>(sources, 'strides', {
    config: ['strides'],
    otherwise: stored<readonly number[]>(
      kernels.map((kernel) => (kernel + 1) >> 1),
      'half of the kernels, as published',
    ),
    is: (value) =>
      numbersIn(value).length === kernels.length &&
      numbersIn(value).every(
        (each, stage) => Number.isInteger(each) && each > 0 && each <= at(kernels, stage),
      ),
    needed: `for each of the kernels ${kernels.join(', ')} a stride that is no larger`,
  });
}

/**
 * A pyramid of overlapping patches whose stages end in a norm; undefined if it is another network.
 */
export function recognisePyramid(
  found: Found,
  { label, title, sizes, defaults }: PyramidVariant,
): Recognised<OverlappingConfig> | undefined {
  const measured = measureStages(found, blockPath, 'norm1.weight');
  const patches = measured && patchesAt(found.tensors, patchesOf, measured.depths.length);
  if (!patches) return undefined;
  const { sources, depths } = measured;
  const reduction = reductionOf(sources, blocksOf, depths.length);
  const linear = typeof reduction.value === 'string' ? '-Li' : '';
  const strides = stridesOf(sources, patches.kernels);
  return stagedConfig(measured, {
    label,
    title: sizeTitle(title, sizes, depths, measured.dims) + linear,
    head: 'head',
    stride: leastSide(strides.value, reduction),
    shapes: {
      ...pyramidShapes(measured, blocksOf, defaults),
      patch: stored(patches.kernels, 'patch_embed.proj.weight'),
      strides,
      reduction,
      pool: stored('avg', 'the mean over the last map'),
      channels: stored(patches.channels, 'patch_embed.proj.weight'),
    },
  });
}

/** Writes inside of the module of a stage. */
export const inStage = <T>(b: GraphBuilder, stage: number, write: () => T): T =>
  b.scope(`stages.${stage}`, write, { title: `Stage ${stage + 1}` });

/** Stages of overlapping patches, blocks and a norm. */
export function buildPyramid(
  b: GraphBuilder,
  config: OverlappingConfig,
  { imageSize, batch }: BuildOptions,
): ImageMaps {
  const pixels = b.input('pixel_values', [batch, config.channels, ...imageSize]);
  const maps = throughStages(pixels, config.depth.length, (map, stage) => {
    const settings = stageSettings(config, stage);
    const patches = stagePatches(b, map, patchesOf(stage), {
      stride: at(config.strides, stage),
      eps: settings.samplingEps,
    });
    return inStage(b, stage, () => {
      const tokens = last(reducedBlocks(b, patches, at(config.depth, stage), settings));
      return tokensToMap(b, withValue(tokens, norm(b, tokens.value, 'norm', settings.eps)));
    });
  });
  return { stages: maps.map((map) => mapStage(map, imageSize)), map: last(maps) };
}

/** Classifies the pooled last map. */
export const pyramidHead = (b: GraphBuilder, { map }: ImageMaps): void => answer(b, meanOfMap(b, map), map);
