import {
  bitmapOf,
  drawMarks,
  drawImageAndMap,
  drawScale,
  drawWanted,
  heatBitmap,
  prepare,
  unseenBitmap,
} from '../../../../webview/marks/heatmap';
import { overlayOf } from '../../../../webview/marks/overlay';
import { DrawnCanvas, useDocument } from '../../../support/drawing';
import { assertSnapshot } from '../../../support/snapshot';

const weights = Float32Array.of(0, 0.1, 0.25, 0.5, 1, NaN);
const grid = [2, 3] as const;
const overlay = overlayOf([64, 48], { x: 8, y: -4, width: 48, height: 56 }, 320, 1000);

/** What a canvas was asked for. */
const callsOf = (canvas: HTMLCanvasElement | undefined): string =>
  canvas instanceof DrawnCanvas ? [String(canvas), ...canvas.calls].join('\n') : String(canvas);

/** What was drawn on a canvas of the screen, which has two pixels for each of CSS. */
function drawn(draw: (context: CanvasRenderingContext2D) => void): string {
  const canvas = document.createElement('canvas');
  const context = prepare(canvas, overlay.width, overlay.height);
  if (context) draw(context);
  return callsOf(canvas);
}

describe('drawn heat maps', () => {
  useDocument();

  it('bitmaps of images, weights and keys that were not seen', () => {
    const rgb = Uint8Array.of(0, 1, 2, 30, 31, 32, 60, 61, 62, 255, 254, 253);
    const scale = { low: 0, high: 0.5, map: 'magma' } as const;
    const bitmaps = {
      image: bitmapOf({ width: 2, height: 2, rgb }),
      heat: heatBitmap(weights, grid, scale),
      fading: heatBitmap(weights, grid, { ...scale, fade: true }),
      unseen: unseenBitmap(weights, grid),
      allSeen: unseenBitmap(weights.slice(0, 3), [1, 3]),
    };
    const lines = Object.entries(bitmaps).map(([name, bitmap]) => `${name}: ${callsOf(bitmap)}`);
    assertSnapshot('marks/bitmaps.txt', lines.join('\n'));
  });

  it('the image with the map over what was seen', () => {
    const layers = {
      image: bitmapOf({ width: 1, height: 1, rgb: Uint8Array.of(9, 9, 9) }),
      heat: heatBitmap(weights, grid, { low: 0, high: 1, map: 'viridis' }),
      unseen: unseenBitmap(weights, grid),
      opacity: 0.6,
      smooth: true,
    };
    assertSnapshot(
      'marks/overlaid.txt',
      drawn((context) => drawImageAndMap(context, overlay, layers)),
    );
  });

  it('frames of the query, of the one on its way and of the patch under the pointer', () => {
    const query = { row: 1, column: 2 };
    assertSnapshot(
      'marks/frames.txt',
      drawn((context) => {
        drawMarks(context, overlay, grid, query, grid, { row: 0, column: 1 });
        drawWanted(context, overlay, grid, query);
      }),
    );
  });

  it('the scale of colours', () =>
    assertSnapshot(
      'marks/scale.txt',
      drawn((context) => drawScale(context, 'turbo', { x: 4, y: 2, width: 8, height: 10 })),
    ));
});
