import { at, increase, largest } from '../domain/lists';
import { chainLength, tokenCount, type Probe } from '../domain/probes';
import type { Grid } from '../domain/size';
import type { DerivedMap, MapOf } from './explained';

/** How the heads of a layer become one matrix. */
export type Fusion = 'mean' | 'max' | 'min';

/** A square matrix `[tokens, tokens]`, row = query. */
export type Matrix = Float64Array;

/** What is made of all heads at each place. */
export function fused({ map }: MapOf, how: Fusion): Matrix {
  const [heads = 1, queries = 1, keys = 1] = map.shape;
  const size = queries * keys;
  const result = new Float64Array(size);
  for (let place = 0; place < size; place++) {
    let [sum, high, low] = [0, -Infinity, Infinity];
    for (let head = 0; head < heads; head++) {
      const value = map.data[head * size + place] ?? 0;
      sum += value;
      high = Math.max(high, value);
      low = Math.min(low, value);
    }
    result[place] = how === 'mean' ? sum / heads : how === 'max' ? high : low;
  }
  return result;
}

/**
 * The ⌊ratio·n²⌋ smallest entries become 0; of equal ones those of a lower place first. `spared` is
 * a place that stays whatever it holds.
 */
function discarded(matrix: Matrix, ratio: number, spared = -1): Matrix {
  const low = Array.from(matrix.keys()).sort((a, b) => at(matrix, a) - at(matrix, b) || a - b);
  const result = matrix.slice();
  for (const place of low.slice(0, Math.floor(matrix.length * ratio)))
    if (place !== spared) result[place] = 0;
  return result;
}

/** (A + I)/2 with rows scaled to sum 1. */
function withResidual(matrix: Matrix, tokens: number): Matrix {
  const result = new Float64Array(matrix.length);
  for (let row = 0; row < tokens; row++) {
    let sum = 0;
    for (let column = 0; column < tokens; column++) {
      const value = (at(matrix, row * tokens + column) + (row === column ? 1 : 0)) / 2;
      result[row * tokens + column] = value;
      sum += value;
    }
    for (let column = 0; column < tokens; column++)
      result[row * tokens + column] = at(result, row * tokens + column) / sum;
  }
  return result;
}

export function identity(tokens: number): Matrix {
  const result = new Float64Array(tokens * tokens);
  for (let row = 0; row < tokens; row++) result[row * (tokens + 1)] = 1;
  return result;
}

export function product(left: Matrix, right: Matrix, tokens: number): Matrix {
  const result = new Float64Array(tokens * tokens);
  for (let row = 0; row < tokens; row++)
    for (let inner = 0; inner < tokens; inner++) {
      const factor = left[row * tokens + inner] ?? 0;
      if (factor === 0) continue;
      for (let column = 0; column < tokens; column++)
        increase(result, row * tokens + column, factor * (right[inner * tokens + column] ?? 0));
    }
  return result;
}

const tokensOf = (maps: readonly MapOf[]): number => tokenCount(at(maps, 0).probe.queries);

/** Attention rollout (Abnar & Zuidema 2020, §3): Π of (A + I)/2 with rows of sum 1. */
export function rollout(maps: readonly MapOf[], how: Fusion, ratio: number): Matrix {
  const tokens = tokensOf(maps);
  return maps.reduce((rolled, map) => {
    const own = ratio > 0 ? discarded(fused(map, how), ratio, 0) : fused(map, how);
    return product(withResidual(own, tokens), rolled, tokens);
  }, identity(tokens));
}

/** Mean over heads of A ⊙ ∂s/∂A, `after` at each head. */
function weighted({ map, gradient }: DerivedMap, after: (value: number) => number): Matrix {
  const [heads = 1, queries = 1, keys = 1] = map.shape;
  const size = queries * keys;
  const result = new Float64Array(size);
  for (let place = 0; place < heads * size; place++)
    increase(result, place % size, after((map.data[place] ?? 0) * (gradient.data[place] ?? 0)) / heads);
  return result;
}

const positive = (value: number): number => Math.max(0, value);

/** Mean over heads of max(0, A ⊙ ∂s/∂A) (Chefer et al. 2021, eq. 5), `[queries, keys]`. */
export const fusedByGradient = (map: DerivedMap): Matrix => weighted(map, positive);

/** As rollout, of max(0, mean over heads of A ⊙ ∂s/∂A): each layer with its own gradient. */
export function gradientRollout(maps: readonly DerivedMap[], ratio: number): Matrix {
  const tokens = tokensOf(maps);
  return maps.reduce((rolled, map) => {
    const own = weighted(map, (value) => value).map(positive);
    return product(withResidual(ratio > 0 ? discarded(own, ratio) : own, tokens), rolled, tokens);
  }, identity(tokens));
}

