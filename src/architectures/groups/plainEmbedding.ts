import { at } from '../../domain/lists';
import { tokenCount } from '../../domain/probes';
import type { Grid, Size } from '../../domain/size';
import { ParameterError, type GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { maybeNorm, withValue, type Tokens } from '../blocks/layers';
import { resampled, type ResamplingName } from '../blocks/positions';
import { patchEmbedding } from '../blocks/transformer';
import type { BuildOptions } from '../family';
import { room } from '../../graph/limits';

/** How special tokens and the table of absolute positions go with the patches. */
export interface PlacingConfig {
  readonly eps: number;
  /** Leading rows of the position table that belong to special tokens. */
  readonly position_slots: number;
  /** Grid that the table was made for, and how it is made for another; absent without a table. */
  readonly grid?: Grid;
  readonly resampling?: ResamplingName;
}

/** What pixels become tokens by. */
export interface EmbeddingConfig extends PlacingConfig {
  readonly channels: number;
  readonly patch: Size;
  /** Zeros on each side of the image. */
  readonly padding?: number;
  /** Positions are sines and cosines of the place, and no table is stored. */
  readonly sincos?: boolean;
}

/** Patches `[batch, rows · columns, dim]` and the grid on which they lie. */
export type Patches = ReturnType<typeof patchEmbedding>;

/** Parameters of the tokens before the patches, `[1, n, dim]` each, in order. */
const specialNames = ['cls_token', 'dist_token', 'reg_token'] as const;

/** Number of tokens that a parameter holds; 0 if it is not stored. */
const tokensIn = (b: GraphBuilder, name: string): number => (b.has(name) ? (b.shapeOf(name).at(-2) ?? 1) : 0);

/** Names of the tokens before the patches, in order. */
function specialTokens(b: GraphBuilder): readonly string[] {
  const registers = Array.from({ length: tokensIn(b, 'reg_token') }, (_, index) => `reg${index}`);
  return [...(b.has('cls_token') ? ['cls'] : []), ...(b.has('dist_token') ? ['dist'] : []), ...registers];
}

/**
 * Special tokens `[batch, n, dim]`, the first `slots` of them with the first rows of the position
 * table added; undefined if there are none.
 */
function specials(b: GraphBuilder, slots: number, batch: number, dim: number): ValueInfo | undefined {
  const names = specialNames.filter((name) => b.has(name));
  if (names.length === 0) return undefined;
  const row = b.concat(
    names.map((name) => b.parameter(name, [1, tokensIn(b, name), dim])),
    1,
  );
  const count = at(row.shape, 1);
  const placed = slots === 0 ? row : withPositions(b, row, slots);
  return batch === 1 ? placed : b.add('Expand', [placed, b.indices([batch, count, dim])]);
}

function withPositions(b: GraphBuilder, row: ValueInfo, slots: number): ValueInfo {
  const count = at(row.shape, 1);
  const table = b.slice(b.parameter('pos_embed'), 1, 0, slots);
  const head = b.add('Add', [slots === count ? row : b.slice(row, 1, 0, slots), table]);
  return slots === count ? head : b.concat([head, b.slice(row, 1, slots, count)], 1);
}

/**
 * Patches with their rows of the position table, resampled if the image has another grid than the
 * table was made for.
 */
function placedPatches(
  b: GraphBuilder,
  { patches, grid }: Patches,
  { position_slots: slots, grid: native, resampling }: PlacingConfig,
): ValueInfo {
  if (!b.has('pos_embed') || !native || !resampling) return patches;
  const whole = b.parameter('pos_embed');
  const rows = slots === 0 ? whole : b.slice(whole, 1, slots, at(whole.shape, 1));
  const placed = b.add('Add', [patches, resampled(b, rows, native, grid, resampling)]);
  return b.has('pos_shared') ? b.add('Add', [placed, b.parameter('pos_shared')]) : placed;
}

/**
 * Sines and cosines of the columns, then of the rows, of a grid, `[1, rows · columns, dim]` (Beyer
 * et al. 2022, "Better plain ViT baselines for ImageNet-1k"): a place times
 * 10000^(-k / (dim/4 - 1)) for k from 0. Throws if the width has no quarters.
 */
function sineTable(b: GraphBuilder, [rows, columns]: Grid, dim: number): ValueInfo {
  const quarter = dim / 4;
  if (!Number.isInteger(quarter) || quarter < 2)
    throw new ParameterError(
      'patch_embed.proj.weight',
      `${dim} wide; sines and cosines need a multiple of 4`,
    );
  const table = new Float32Array(room(rows * columns * dim));
  for (let place = 0; place < rows * columns; place++)
    for (let k = 0; k < quarter; k++) {
      const slow = 10000 ** (k / (quarter - 1));
      const [across, down] = [(place % columns) / slow, Math.floor(place / columns) / slow];
      const values = [Math.sin(across), Math.cos(across), Math.sin(down), Math.cos(down)];
      for (const [part, value] of values.entries()) table[place * dim + part * quarter + k] = value;
    }
  return b.constant('/positions', 'F32', [1, rows * columns, dim], table);
}

/**
 * Pixels `[batch, channels, height, width]` to the token sequence (Dosovitskiy et al. 2021, eq. 1),
 * registers after the class token (Darcet et al. 2023); without a position table nothing is added.
 */
export function embed(b: GraphBuilder, config: EmbeddingConfig, { imageSize, batch }: BuildOptions): Tokens {
  const pixels = b.input('pixel_values', [batch, config.channels, ...imageSize]);
  const cut = b.scope(
    'patch_embed',
    () => {
      const { patches, grid } = patchEmbedding(b, pixels, config.patch, config);
      const normed = maybeNorm(b, patches, 'norm', config.eps);
      const dim = at(normed.shape, 2);
      return { patches: config.sincos ? b.add('Add', [normed, sineTable(b, grid, dim)]) : normed, grid };
    },
    { title: 'Patch embedding' },
  );
  return placedTokens(b, cut, config, batch);
}

/**
 * Patches that have their positions behind the special tokens, of which the first `slots` have rows
 * of the position table.
 */
export function behindSpecials(
  b: GraphBuilder,
  { patches, grid }: Patches,
  slots: number,
  batch: number,
): Tokens {
  const dim = at(patches.shape, 2);
  const special = specials(b, slots, batch, dim);
  const layout = { special: specialTokens(b), grid };
  const count = tokenCount(layout);
  const value = b.reshape(special ? b.concat([special, patches], 1) : patches, [batch * count, dim]);
  return { value, batch, count, layout };
}

/** Patches of a grid behind the special tokens, all with their positions. */
export function placedTokens(b: GraphBuilder, cut: Patches, config: PlacingConfig, batch: number): Tokens {
  const placed = { ...cut, patches: placedPatches(b, cut, config) };
  const tokens = behindSpecials(b, placed, config.position_slots, batch);
  return withValue(tokens, maybeNorm(b, tokens.value, 'norm_pre', config.eps));
}
