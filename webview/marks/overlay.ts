import type { Grid } from '../../src/domain/size';
import type { Cell } from '../../src/attention/tokenLayout';

/**
 * Geometry of an image with a map over the part that the model saw. Rectangles of the drawing are
 * in CSS pixels.
 */

export interface Rectangle {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

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

export interface TileLayout {
  /** Width and height of a tile without its gap. */
  readonly tile: number;
  readonly tileHeight: number;
  readonly gap: number;
  readonly heads: number;
  /** Layers stand below each other in `bands` columns of `rows` each. */
  readonly rows: number;
  readonly bands: number;
  readonly bandWidth: number;
  /** Place for the layers' numbers at the left of each band and the heads' at the top. */
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

/** Pixels between bands, and the height up to which one band is enough. */
const BAND = { gap: 20, height: 560 } as const;

/**
 * Small multiples: layers as rows, heads as columns, as wide as there is room for between 12 and 72
 * pixels. Many layers of few heads go on in further columns beside the first, as far as there is
 * room.
 *
 * @param aspect height of the maps over their width
 */
export function layoutTiles(layers: number, heads: number, available: number, aspect: number): TileLayout {
  const gap = 4;
  const left = 28;
  const top = heads > 1 ? 20 : 4;
  const fitting = Math.floor((available - left) / Math.max(1, heads)) - gap;
  const tile = Math.min(72, Math.max(12, fitting));
  const tileHeight = Math.round(tile * Math.min(2, Math.max(0.2, aspect)));
  const bandWidth = left + heads * (tile + gap) + BAND.gap;
  const fittingBands = Math.max(1, Math.floor((available + BAND.gap) / bandWidth));
  const wantedBands = Math.ceil((layers * (tileHeight + gap)) / BAND.height);
  const rows = Math.max(1, Math.ceil(layers / Math.min(fittingBands, wantedBands)));
  const bands = Math.max(1, Math.ceil(layers / rows));
  return {
    tile,
    tileHeight,
    gap,
    heads,
    rows,
    bands,
    bandWidth,
    left,
    top,
    width: bands * bandWidth - BAND.gap,
    height: top + rows * (tileHeight + gap),
  };
}

/** Where the tile of a layer's head stands. */
export function tileBox(layout: TileLayout, layer: number, head: number): Rectangle {
  const { tile: width, tileHeight: height, gap, rows, bandWidth, left, top } = layout;
  const x = Math.floor(layer / rows) * bandWidth + left + head * (width + gap);
  return { x, y: top + (layer % rows) * (height + gap), width, height };
}

/** The tile under a point; undefined between tiles. */
export function tileAt(
  layout: TileLayout,
  x: number,
  y: number,
): { readonly layer: number; readonly head: number } | undefined {
  const { tile, tileHeight, gap, heads, rows, bandWidth, left, top } = layout;
  const band = Math.floor(x / bandWidth);
  const head = Math.floor((x - band * bandWidth - left) / (tile + gap));
  const row = Math.floor((y - top) / (tileHeight + gap));
  const outside = band < 0 || head < 0 || head >= heads || row < 0 || row >= rows;
  return outside ? undefined : { layer: band * rows + row, head };
}
