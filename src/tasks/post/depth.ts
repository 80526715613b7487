/** Depth maps at the image's own size, as transformers' processors have them. */
import { product } from '../../domain/lists';
import type { Size } from '../../domain/size';
import { resizePlane } from './interpolate';
import { ofOneImage, type Values } from './values';

/** Depth of every pixel, row by row; its unit, if it has one, is the model's. */
export interface DepthMap {
  readonly size: Size;
  readonly values: Float32Array;
}

/**
 * Returns a predicted depth [rows, columns] at the image's size, bicubic: DPT, Depth Anything,
 * GLPN. Throws `OutputShapeError` if it has other sides.
 */
export function depthOf(depth: Values, size: Size): DepthMap {
  const { shape, values } = ofOneImage(depth, 2, 'depth');
  const [height = 0, width = 0] = shape;
  return { size, values: resizePlane(values, [height, width], size, 'bicubic') };
}

export interface PaddedOptions {
  /** The image was surrounded by its reflection, which is cut off again. */
  readonly padded: boolean;
  /** Depth of the mirrored image, turned back and averaged. */
  readonly flipped?: Values | undefined;
}

/** ZoeDepth's processor reflects this many pixels at each end of a side. */
const reflection = (side: number): number => Math.trunc(Math.sqrt(side / 2) * 3);

/**
 * Returns ZoeDepth's prediction at the image's size: bicubic to the image with its border, which is
 * cut off; the second resize of the library, from the image's size to the same, changes nothing.
 */
export function depthWithoutBorder(depth: Values, size: Size, { padded, flipped }: PaddedOptions): DepthMap {
  const { shape, values } = ofOneImage(depth, 2, 'depth');
  const [rows = 0, columns = 0] = shape;
  const own = flipped ? averaged(values, ofOneImage(flipped, 2, 'flipped depth').values, columns) : values;
  const [top, left] = padded ? [reflection(size[0]), reflection(size[1])] : [0, 0];
  const whole: Size = [size[0] + 2 * top, size[1] + 2 * left];
  const bordered = resizePlane(own, [rows, columns], whole, 'bicubic');
  const out = new Float32Array(product(size));
  for (let y = 0; y < size[0]; y++) {
    const start = (y + top) * whole[1] + left;
    out.set(bordered.subarray(start, start + size[1]), y * size[1]);
  }
  return { size, values: out };
}

function averaged(values: Float32Array, flipped: Float32Array, columns: number): Float32Array {
  return values.map((value, i) => {
    const mirrored = i - (i % columns) + (columns - 1 - (i % columns));
    return (value + (flipped[mirrored] ?? 0)) / 2;
  });
}
