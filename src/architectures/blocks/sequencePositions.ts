import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { room } from '../../graph/limits';

/**
 * Sines in the first half of the channels, cosines in the second (Vaswani et al. 2017, §3.5, in the
 * order of fairseq and Marian): the first `count` rows `[count, dim]`.
 */
export function sineRows(count: number, dim: number): Float32Array {
  const values = new Float32Array(room(count * dim));
  const half = Math.ceil(dim / 2);
  for (let place = 0; place < count; place++)
    for (let channel = 0; channel < dim; channel++) {
      const pair = channel < half ? channel : channel - half;
      const angle = place / 10_000 ** ((2 * pair) / dim);
      values[place * dim + channel] = channel < half ? Math.sin(angle) : Math.cos(angle);
    }
  return values;
}

/** The same as a table of the graph. */
export const sinePlaces = (b: GraphBuilder, count: number, dim: number): ValueInfo =>
  b.shared(`places ${count}`, () => b.constant('/places', 'F32', [count, dim], sineRows(count, dim)));

/** How distances between tokens share the rows of a table. */
export interface Buckets {
  /** Rows of the table. */
  readonly count: number;
  /** Distance from which on all share the last row. */
  readonly farthest: number;
  /** Tokens behind have rows of their own: half of them. */
  readonly bothWays: boolean;
}

/**
 * Row of a table of biases for a key so many places before its query (Raffel et al. 2020, §2.1, and
 * T5's code): one each for near ones, shared ever more widely, logarithmically, by far ones.
 */
export function bucketOf(before: number, { count, farthest, bothWays }: Buckets): number {
  const own = bothWays ? Math.floor(count / 2) : count;
  const first = bothWays && before < 0 ? own : 0;
  const distance = bothWays ? Math.abs(before) : Math.max(0, before);
  const single = Math.floor(own / 2);
  if (distance < single) return first + distance;
  // Rounded as torch does it: logarithms are of 32 bits.
  const share = Math.fround(
    Math.fround(Math.log(Math.fround(distance / single))) / Math.fround(Math.log(farthest / single)),
  );
  return first + Math.min(own - 1, single + Math.trunc(Math.fround(share * (own - single))));
}
