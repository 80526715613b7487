import type { VNode } from 'preact';
import { useLayoutEffect, useRef } from 'preact/hooks';
import type { Grid } from '../../src/domain/size';
import { prepare } from '../marks/heatmap';
import type { Overlay } from '../marks/overlay';
import './pixelsOverlay.css';

/** Pixels that are drawn at most: a large image is sampled, which its drawing cannot show. */
const most = 2e6;

/** A bitmap of what `colourOf` says of each pixel of the image, or of every few of a large one. */
export function pixelBitmap(
  [rows, columns]: Grid,
  colourOf: (pixel: number) => readonly [red: number, green: number, blue: number] | undefined,
): HTMLCanvasElement {
  const step = Math.max(1, Math.ceil(Math.sqrt((rows * columns) / most)));
  const canvas = document.createElement('canvas');
  canvas.width = Math.ceil(columns / step);
  canvas.height = Math.ceil(rows / step);
  const rgba = new Uint8ClampedArray(4 * canvas.width * canvas.height);
  for (let y = 0, at = 0; y < rows; y += step)
    for (let x = 0; x < columns; x += step, at += 4) {
      const colour = colourOf(y * columns + x);
      if (!colour) continue;
      [rgba[at], rgba[at + 1], rgba[at + 2]] = colour;
      rgba[at + 3] = 255;
    }
  canvas.getContext('2d')?.putImageData(new ImageData(rgba, canvas.width, canvas.height), 0, 0);
  return canvas;
}

export interface PixelsOverlayProps {
  readonly place: Overlay;
  /** A pixel for each of the image's; drawn over all of it. */
  readonly bitmap: HTMLCanvasElement;
  readonly opacity: number;
}

/** Something for every pixel of the image, over all of it. */
export function PixelsOverlay({ place, bitmap, opacity }: PixelsOverlayProps): VNode {
  const canvas = useRef<HTMLCanvasElement>(null);
  useLayoutEffect(() => {
    const context = canvas.current && prepare(canvas.current, place.width, place.height);
    if (!context) return;
    const { x, y, width, height } = place.image;
    context.imageSmoothingEnabled = false;
    context.drawImage(bitmap, x, y, width, height);
  }, [place, bitmap]);
  return <canvas ref={canvas} class="pixels-drawing" aria-hidden="true" style={{ opacity }} />;
}

/** The pixel of the image under a point of the drawing, row by row; undefined beside the image. */
export function pixelAt({ image }: Overlay, [rows, columns]: Grid, x: number, y: number): number | undefined {
  const row = Math.floor(((y - image.y) / image.height) * rows);
  const column = Math.floor(((x - image.x) / image.width) * columns);
  return row >= 0 && row < rows && column >= 0 && column < columns ? row * columns + column : undefined;
}
