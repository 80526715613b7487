import type { Size } from '../../domain/size';

/** Left, top, right, bottom in pixels of the image, which a box may leave. */
export type Box = readonly [x0: number, y0: number, x1: number, y1: number];

/** Corners cut at the image's edges; undefined if nothing of the box lies inside. */
export function clippedBox([x0, y0, x1, y1]: Box, [height, width]: Size): Box | undefined {
  const inside = (value: number, side: number): number => Math.min(Math.max(value, 0), side);
  const cut = [inside(x0, width), inside(y0, height), inside(x1, width), inside(y1, height)] as const;
  return cut[2] > cut[0] && cut[3] > cut[1] ? cut : undefined;
}
