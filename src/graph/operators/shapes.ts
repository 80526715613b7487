import { elementCount } from '../../checkpoint/tensors';
import { at, largest } from '../../domain/lists';
import type { Call } from './call';

/** NumPy's broadcasting of several shapes, which ONNX shares. */
export function broadcast(call: Call, shapes: readonly (readonly number[])[]): readonly number[] {
  const rank = largest([0, ...shapes.map((shape) => shape.length)]);
  return Array.from({ length: rank }, (_, axis) => {
    const sizes = shapes.map((shape) => shape[axis - rank + shape.length] ?? 1).filter((size) => size !== 1);
    if (sizes.some((size) => size !== sizes[0])) call.fail('shapes do not broadcast');
    return sizes[0] ?? 1;
  });
}

/** Row-major strides in elements. */
export function strides(shape: readonly number[]): readonly number[] {
  const result = new Array<number>(shape.length).fill(1);
  let step = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    result[axis] = step;
    step *= at(shape, axis);
  }
  return result;
}

/** Strides that read `shape` as if it were broadcast to `rank` axes: 0 along repeated ones. */
export function broadcastStrides(shape: readonly number[], rank: number): readonly number[] {
  const own = strides(shape);
  return Array.from({ length: rank }, (_, axis) => {
    const place = axis - rank + shape.length;
    return place < 0 || shape[place] === 1 ? 0 : at(own, place);
  });
}

/** `read(index)` for every index of `shape` in row-major order. The index array is reused. */
export function collect(shape: readonly number[], read: (index: readonly number[]) => number): Float64Array {
  const result = new Float64Array(elementCount(shape));
  const index = new Array<number>(shape.length).fill(0);
  for (let flat = 0; flat < result.length; flat++) {
    result[flat] = read(index);
    for (let axis = shape.length - 1; axis >= 0 && ++index[axis]! === shape[axis]; axis--) index[axis] = 0;
  }
  return result;
}

/**
 * `compute` of the elements at each place of operands that are broadcast to `shape` by their steps,
 * in row-major order. The array of elements is reused.
 */
export function collectBroadcast(
  shape: readonly number[],
  operands: readonly { readonly values: ArrayLike<number>; readonly steps: readonly number[] }[],
  compute: (elements: readonly number[]) => number,
): Float64Array {
  const result = new Float64Array(elementCount(shape));
  const index = new Array<number>(shape.length).fill(0);
  const places = operands.map(() => 0);
  const elements = operands.map(() => 0);
  const move = (axis: number, by: number): void =>
    operands.forEach(({ steps }, operand) => (places[operand] = at(places, operand) + by * at(steps, axis)));
  for (let flat = 0; flat < result.length; flat++) {
    operands.forEach(({ values }, operand) => (elements[operand] = at(values, at(places, operand))));
    result[flat] = compute(elements);
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      const [size, next] = [at(shape, axis), at(index, axis) + 1];
      index[axis] = next === size ? 0 : next;
      move(axis, next === size ? 1 - size : 1);
      if (next < size) break;
    }
  }
  return result;
}

/** Place of an index in a tensor of the given strides. */
export function flatIndex(index: readonly number[], steps: readonly number[]): number {
  let place = 0;
  for (let axis = 0; axis < index.length; axis++) place += at(index, axis) * at(steps, axis);
  return place;
}

/** The shape with `axis` set to `size`. */
export function withAxis(shape: readonly number[], axis: number, size: number): readonly number[] {
  return shape.map((old, place) => (place === axis ? size : old));
}
