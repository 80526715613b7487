import { at } from '../domain/lists';
import type { Grid, Size } from '../domain/size';

/** Which places of a grid a pixel lies between, and how near the second is. */
interface Between {
  readonly first: number;
  readonly second: number;
  readonly share: number;
}

function between(side: number, pixels: number, isAligned: boolean): readonly Between[] {
  return Array.from({ length: pixels }, (_, pixel) => {
    const place = isAligned
      ? pixels > 1
        ? (pixel * (side - 1)) / (pixels - 1)
        : 0
      : Math.max(0, ((pixel + 0.5) * side) / pixels - 0.5);
    const first = Math.min(side - 1, Math.floor(place));
    return { first, second: Math.min(side - 1, first + 1), share: place - first };
  });
}

/**
 * A map `[rows, columns]` at a finer size, bilinear without antialiasing: by the centres of cells,
 * or with the corners of both on one another (`isAligned`, torch's align_corners). Colours are then
 * those of values, not blends of colours.
 */
export function bilinear(
  values: ArrayLike<number>,
  [rows, columns]: Grid,
  [height, width]: Size,
  isAligned = false,
): Float64Array {
  const [down, across] = [between(rows, height, isAligned), between(columns, width, isAligned)];
  const result = new Float64Array(height * width);
  down.forEach((row, y) =>
    across.forEach((column, x) => {
      const line = (own: number): number => {
        const left = at(values, own * columns + column.first);
        return left + column.share * (at(values, own * columns + column.second) - left);
      };
      const top = line(row.first);
      result[y * width + x] = top + row.share * (line(row.second) - top);
    }),
  );
  return result;
}
