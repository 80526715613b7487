import { at, increase } from '../domain/lists';
import type { Grid } from '../domain/size';

/** A stretch of a row that a cell covers: which entry, and how much of the cell it is. */
interface Share {
  readonly from: number;
  readonly share: number;
}

/** For each of `cells` equal stretches of a row of `length` entries, what it covers of which. */
function sharesOf(length: number, cells: number): readonly (readonly Share[])[] {
  return Array.from({ length: cells }, (_, cell) => {
    const [start, end] = [(cell * length) / cells, ((cell + 1) * length) / cells];
    const first = Math.floor(start);
    return Array.from({ length: Math.ceil(end) - first }, (__, step) => {
      const from = first + step;
      const covered = Math.min(end, from + 1) - Math.max(start, from);
      return { from, share: covered / (end - start) };
    }).filter(({ share }) => share > 1e-12);
  });
}

/**
 * A map `[rows, columns]` on another grid: each cell is the mean of what it covers, by area. Sums
 * of all values, in units of the whole, are kept.
 */
export function onCells(values: ArrayLike<number>, [rows, columns]: Grid, [high, wide]: Grid): Float32Array {
  const across = sharesOf(columns, wide);
  const narrow = new Float64Array(rows * wide);
  for (let row = 0; row < rows; row++)
    across.forEach((shares, cell) => {
      for (const { from, share } of shares)
        increase(narrow, row * wide + cell, share * at(values, row * columns + from));
    });
  const result = new Float64Array(high * wide);
  sharesOf(rows, high).forEach((shares, cell) => {
    for (const { from, share } of shares)
      for (let column = 0; column < wide; column++)
        increase(result, cell * wide + column, share * at(narrow, from * wide + column));
  });
  return Float32Array.from(result);
}
