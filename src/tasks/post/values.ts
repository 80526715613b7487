/** Numbers of a model's outputs, and the arithmetic that every answer needs. */
import { product } from '../../domain/lists';
import { probabilities } from '../../labels/labels';

/** An array as outputs have it: row-major. */
export interface Values {
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

/** Outputs are for one image each: a leading side of 1 may be there or not. */
export class OutputShapeError extends Error {
  override readonly name = 'OutputShapeError';
}

/** Returns one item of the leading side, without that side. Throws `OutputShapeError` beyond it. */
export function itemOf({ shape, values }: Values, index: number): Values {
  const [count = 0, ...rest] = shape;
  if (index < 0 || index >= count)
    throw new OutputShapeError(`item ${index} asked of an output of ${shape.join(' × ')}`);
  const length = product(rest);
  return { shape: rest, values: values.subarray(index * length, (index + 1) * length) };
}

/**
 * Returns the numbers of one image with sides `rank`. Throws `OutputShapeError` if the output has
 * other sides, is of several images, or lacks numbers.
 */
export function ofOneImage(values: Values, rank: number, what: string): Values {
  const found = values.shape.length === rank + 1 && values.shape[0] === 1 ? itemOf(values, 0) : values;
  if (found.shape.length === rank && found.values.length === product(found.shape)) return found;
  throw new OutputShapeError(`${what} of ${values.shape.join(' × ')} found; ${rank} sides are needed`);
}

export const sigmoid = (value: number): number => 1 / (1 + Math.exp(-value));

/** Softmax over all values, in float64. */
export const softmax = (values: ArrayLike<number>): Float64Array => probabilities(values, 'softmax');

/** Position of the largest value, the first of equals; -1 of none. */
export function argmax(values: ArrayLike<number>): number {
  let best = -1;
  for (let i = 0; i < values.length; i++) if (best < 0 || (values[i] ?? 0) > (values[best] ?? 0)) best = i;
  return best;
}
