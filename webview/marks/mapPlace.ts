import type { Region } from '../../src/tasks/run';
import type { Grid } from '../../src/domain/size';
import { overlayOf, type Overlay } from './overlay';

/** An image, or where none is drawn, a map by itself with room for each of its cells. */
export interface Place {
  readonly size: readonly [width: number, height: number];
  readonly region: Region;
}

/** Where a map is drawn that has no place on the image: a box of its own. */
export function alone([rows, columns]: Grid): Place {
  return {
    size: [columns, rows],
    region: { x: 0, y: 0, width: columns, height: rows },
  };
}

/** Fits an image or a map by itself into a box. */
export const placeIn = ({ size, region }: Place, width: number, height: number): Overlay =>
  overlayOf(size, region, Math.max(1, width), height);

/** Lowest and highest finite number; both 0 of none. */
export function rangeOf(values: ArrayLike<number>): readonly [low: number, high: number] {
  let [low, high] = [Infinity, -Infinity];
  for (let at = 0; at < values.length; at++) {
    const value = values[at] ?? NaN;
    if (!Number.isFinite(value)) continue;
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  return low > high ? [0, 0] : [low, high];
}
