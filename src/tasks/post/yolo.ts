/**
 * Boxes as YOLO's label files have them: class, centre x, centre y, width, height and score, the
 * four in shares of the image.
 */
import type { Size } from '../../domain/size';
import type { Detection } from './detection';

/** Returns the lines of one image; boxes are cut at its edges, and those outside are left out. */
export function yoloText(
  detections: readonly Pick<Detection, 'label' | 'score' | 'box'>[],
  [height, width]: Size,
): string {
  const inside = (value: number, side: number): number => Math.min(Math.max(value, 0), side) / side;
  return detections
    .flatMap(({ label, score, box: [x0, y0, x1, y1] }) => {
      const [left, right] = [inside(x0, width), inside(x1, width)];
      const [top, bottom] = [inside(y0, height), inside(y1, height)];
      if (right <= left || bottom <= top) return [];
      const shares = [(left + right) / 2, (top + bottom) / 2, right - left, bottom - top, score];
      return [`${label} ${shares.map((share) => share.toFixed(6)).join(' ')}\n`];
    })
    .join('');
}
