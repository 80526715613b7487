import { bilinear } from '../../../src/attention/upsampling';
import type { ExplainedMap } from '../../../src/domain/explanation';
import type { Grid } from '../../../src/domain/size';
import { drawImageAndMap, heatBitmap } from '../../marks/heatmap';
import type { Overlay } from '../../marks/overlay';
import type { MapScale } from './mapScale';

export interface MapLook {
  readonly opacity: number;
  readonly smooth: boolean;
  readonly fade: boolean;
}

/** Cells along a side from which a map is as fine as its drawing. */
const fine = 160;
/** Pixels that a smooth map has along a cell. */
const perCell = 16;

/** A map as a bitmap: its cells, or values between their centres. */
export function mapBitmap(
  { values, grid }: ExplainedMap,
  { low, high, colours, constant }: MapScale,
  { smooth, fade }: MapLook,
): HTMLCanvasElement {
  // What is all alike is seen as that, not seen through.
  const colouring = { low, high, map: colours, fade: fade && constant === undefined };
  if (!smooth || Math.max(grid[0], grid[1]) >= fine || values.some(Number.isNaN))
    return heatBitmap(values, grid, colouring);
  const finer: Grid = [grid[0] * perCell, grid[1] * perCell];
  return heatBitmap(bilinear(values, grid, finer), finer, colouring);
}

/** The image with the map on what the model saw of it. */
export function drawExplained(
  context: CanvasRenderingContext2D,
  overlay: Overlay,
  image: HTMLCanvasElement,
  heat: HTMLCanvasElement | undefined,
  { opacity, smooth }: MapLook,
): void {
  drawImageAndMap(context, overlay, { image, heat, opacity, smooth });
}
