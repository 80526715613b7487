import type { Pixels } from '../../src/domain/pixels';
import type { Grid, Rectangle } from '../../src/domain/size';
import { colourAt, paint, type Colours } from '../../src/attention/colourMaps';
import type { Cell } from '../../src/attention/tokenLayout';
import { cellRectangle, type Overlay } from './overlay';

export interface Colouring {
  readonly low: number;
  readonly high: number;
  readonly map: Colours;
  /** Low values are see-through. */
  readonly fade?: boolean;
}

/**
 * Opacity of the black over what was not seen: outside of the crop, outside of the query's window.
 */
const DIMMED = 0.55;

/** RGB pixels as a bitmap that a canvas can scale. */
export function bitmapOf({ width, height, rgb }: Pixels): HTMLCanvasElement {
  const rgba = new Uint8ClampedArray(4 * width * height);
  for (let from = 0, to = 0; from < rgb.length; from += 3, to += 4) {
    rgba[to] = rgb[from] as number;
    rgba[to + 1] = rgb[from + 1] as number;
    rgba[to + 2] = rgb[from + 2] as number;
    rgba[to + 3] = 255;
  }
  return canvasOf(rgba, width, height);
}

/** Weights `[rows, columns]` as a bitmap with a pixel for each. */
export const heatBitmap = (
  values: ArrayLike<number>,
  [rows, columns]: Grid,
  { low, high, map, fade }: Colouring,
): HTMLCanvasElement => canvasOf(paint(values, low, high, map, fade), columns, rows);

/**
 * Paints many small maps: one bitmap of each size serves them all, where one for each would cost
 * more than the painting.
 */
export function heatPainter(): (
  context: CanvasRenderingContext2D,
  values: Float32Array,
  grid: Grid,
  colouring: Colouring,
  box: Rectangle,
) => void {
  const scratch = new Map<string, HTMLCanvasElement>();
  return (context, values, [rows, columns], { low, high, map, fade }, { x, y, width, height }) => {
    const key = `${rows} ${columns}`;
    const bitmap = scratch.get(key) ?? emptyCanvas(columns, rows);
    scratch.set(key, bitmap);
    put(bitmap, paint(values, low, high, map, fade));
    context.drawImage(bitmap, x, y, width, height);
  };
}

/**
 * Black over the keys outside of the query's window (NaN), nothing over the others; undefined if
 * all were seen.
 */
export function unseenBitmap(values: Float32Array, [rows, columns]: Grid): HTMLCanvasElement | undefined {
  if (!values.some(Number.isNaN)) return undefined;
  const rgba = new Uint8ClampedArray(4 * values.length);
  values.forEach((value, at) => (rgba[4 * at + 3] = Number.isNaN(value) ? 255 * DIMMED : 0));
  return canvasOf(rgba, columns, rows);
}

function canvasOf(rgba: Uint8ClampedArray<ArrayBuffer>, width: number, height: number): HTMLCanvasElement {
  const canvas = emptyCanvas(width, height);
  put(canvas, rgba);
  return canvas;
}

function emptyCanvas(width: number, height: number): HTMLCanvasElement {
  const canvas = document.createElement('canvas');
  canvas.width = width;
  canvas.height = height;
  return canvas;
}

const put = (canvas: HTMLCanvasElement, rgba: Uint8ClampedArray<ArrayBuffer>): void =>
  canvas.getContext('2d')?.putImageData(new ImageData(rgba, canvas.width, canvas.height), 0, 0);

/**
 * Gives a canvas its size in CSS pixels at the screen's resolution; drawing is then in CSS pixels.
 */
export function prepare(
  canvas: HTMLCanvasElement,
  width: number,
  height: number,
): CanvasRenderingContext2D | null {
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  const context = canvas.getContext('2d');
  context?.setTransform(ratio, 0, 0, ratio, 0, 0);
  return context;
}

export interface ImageLayers {
  readonly image: HTMLCanvasElement;
  readonly heat?: HTMLCanvasElement | undefined;
  /** Covers the keys that the query could not see. */
  readonly unseen?: HTMLCanvasElement | undefined;
  readonly opacity: number;
  readonly smooth: boolean;
}

