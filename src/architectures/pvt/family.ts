import { at, last } from '../../domain/lists';
import type { Grid } from '../../domain/size';
import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { norm, withValue, type Tokens } from '../blocks/layers';
import { gridOfLayout, sequence, tokensToMap } from '../blocks/maps';
import { resampled } from '../blocks/positions';
import { reducedBlocks, stagePatches } from '../blocks/reducedAttention';
import { learnedToken, tokenAt, withClassToken } from '../blocks/specialTokens';
import { throughStages, tokenStage, type TokenMaps } from '../blocks/stages';
import type { BuildOptions, Family, Found } from '../family';
import { numbersIn, stored } from '../evidence';
import {
  leastSide,
  patchesAt,
  pyramidShapes,
  reductionOf,
  stageSettings,
  type PyramidDefaults,
} from '../groups/pyramidConfig';
import { blockPath, blocksOf, inStage, patchesOf, pvtSizes, pyramidAssumable } from '../groups/pyramids';
import { tableOf } from '../groups/positionTable';
import { measureStages, stagedConfig, type SettledBy } from '../groups/stagedConfig';
import { answer } from '../heads/classifier';
import { imageSizeOf } from '../decide';
import { pvtNames } from './names';

const defaults: PyramidDefaults = { eps: { transformers: [1e-6, 1e-6] }, configuredEps: true };

function recognise(found: Found) {
  const measured = measureStages(found, blockPath, 'norm1.weight');
  const patches = measured && patchesAt(found.tensors, patchesOf, measured.depths.length);
  const layout = patches && tableOf(measured.sources, 'stages.0.pos_embed', patches.first);
  if (!layout) return undefined;
  const { sources, depths } = measured;
  const { kernels, first, channels } = patches;
  const [rows = 0, columns = 0] = numbersIn(layout.grid.value);
  const reduction = reductionOf(sources, blocksOf, depths.length);
  return stagedConfig(measured, {
    label: 'pvt',
    title: ['PVT', pvtSizes],
    head: 'head',
    stride: leastSide(kernels, reduction),
    image: imageSizeOf(sources, [rows * first[0], columns * first[1]]),
    shapes: {
      ...pyramidShapes(measured, blocksOf, defaults),
      patch: stored(kernels, 'patch_embed.proj.weight'),
      reduction,
      grid: { ...layout.grid, value: [rows, columns] as const },
      pool: stored('token', 'cls_token'),
      channels: stored(channels, 'patch_embed.proj.weight'),
    },
    warnings: layout.warnings,
  });
}

type PvtConfig = SettledBy<typeof recognise>;

/**
 * Adds the stage's position table, resampled bilinearly to the grid of the patches as the authors
 * do. If a class token joins, in the last stage, the table's first row is its own.
 */
function placed(b: GraphBuilder, patches: Tokens, native: Grid): Tokens {
  const joins = b.has('cls_token');
  const tokens = joins ? withClassToken(b, learnedToken(b, 'cls_token', patches.batch), patches) : patches;
  const table = b.parameter('pos_embed');
  const resized = (rows: ValueInfo): ValueInfo =>
    resampled(b, rows, native, gridOfLayout(patches.layout), 'bilinear');
  const positions = joins
    ? b.concat([b.slice(table, 1, 0, 1), resized(b.slice(table, 1, 1, at(table.shape, 1)))], 1)
    : resized(table);
  const sum = b.add('Add', [sequence(b, tokens), positions]);
  return withValue(tokens, b.reshape(sum, tokens.value.shape));
}

/** Grids of the stages' position tables: each as much smaller as the stage's patches are large. */
function gridsOf({ grid, patch }: PvtConfig): readonly Grid[] {
  const grids: Grid[] = [grid];
  for (const stride of patch.slice(1)) {
    const [rows, columns] = last(grids);
    grids.push([Math.floor(rows / stride), Math.floor(columns / stride)]);
  }
  return grids;
}

/** Stages of patches, a position table and blocks. */
function build(b: GraphBuilder, config: PvtConfig, { imageSize, batch }: BuildOptions): TokenMaps {
  const pixels = b.input('pixel_values', [batch, config.channels, ...imageSize]);
  const cut = { eps: config.sampling_eps };
  const grids = gridsOf(config);
  const first = stagePatches(b, pixels, patchesOf(0), cut);
  const ends = throughStages(first, config.depth.length, (before, stage) => {
    const patches = stage === 0 ? before : stagePatches(b, tokensToMap(b, before), patchesOf(stage), cut);
    return inStage(b, stage, () => {
      const tokens = placed(b, patches, at(grids, stage));
      return last(reducedBlocks(b, tokens, at(config.depth, stage), stageSettings(config, stage)));
    });
  });
  const final = last(ends);
  return {
    stages: ends.map((tokens) => tokenStage(tokens, imageSize)),
    tokens: withValue(final, norm(b, final.value, 'norm', config.eps)),
  };
}

/** Classifies the class token, which joined in the last stage. */
function head(b: GraphBuilder, { tokens }: TokenMaps): void {
  const all = sequence(b, tokens);
  answer(b, tokenAt(b, tokens, 0), all);
}

/**
 * Pyramid Vision Transformer (Wang et al. 2021): patches side by side, a position table per stage,
 * reduced keys.
 */
export const pvt: Family<PvtConfig, TokenMaps> = {
  name: 'pvt',
  title: 'Pyramid Vision Transformer',
  names: pvtNames,
  assumable: [...pyramidAssumable, 'grid'],
  recognise,
  build,
  head,
};
