import type { RgbImage } from '../../preprocessing/resize';

/** EXIF orientations by what happens to the axes: 1 … 8, of which 1 changes nothing. */
const turns: Readonly<
  Record<number, { readonly swaps: boolean; readonly left: boolean; readonly up: boolean }>
> = {
  2: { swaps: false, left: true, up: false },
  3: { swaps: false, left: true, up: true },
  4: { swaps: false, left: false, up: true },
  5: { swaps: true, left: false, up: false },
  6: { swaps: true, left: false, up: true },
  7: { swaps: true, left: true, up: true },
  8: { swaps: true, left: true, up: false },
};

/** An image turned upright as its EXIF orientation says; itself for 1 and unknown ones. */
export function upright(image: RgbImage, orientation: number): RgbImage {
  const turn = turns[orientation];
  if (!turn) return image;
  const { width, height, rgb } = image;
  const [columns, rows] = turn.swaps ? [height, width] : [width, height];
  const out = new Uint8Array(rgb.length);
  let to = 0;
  for (let y = 0; y < rows; y++)
    for (let x = 0; x < columns; x++) {
      // Column and row of the stored image, counted from its other end where it is mirrored.
      const [u, v] = turn.swaps ? [y, x] : [x, y];
      const from = ((turn.up ? height - 1 - v : v) * width + (turn.left ? width - 1 - u : u)) * 3;
      out[to++] = rgb[from] ?? 0;
      out[to++] = rgb[from + 1] ?? 0;
      out[to++] = rgb[from + 2] ?? 0;
    }
  return { width: columns, height: rows, rgb: out };
}
