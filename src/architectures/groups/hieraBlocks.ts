import { at, last, sum } from '../../domain/lists';
import type { Grid, Size } from '../../domain/size';
import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import type { Probe } from '../../domain/probes';
import { averagePool, convolution, maxPool } from '../blocks/convolution';
import { layerScale, maybeNorm, norm, residual, withValue, type Tokens } from '../blocks/layers';
import { gridOfLayout, mapToTokens, meanOfTokens, tokensToMap } from '../blocks/maps';
import { resampled, type ResamplingName } from '../blocks/positions';
import { stages, tokenStage, type Place, type TokenMaps } from '../blocks/stages';
import { mergeHeads, mlp, queryKeyValue, splitHeads } from '../blocks/transformer';
import {
  windowGrid,
  windowPartition,
  windowProbe,
  windowReverse,
  windowsOf,
  type Windows,
} from '../blocks/windows';
import type { BuildOptions } from '../family';
import { answer } from '../heads/classifier';
import type { HieraConfig } from './hieraConfig';
import { quantity } from '../../domain/units';

/** Factor by which the first block of a stage pools queries and shortcut. */
const queryPool = 2;

/** One block and its place. */
export interface HieraBlock extends Place {
  /** Its number among the blocks of all stages. */
  readonly block: number;
  /** The first of a stage but the first pools, and widens. */
  readonly pools: boolean;
}

/** Overlapping patches `[batch · count, dim]` of the pixels. */
export function hieraPatches(
  b: GraphBuilder,
  { channels, patchStride }: HieraConfig,
  { imageSize, batch, uncovered }: BuildOptions,
): Tokens {
  const pixels = b.input('pixel_values', [batch, channels, ...imageSize]);
  const seen = uncovered?.(b, pixels) ?? pixels;
  const map = b.scope('patch_embed', () => convolution(b, seen, 'proj', { stride: patchStride }), {
    title: 'Overlapping patch embedding',
  });
  return mapToTokens(b, map);
}

/** A table as a map `[1, dim, rows, columns]` as rows `[1, rows · columns, dim]`. */
function rowsOfMap(b: GraphBuilder, map: ValueInfo): ValueInfo {
  const [, dim, rows, columns] = map.shape as readonly [number, number, number, number];
  return b.reshape(b.transpose(map, [0, 2, 3, 1]), [1, rows * columns, dim]);
}

/**
 * Absolute window positions (Bolya et al. 2023, "Window Attention is Bugged", §3): a small map
 * resized to the grid, plus a window's table repeated over it. `[1, rows · columns, dim]`
 */
export function windowedPositions(
  b: GraphBuilder,
  window: string,
  grid: Grid,
  name: ResamplingName,
): ValueInfo {
  const [, , rows, columns] = b.shapeOf('pos_embed') as readonly [number, number, number, number];
  const whole = resampled(b, rowsOfMap(b, b.parameter('pos_embed')), [rows, columns], grid, name);
  const tile = b.parameter(window);
  const [, , down = 1, right = 1] = tile.shape;
  const repeats = [1, 1, grid[0] / down, grid[1] / right];
  return b.add('Add', [whole, rowsOfMap(b, b.add('Tile', [tile, b.indices(repeats)]))]);
}

/** Tokens plus a table `[1, count, dim]`. */
export function withPositions(b: GraphBuilder, tokens: Tokens, table: ValueInfo): Tokens {
  const { batch, count, value } = tokens;
  const added = b.add('Add', [b.reshape(value, [batch, count, at(value.shape, 1)]), table]);
  return withValue(tokens, b.reshape(added, value.shape));
}

/** The greatest, or the mean, of each 2 × 2 tokens. */
function pooledTokens(b: GraphBuilder, tokens: Tokens, pool = maxPool): Tokens {
  return mapToTokens(b, pool(b, tokensToMap(b, tokens), { kernel: queryPool }));
}

interface HieraSettings {
  readonly heads: number;
  readonly eps: number;
  readonly activation: string;
  readonly pools: boolean;
  /** Windows of the map before it is pooled; undefined if the whole map is seen. */
  readonly windows: Windows | undefined;
  /** The map has some mask units alone, one below the other: none has a place on the image. */
  readonly isScattered: boolean;
}

const smaller = ([rows, columns]: Grid): Grid => [
  Math.floor(rows / queryPool),
  Math.floor(columns / queryPool),
];

/** Tokens of units that lie anywhere: a unit's where each attends within itself, else all. */
function scatteredProbe(
  map: Grid,
  { windows, pools }: Pick<HieraSettings, 'windows' | 'pools'>,
  layer: string,
): Omit<Probe, 'value' | 'heads'> {
  const tokens = (grid: Grid): Probe['queries'] => ({ special: [], sequence: grid[0] * grid[1] });
  const inside = windows?.size ?? map;
  const record = { layer, queries: tokens(pools ? smaller(inside) : inside), keys: tokens(inside) };
  return windows
    ? { ...record, kind: 'window', window: { units: windowGrid(windows) } }
    : { ...record, kind: 'self' };
}

/**
 * Where queries, perhaps pooled, and keys lie. Windows without padding are units of both maps,
 * whatever those are pooled to.
 */
