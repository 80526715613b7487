import { at } from '../domain/lists';
import type { Grid } from '../domain/size';

/** The two entries between whose centres a place lies, and how near it is to the second. */
interface Between {
  readonly first: number;
  readonly second: number;
  readonly share: number;
}

/** For each of `count` places along `length` entries; outside of their centres the end holds. */
const betweens = (length: number, count: number): readonly Between[] =>
  Array.from({ length: count }, (_, place) => {
    const at = Math.min(length - 1, Math.max(0, ((place + 0.5) * length) / count - 0.5));
    const first = Math.floor(at);
    return { first, second: Math.min(length - 1, first + 1), share: at - first };
  });

/**
 * A map `[rows, columns]` at a finer size, its values interpolated between the centres of cells as
 * `align_corners=False` has it: colours are then those of values, not blends of colours.
 */
export function bilinear(values: ArrayLike<number>, [rows, columns]: Grid, [high, wide]: Grid): Float32Array {
  const across = betweens(columns, wide);
  const result = new Float32Array(high * wide);
  betweens(rows, high).forEach(({ first, second, share }, row) =>
    across.forEach((column, place) => {
      const along = (from: number): number =>
        at(values, from * columns + column.first) * (1 - column.share) +
        at(values, from * columns + column.second) * column.share;
      result[row * wide + place] = along(first) * (1 - share) + along(second) * share;
    }),
  );
  return result;
}