/**
 * Relevance of all tokens for one value (Chefer et al. 2021, eq. 5–6): R ← R + Ā·R from I, Ā the
 * mean over heads of max(0, A ⊙ ∂s/∂A). Layers of fewer tokens, before the class token joins or
 * where it alone asks, act on their own rows and columns: the patches come last.
 */
export function relevance(maps: readonly DerivedMap[], tokens: number): Matrix {
  return maps.reduce((relevant, derived) => {
    const own = fusedByGradient(derived);
    const [, queries = 1, keys = 1] = derived.map.shape;
    const whole = new Float64Array(tokens * tokens);
    const first = queries === 1 ? 0 : tokens - queries;
    for (let row = 0; row < queries; row++)
      for (let column = 0; column < keys; column++)
        whole[(first + row) * tokens + tokens - keys + column] = at(own, row * keys + column);
    const added = product(whole, relevant, tokens);
    return relevant.map((value, place) => value + at(added, place));
  }, identity(tokens));
}

/** Tokens that relevance goes over: those of the widest layer. */
export const relevanceTokens = (probes: readonly Probe[]): number =>
  largest(probes.map(({ keys }) => tokenCount(keys)));

/** Why the layers' tokens are not the same throughout; undefined if maps multiply to a rollout. */
export function whyNoRollout(probes: readonly Probe[]): string | undefined {
  if (probes.length === 0) return 'it has no attention';
  if (chainLength(probes) === probes.length) return undefined;
  return isClassStage(probes)
    ? 'the class token joins late: its layers have other tokens than those before'
    : 'its layers have no one set of tokens: windows, reduced keys or other grids';
}

/** Layers of patches alone, and behind them such with a class token over the same patches. */
function isClassStage(probes: readonly Probe[]): boolean {
  const grid = probes[0]?.keys.grid?.join();
  const fits = ({ kind, window, queries, keys }: Probe): boolean =>
    (kind === 'self' || kind === 'class') &&
    window === undefined &&
    keys.grid?.join() === grid &&
    (queries.grid?.join() === grid || tokenCount(queries) === 1);
  return grid !== undefined && probes.every(fits);
}

export function whyNoRelevance(probes: readonly Probe[]): string | undefined {
  const reason = whyNoRollout(probes);
  return reason !== undefined && isClassStage(probes) ? undefined : reason;
}

/** Which rows of a matrix are what the head reads, by the last layer's own gradient. */
export interface ReadRows {
  readonly rows: readonly number[];
  readonly special: number;
  readonly grid: Grid;
  /** What they are, for the legend. */
  readonly title: string;
}

/**
 * Rows of the special tokens that any gradient reaches in the last layer; without one the patches',
 * whose mean the head reads.
 */
export function readRows(maps: readonly DerivedMap[]): ReadRows | undefined {
  const last = maps.at(-1);
  const grid = last?.probe.keys.grid as Grid | undefined;
  if (!last || grid?.length !== 2) return undefined;
  const special = last.probe.keys.special ?? [];
  const [heads = 1, queries = 1, keys = 1] = last.gradient.shape;
  const isReached = (row: number): boolean => {
    for (let head = 0; head < heads; head++)
      for (let key = 0; key < keys; key++)
        if (last.gradient.data[(head * queries + row) * keys + key] !== 0) return true;
    return false;
  };
  const read = special.flatMap((name, row) => (row < queries && isReached(row) ? [{ name, row }] : []));
  if (read.length > 0) {
    const names = read.map(({ name }) => name).join(' and ');
    return { rows: read.map(({ row }) => row), special: special.length, grid, title: `row of ${names}` };
  }
  const patches = grid[0] * grid[1];
  const rows = Array.from({ length: patches }, (_, place) => special.length + place);
  return { rows, special: special.length, grid, title: 'mean of the rows of the patches' };
}

/** The mean of rows of a matrix without its special tokens: a picture of the grid. */
export function pictureOf(matrix: Matrix, tokens: number, { rows, special }: ReadRows): Float64Array {
  const result = new Float64Array(tokens - special);
  for (const row of rows)
    for (let place = 0; place < result.length; place++)
      increase(result, place, at(matrix, row * tokens + special + place) / rows.length);
  return result;
}

/**
 * Chefer's baseline: each head of the last layer counts as the mean of its gradients between the
 * class token and the patches.
 */
export function attentionGradCam({ map, gradient, probe }: DerivedMap): Float64Array {
  const [heads = 1, queries = 1, keys = 1] = map.shape;
  const special = probe.keys.special?.length ?? 0;
  const patches = keys - special;
  const result = new Float64Array(patches);
  for (let head = 0; head < heads; head++) {
    const first = head * queries * keys + special;
    let weight = 0;
    for (let place = 0; place < patches; place++) weight += at(gradient.data, first + place) / patches;
    for (let place = 0; place < patches; place++)
      increase(result, place, (at(map.data, first + place) * weight) / heads);
  }
  return result.map(positive);
}
