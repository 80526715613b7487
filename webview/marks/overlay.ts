import type { Grid, Rectangle } from '../../src/domain/size';
import type { Cell } from '../../src/attention/tokenLayout';

/**
 * Geometry of an image with a map over the part that the model saw. Rectangles of the drawing are
 * in CSS pixels.
 */

export interface Overlay {
  readonly width: number;
  readonly height: number;
  /** CSS pixels per pixel of the full-size image. */
  readonly scale: number;
  readonly image: Rectangle;
  readonly region: Rectangle;
}

/**
 * Fits the image, and what of the region reaches outside of it where padding was added, into a
 * box.
 *
 * @param size width and height of the decoded image
 * @param region what the model saw, in the image's pixels
 */
export function overlayOf(
  [imageWidth, imageHeight]: readonly [number, number],
  region: Rectangle,
  maxWidth: number,
  maxHeight: number,
): Overlay {
  const left = Math.min(0, region.x);
  const top = Math.min(0, region.y);
  const width = Math.max(imageWidth, region.x + region.width) - left;
  const height = Math.max(imageHeight, region.y + region.height) - top;
  const scale = Math.min(maxWidth / width, maxHeight / height);
  const place = (rectangle: Rectangle): Rectangle => ({
    x: (rectangle.x - left) * scale,
    y: (rectangle.y - top) * scale,
    width: rectangle.width * scale,
    height: rectangle.height * scale,
  });
  return {
    width: width * scale,
    height: height * scale,
    scale,
    image: place({ x: 0, y: 0, width: imageWidth, height: imageHeight }),
    region: place(region),
  };
}

/** The patch under a point of the drawing; undefined outside of the region. */
export function cellAt({ region }: Overlay, [rows, columns]: Grid, x: number, y: number): Cell | undefined {
  const row = Math.floor(((y - region.y) / region.height) * rows);
  const column = Math.floor(((x - region.x) / region.width) * columns);
  return row >= 0 && row < rows && column >= 0 && column < columns ? { row, column } : undefined;
}

/** Where a patch lies in the drawing. */
export function cellRectangle({ region }: Overlay, [rows, columns]: Grid, { row, column }: Cell): Rectangle {
  const [width, height] = [region.width / columns, region.height / rows];
  return { x: region.x + column * width, y: region.y + row * height, width, height };
}