function probeOf(
  map: Grid,
  { windows, pools, isScattered }: HieraSettings,
  layer: string,
): Omit<Probe, 'value' | 'heads'> {
  if (isScattered) return scatteredProbe(map, { windows, pools }, layer);
  const queries = (grid: Grid): Probe['queries'] => ({ special: [], grid: pools ? smaller(grid) : grid });
  if (!windows) return { layer, kind: 'self', queries: queries(map), keys: { special: [], grid: map } };
  if (windows.padded.join() !== windows.map.join())
    return { ...windowProbe(windows, layer), queries: queries(windows.size) };
  const window = { units: windowGrid(windows) };
  return { layer, kind: 'window', queries: queries(map), keys: { special: [], grid: map }, window };
}

/**
 * Attention in windows or over the map (Ryali et al. 2023, Hiera, §3), by queries that the first
 * block of a stage pools.
 */
function hieraAttention(b: GraphBuilder, tokens: Tokens, layer: string, settings: HieraSettings): Tokens {
  const { heads, windows, pools } = settings;
  const map = gridOfLayout(tokens.layout);
  const inside = windows ? windowPartition(b, tokens, windows) : tokens;
  const mixed = b.scope(
    'attn',
    () => {
      const [query, key, value] = queryKeyValue(b, inside.value);
      const asked = pools ? pooledTokens(b, withValue(inside, query)) : withValue(inside, query);
      const split = (x: ValueInfo): ValueInfo => splitHeads(b, x, inside.batch, heads);
      const out = b.attention(split(asked.value), split(key), split(value), {
        probe: probeOf(map, settings, layer),
      });
      return withValue(asked, b.linear(mergeHeads(b, out), 'proj'));
    },
    {
      title: `${windows ? 'Window' : 'Self'}-attention, ${quantity(heads, 'head')}`,
      formula: 'softmax(pool(Q)·Kᵀ/√d)·V',
    },
  );
  if (!windows) return mixed;
  return windowReverse(b, mixed, pools ? windowsOf(smaller(map), smaller(windows.size)) : windows);
}

/**
 * What a block that widens adds its attention to: a projection of the normalised tokens, pooled,
 * or, if there is none, maxima beside means.
 */
function shortcut(b: GraphBuilder, tokens: Tokens, normed: Tokens, pools: boolean): ValueInfo {
  if (!pools) return tokens.value;
  if (b.has('proj.weight')) return pooledTokens(b, withValue(normed, b.linear(normed.value, 'proj'))).value;
  return b.concat([pooledTokens(b, tokens).value, pooledTokens(b, tokens, averagePool).value], 1);
}

/** x + ls1(attention(norm1(x))), then x + ls2(mlp(norm2(x))), in the current scope. */
function hieraBlock(b: GraphBuilder, tokens: Tokens, settings: HieraSettings): Tokens {
  const { eps, pools } = settings;
  const normed = withValue(tokens, norm(b, tokens.value, 'norm1', eps));
  const attended = hieraAttention(b, normed, b.scopePath, settings);
  const x = residual(b, shortcut(b, tokens, normed, pools), layerScale(b, attended.value, 'ls1'));
  const fed = mlp(b, norm(b, x, 'norm2', eps), 'mlp', settings);
  return withValue(attended, residual(b, x, layerScale(b, fed, 'ls2')));
}

/**
 * Writes all blocks, under the names that the file has: `blocks.4`, or `stages.2.blocks.1` if they
 * are counted in each stage. `windowsFor` gives a block's windows by the map that it reads;
 * `isScattered` is a map of some mask units alone. Returns what each stage ends with.
 */
export function hieraEncoder(
  b: GraphBuilder,
  tokens: Tokens,
  { depth, heads, eps, activation }: HieraConfig,
  windowsFor: (block: HieraBlock, map: Grid) => Windows | undefined,
  isScattered = false,
): readonly Tokens[] {
  const counted = b.has('stages.0.blocks.0.attn.qkv.weight');
  const numberOf = ({ stage, index }: Place): number => sum(depth.slice(0, stage)) + index;
  return stages(b, tokens, {
    depths: depth,
    path: (place) => (counted ? `stages.${place.stage}.blocks.${place.index}` : `blocks.${numberOf(place)}`),
    note: { title: 'Hiera block' },
    block: (x, place) => {
      const pools = place.stage > 0 && place.index === 0;
      const windows = windowsFor({ ...place, block: numberOf(place), pools }, gridOfLayout(x.layout));
      const settings = { heads: at(heads, place.stage), eps, activation, pools, windows, isScattered };
      return hieraBlock(b, x, settings);
    },
  });
}

/** What the stages hand to a head. */
export const hieraMaps = (ends: readonly Tokens[], imageSize: Size): TokenMaps => ({
  stages: ends.map((end) => tokenStage(end, imageSize)),
  tokens: last(ends),
});

/**
 * Answers with the mean of the last map, its norm and the classifier; `all` writes how the model
 * hands on its tokens.
 */
export function hieraAnswer(
  b: GraphBuilder,
  tokens: Tokens,
  all: (b: GraphBuilder, tokens: Tokens) => ValueInfo,
  eps: number,
): void {
  const sequence = all(b, tokens);
  answer(b, maybeNorm(b, meanOfTokens(b, tokens), 'head.norm', eps), sequence, 'head.fc');
}
