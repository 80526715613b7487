import type { Pixels } from '../../domain/pixels';
import { formatExact } from '../../domain/units';
import type { Restored } from '../answer';

/** `1,280 × 960 pixels, 2 × as large`, width first. */
export function restoredText({ grid: [height, width], scale }: Pick<Restored, 'grid' | 'scale'>): string {
  const size = `${formatExact(width)} × ${formatExact(height)} pixels`;
  return scale === 1 ? `${size}, of the same size` : `${size}, ${scale} × as large`;
}

/** The image for a canvas. */
export function pixelsOfRestored({
  grid: [height, width],
  planes,
}: Pick<Restored, 'grid' | 'planes'>): Pixels {
  const area = height * width;
  const rgb = new Uint8Array(3 * area);
  for (let pixel = 0, to = 0; pixel < area; pixel++)
    for (let channel = 0; channel < 3; channel++) rgb[to++] = planes[channel * area + pixel] ?? 0;
  return { height, width, rgb };
}
