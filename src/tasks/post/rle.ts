/** Masks as lengths of runs, as COCO has them (pycocotools' `maskApi`). */
import type { Size } from '../../domain/size';

/** Runs of zeros and ones in turn, zeros first, column by column. */
export interface Runs {
  readonly size: Size;
  readonly counts: readonly number[];
}

/** A number per pixel of the image, row by row. */
export interface Ids {
  readonly size: Size;
  readonly ids: ArrayLike<number>;
}

/** Returns the runs of the pixels that have an id. */
export function runsOf({ size, ids }: Ids, id: number): Runs {
  const [height, width] = size;
  const counts: number[] = [];
  let [inside, length] = [false, 0];
  for (let x = 0; x < width; x++)
    for (let y = 0; y < height; y++) {
      if ((ids[y * width + x] === id) !== inside) {
        counts.push(length);
        [inside, length] = [!inside, 0];
      }
      length++;
    }
  counts.push(length);
  return { size, counts };
}

/** Number of pixels in a mask. */
export const areaOf = ({ counts }: Runs): number =>
  counts.reduce((sum, count, i) => (i % 2 === 1 ? sum + count : sum), 0);

/** Left, top, width and height of what a mask takes; of none, zeros. */
export function boundsOf({ size: [height], counts }: Runs): readonly [number, number, number, number] {
  let [left, top, right, bottom] = [Infinity, Infinity, -1, -1];
  let at = 0;
  counts.forEach((count, i) => {
    if (i % 2 === 1 && count > 0) {
      const [first, last] = [at, at + count - 1];
      const columns = [Math.floor(first / height), Math.floor(last / height)] as const;
      left = Math.min(left, columns[0]);
      right = Math.max(right, columns[1]);
      // A run over several columns reaches from the bottom of one to the top of the next.
      top = columns[0] === columns[1] ? Math.min(top, first % height) : 0;
      bottom = columns[0] === columns[1] ? Math.max(bottom, last % height) : height - 1;
    }
    at += count;
  });
  return right < 0 ? [0, 0, 0, 0] : [left, top, right - left + 1, bottom - top + 1];
}

/**
 * Returns the runs as COCO's text: each number in groups of five bits, least first, with a sixth
 * for "more follows"; from the third run on the difference to the one before the last.
 */
export function compressed({ counts }: Runs): string {
  let text = '';
  counts.forEach((count, i) => {
    let rest = i > 2 ? count - (counts[i - 2] ?? 0) : count;
    for (let more = true; more;) {
      const bits = rest & 31;
      rest >>= 5;
      // The sign is the last group's highest bit.
      more = (bits & 16) === 0 ? rest !== 0 : rest !== -1;
      text += String.fromCharCode(48 + bits + (more ? 32 : 0));
    }
  });
  return text;
}
