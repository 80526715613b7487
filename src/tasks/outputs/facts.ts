import { product } from '../../domain/lists';
import type { MapOutput, NamedOutput } from '../answer';

/** Place of the largest finite number; undefined if none is finite. */
export function placeOfLargest(values: ArrayLike<number>): number | undefined {
  let best: number | undefined;
  for (let at = 0; at < values.length; at++) {
    const value = values[at] ?? NaN;
    if (Number.isFinite(value) && (best === undefined || value > (values[best] ?? NaN))) best = at;
  }
  return best;
}

/** Where the largest number of a map is. */
export interface Peak {
  readonly channel: number;
  readonly row: number;
  readonly column: number;
}

/** Returns where a map is largest, among what was handed on; undefined if nothing is finite. */
export function peakOf({ values, grid: [rows, columns] }: MapOutput): Peak | undefined {
  const at = placeOfLargest(values);
  if (at === undefined) return undefined;
  const area = rows * columns;
  const inside = at % area;
  return { channel: Math.floor(at / area), row: Math.floor(inside / columns), column: inside % columns };
}

/** Channels of a map that were handed on. */
export const keptChannels = ({ values, grid: [rows, columns] }: MapOutput): number =>
  values.length / (rows * columns);

/** Number of values of an output. */
export const countOf = ({ shape }: Pick<NamedOutput, 'shape'>): number => product(shape);
