/** An image that a model made anew, brought back to bytes. */
import type { Size } from '../../domain/size';
import { roundHalfEven } from '../../preprocessing/steps';
import { ofOneImage, OutputShapeError, type Values } from './values';

/** Rows and columns of a model's input that are the image's own, not padding. */
export interface OwnPart {
  readonly top: number;
  readonly left: number;
  readonly size: Size;
}

/** Bytes of red, green and blue, `[3, rows, columns]`. */
export interface Restoration {
  readonly size: Size;
  readonly planes: Uint8Array;
}

/**
 * As the library's example makes an image of the output `[channels, rows, columns]` in 0 … 1:
 * clipped, times 255, rounded half to even; and without what was padded to the input, whose own
 * `part` is `scale` times as large here. One channel stands for all three. Throws
 * `OutputShapeError` if the part does not lie inside.
 */
export function restorationOf(output: Values, { top, left, size }: OwnPart, scale: number): Restoration {
  const { shape, values } = ofOneImage(output, 3, 'reconstruction');
  const [channels = 0, rows = 0, columns = 0] = shape;
  const [height, width] = [size[0] * scale, size[1] * scale];
  if (
    (channels !== 1 && channels !== 3) ||
    (top + size[0]) * scale > rows ||
    (left + size[1]) * scale > columns
  )
    throw new OutputShapeError(
      `reconstruction [${shape.join(', ')}]: an image of 1 or 3 channels around ${height} × ${width} pixels is needed`,
    );
  const planes = new Uint8Array(3 * height * width);
  for (let channel = 0, to = 0; channel < 3; channel++)
    for (let y = 0; y < height; y++) {
      const row = ((channels === 1 ? 0 : channel) * rows + top * scale + y) * columns + left * scale;
      for (let x = 0; x < width; x++)
        planes[to++] = roundHalfEven(Math.fround(255 * Math.min(1, Math.max(0, values[row + x] ?? 0))));
    }
  return { size: [height, width], planes };
}
