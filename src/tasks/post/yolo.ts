/**
 * Boxes as YOLO's label files have them: class, centre x, centre y, width, height and score, the
 * four in shares of the image.
 */
import type { Size } from '../../domain/size';
import { clippedBox, type Box } from './box';

/** Returns the lines of one image; boxes are cut at its edges, and those outside are left out. */
export function yoloText(
  boxes: readonly { readonly label: number; readonly score: number; readonly box: Box }[],
  size: Size,
): string {
  const [height, width] = size;
  return boxes
    .flatMap(({ label, score, box }) => {
      const cut = clippedBox(box, size);
      if (!cut) return [];
      const [x0, y0, x1, y1] = cut;
      const shares = [(x0 + x1) / 2 / width, (y0 + y1) / 2 / height, (x1 - x0) / width, (y1 - y0) / height];
      return [`${label} ${[...shares, score].map((share) => share.toFixed(6)).join(' ')}\n`];
    })
    .join('');
}