/** The image, dimmed outside of what the model saw, and the map exactly on that. */
export function drawImageAndMap(
  context: CanvasRenderingContext2D,
  overlay: Overlay,
  layers: ImageLayers,
): void {
  const { image, region, width, height } = overlay;
  context.clearRect(0, 0, width, height);
  context.imageSmoothingEnabled = true;
  context.imageSmoothingQuality = 'high';
  context.drawImage(layers.image, image.x, image.y, image.width, image.height);
  context.fillStyle = `rgba(0, 0, 0, ${DIMMED})`;
  context.fill(outside(overlay), 'evenodd');
  if (layers.heat) {
    quieten(context, region, layers.opacity);
    context.globalAlpha = layers.opacity;
    context.imageSmoothingEnabled = layers.smooth;
    drawHeat(context, layers.heat, region, layers.smooth);
    context.globalAlpha = 1;
    if (layers.unseen) drawHeat(context, layers.unseen, region, false);
  }
  frame(context, region, 1);
}

/** Takes colour and some light out of the image under a map: colours there are then the map's. */
function quieten(
  context: CanvasRenderingContext2D,
  { x, y, width, height }: Rectangle,
  opacity: number,
): void {
  context.save();
  context.globalAlpha = opacity;
  context.globalCompositeOperation = 'saturation';
  context.fillStyle = '#808080';
  context.fillRect(x, y, width, height);
  context.globalAlpha = 0.3 * opacity;
  context.globalCompositeOperation = 'source-over';
  context.fillStyle = '#000000';
  context.fillRect(x, y, width, height);
  context.restore();
}

/**
 * Smoothing blends with what is beside the bitmap, which is nothing: the outer half of the border
 * patches would fade. Clipping keeps the map on its region; browsers repeat the border's colour
 * outward.
 */
function drawHeat(
  context: CanvasRenderingContext2D,
  heat: HTMLCanvasElement,
  region: Rectangle,
  smooth: boolean,
): void {
  context.save();
  context.beginPath();
  context.rect(region.x, region.y, region.width, region.height);
  context.clip();
  context.imageSmoothingQuality = smooth ? 'high' : 'low';
  context.drawImage(heat, region.x, region.y, region.width, region.height);
  context.restore();
}

function outside({ width, height, region }: Overlay): Path2D {
  const path = new Path2D();
  path.rect(0, 0, width, height);
  path.rect(region.x, region.y, region.width, region.height);
  return path;
}

/** A line that is seen on every image: light inside dark. */
export function frame(
  context: CanvasRenderingContext2D,
  { x, y, width, height }: Rectangle,
  weight: number,
): void {
  context.lineWidth = weight + 2;
  context.strokeStyle = 'rgba(0, 0, 0, 0.7)';
  context.strokeRect(x, y, width, height);
  context.lineWidth = weight;
  context.strokeStyle = '#ffffff';
  context.strokeRect(x, y, width, height);
}

/** A query that is on its way, dashed: its map is not the one that is drawn. */
export function drawWanted(
  context: CanvasRenderingContext2D,
  overlay: Overlay,
  queryGrid: Grid,
  query: Cell,
): void {
  context.save();
  context.setLineDash([4, 4]);
  frame(context, cellRectangle(overlay, queryGrid, query), 2);
  context.restore();
}

/** The query's patch with a thick frame, the one under the pointer with a thin one. */
export function drawMarks(
  context: CanvasRenderingContext2D,
  overlay: Overlay,
  queryGrid: Grid | undefined,
  query: Cell | undefined,
  keyGrid: Grid | undefined,
  hovered: Cell | undefined,
): void {
  if (query && queryGrid) frame(context, cellRectangle(overlay, queryGrid, query), 3);
  if (hovered && keyGrid) frame(context, cellRectangle(overlay, keyGrid, hovered), 1);
}

/** The colour scale as a strip, low at the left. */
export function drawScale(
  context: CanvasRenderingContext2D,
  map: Colours,
  { x, y, width, height }: Rectangle,
): void {
  for (let pixel = 0; pixel < width; pixel++) {
    const [red, green, blue] = colourAt(map, pixel / Math.max(1, width - 1));
    context.fillStyle = `rgb(${red}, ${green}, ${blue})`;
    context.fillRect(x + pixel, y, 1.5, height);
  }
}
