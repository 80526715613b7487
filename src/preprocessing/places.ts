/** Where a point of the image lies in the model's input, and the other way round. */
import type { View } from './pipeline';

/** x and y in pixels, of the image or of the input. */
export type Point = readonly [x: number, y: number];

type Placed = Pick<View, 'extent' | 'seen'>;

/** Returns where a point of the image lies in the input; outside of it if it was cut off. */
export const inputPoint = ({ extent, seen }: Placed, [x, y]: Point): Point => [
  ((x - extent.x) / extent.width) * seen.width,
  ((y - extent.y) / extent.height) * seen.height,
];

/** Returns what point of the image lies at a point of the input; outside of it in padding. */
export const imagePoint = ({ extent, seen }: Placed, [x, y]: Point): Point => [
  extent.x + (x / seen.width) * extent.width,
  extent.y + (y / seen.height) * extent.height,
];
