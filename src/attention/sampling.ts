import { tokenCount, type Probe } from '../domain/probes';

/** A place that a token of deformable attention looks at. */
export interface SampledPoint {
  /** Place on the model's input, in shares of its sides: 0 … 1, outside of it where nothing is. */
  readonly x: number;
  readonly y: number;
  readonly weight: number;
  readonly level: number;
  readonly head: number;
}

/**
 * Places of one token's keys, `[heads, keys, 2]`.
 *
 * @param all places of all tokens, `[heads, queries, keys, 2]`
 * @param token its place in the sequence of queries
 */
export function placesOfToken(
  all: Float32Array,
  { heads, queries, keys }: Probe,
  token: number,
): Float32Array {
  const [count, width] = [tokenCount(queries), 2 * tokenCount(keys)];
  const found = new Float32Array(heads * width);
  for (let head = 0; head < heads; head++) {
    const start = (head * count + token) * width;
    found.set(all.subarray(start, start + width), head * width);
  }
  return found;
}

/**
 * Where a token looks, and how much each place counts (Zhu et al. 2021, Deformable DETR, §4.1): of
 * one head, or of all heads, whose weights then are shares of their sum. The heaviest come last,
 * so that they are drawn on top.
 *
 * @param weights `[heads, keys]`
 * @param places `[heads, keys, 2]`
 */
export function sampledPoints(
  { heads, keys }: Probe,
  { weights, places }: { readonly weights: Float32Array; readonly places: Float32Array },
  head?: number,
): readonly SampledPoint[] {
  const count = tokenCount(keys);
  const points = keys.points ?? count;
  const shown = head === undefined ? Array.from({ length: heads }, (_, index) => index) : [head];
  return shown
    .flatMap((of) =>
      Array.from({ length: count }, (_, key): SampledPoint => {
        const at = of * count + key;
        return {
          x: places[2 * at] ?? 0,
          y: places[2 * at + 1] ?? 0,
          weight: (weights[at] ?? 0) / shown.length,
          level: Math.floor(key / points),
          head: of,
        };
      }),
    )
    .sort((one, other) => one.weight - other.weight);
}
