import type { Grid, Size } from '../../domain/size';
import { at } from '../../domain/lists';
import { bothSides } from '../../domain/probes';
import { elementCount } from '../../checkpoint/tensors';
import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { withValue, type Tokens } from '../blocks/layers';
import { gridOfLayout, mapToTokens } from '../blocks/maps';
import { resampled, type ResamplingName } from '../blocks/positions';
import { configuredImageSize } from '../config';
import type { BuildOptions, Evidence } from '../family';
import { assumed, given, pairIn, stored } from '../evidence';
import { imageSizeOf, publishedSizes, sideOf, type Sources } from '../decide';
import { tableLayout, type TableLayout } from './tableLayout';

/** How timm resamples position tables (layers/pos_embed.py, resample_abs_pos_embed). */
export const timmResampling: ResamplingName = 'bicubic, antialias';

/** What follows from a learned table of absolute positions. */
export interface PositionTable {
  readonly imageSize: Size;
  /** `image_size`, and of the table `grid` (rows and columns it was made for) and `resampling`. */
  readonly evidence: {
    readonly image_size: Evidence;
    readonly grid?: Evidence<Grid>;
    readonly resampling?: Evidence<ResamplingName>;
  };
  readonly warnings: readonly string[];
}

/** The grid that the user typed in. Throws if it does not hold as many positions as the table. */
function givenGrid({ found }: Sources, name: string, positions: number): Grid | undefined {
  const evidence = given(found, 'grid');
  if (!evidence) return undefined;
  const [rows, columns] = pairIn(evidence.value, 'grid');
  if (rows * columns === positions) return [rows, columns];
  throw new Error(`grid: ${rows} × ${columns} found; ${name} holds ${positions} positions of patches`);
}

/**
 * How the table `name` `[1, positions, dim]` lies over the grid after its first `special` rows: the
 * user's grid or the image size of config.json, a published model or the user decides if it fits,
 * else the square. `step`: pixels per position. Undefined if there is no table.
 */
export function tableOf(sources: Sources, name: string, step: Size, special = 0): TableLayout | undefined {
  const { tensors, checkpoint, imageSize } = sources.found;
  if (!tensors.has(name)) return undefined;
  const positions = sideOf(tensors, name, -2) - special;
  const grid = givenGrid(sources, name, positions);
  const config = configuredImageSize(checkpoint);
  const sizes = [
    ...(config ? [config] : []),
    ...publishedSizes(sources).map(({ size, model }) => ({ size, source: `the image size of ${model}` })),
    ...(imageSize ? [{ size: imageSize, source: 'the image size given by the user' }] : []),
  ];
  const known = sizes.map(({ size, source }) => ({
    grid: [Math.floor(size[0] / step[0]), Math.floor(size[1] / step[1])] as const,
    source,
  }));
  return tableLayout(
    { positions, classToken: false, distillationToken: false, registers: 0 },
    grid ? [{ grid, source: 'the grid given by the user' }] : known,
  );
}

/**
 * Image size and hyper-parameters of a model with the table `pos_embed` of patches; if nobody
 * states another, the image is as large as the table.
 */
export function positionsOf(sources: Sources, step: Size): PositionTable | undefined {
  const layout = tableOf(sources, 'pos_embed', step);
  if (!layout) return undefined;
  const [rows, columns] = layout.grid.value;
  const { imageSize, evidence: sized } = imageSizeOf(sources, [rows * step[0], columns * step[1]]);
  const told = layout.grid.assumed
    ? assumed(sized.value, 'the position table')
    : stored(sized.value, 'the position table');
  return {
    imageSize,
    evidence: {
      image_size: sized.assumed ? told : sized,
      grid: layout.grid,
      resampling: stored<ResamplingName>(
        timmResampling,
        'as timm does to plain transformers; it builds this one for one size',
      ),
    },
    warnings: layout.warnings,
  };
}

/** What the table `pos_embed` is read by. Both are there if the table is. */
export interface PlacedBy {
  /** Rows and columns that it was made for. */
  readonly grid?: Grid | undefined;
  readonly resampling?: ResamplingName | undefined;
}

/**
 * Patches plus their rows of the table `pos_embed`, the last ones if there are rows of special
 * tokens before them; resampled if the image has another grid than the table was made for.
 */
export function placed(b: GraphBuilder, patches: Tokens, { grid, resampling }: PlacedBy): ValueInfo {
  if (!grid || !resampling) throw new Error('pos_embed: the grid that it was made for is needed');
  const { batch, count, layout } = patches;
  const dim = at(patches.value.shape, 1);
  const positions = elementCount(b.shapeOf('pos_embed')) / dim;
  const table = b.parameter('pos_embed', [1, positions, dim]);
  const special = positions - grid[0] * grid[1];
  const own = special === 0 ? table : b.slice(table, 1, special, positions);
  const rows = resampled(b, own, grid, gridOfLayout(layout), resampling);
  const sum = b.add('Add', [b.reshape(patches.value, [batch, count, dim]), rows]);
  return b.reshape(sum, [batch * count, dim]);
}

/** What a patch embedding reads beside its parameters. */
export interface PatchConfig extends PlacedBy {
  readonly channels: number;
  /** Pixels of a patch. */
  readonly patch: number | Size;
}

/**
 * Patches of the pixels side by side (Dosovitskiy et al. 2021, eq. 1) plus the table `pos_embed`,
 * if there is one: `[batch · count, dim]`.
 */
export function embedPatches(
  b: GraphBuilder,
  config: PatchConfig,
  { imageSize, batch }: BuildOptions,
): Tokens {
  const pixels = b.input('pixel_values', [batch, config.channels, ...imageSize]);
  const stride = bothSides(config.patch);
  const map = b.scope('patch_embed', () => b.conv2d(pixels, 'proj', { stride }), {
    title: 'Patch embedding',
  });
  const patches = mapToTokens(b, map);
  return b.has('pos_embed') ? withValue(patches, placed(b, patches, config)) : patches;
}
