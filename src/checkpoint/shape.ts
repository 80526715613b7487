import { at } from '../domain/lists';
import { byteLength, dtypes, elementCount, type DType } from './tensors';
import { limits } from './limits';

/**
 * Says what is wrong with a shape that a file states, or nothing. The product is compared as a
 * double: it may be inexact above 2^53 but never wraps around, so sizes whose product is small
 * modulo 2^64 do not pass.
 */
export function shapeProblem(shape: unknown, dtype: DType): string | undefined {
  if (!Array.isArray(shape)) return `shape ${shown(shape)} is no list of sizes`;
  if (shape.length > limits.rank)
    return `shape has ${shape.length} dimensions, at most ${limits.rank} are allowed`;
  const wrong = shape.find((size) => !isSize(size));
  if (wrong !== undefined)
    return `shape ${shown(shape)} has the size ${shown(wrong)}, a whole number from 0 to 2^53 - 1 is allowed`;
  const bits = elementCount(shape as number[]) * dtypes[dtype].bytes * 8;
  if (bits / 8 > limits.elements) return `shape ${shown(shape)} has more elements than any file can hold`;
  if (bits % 8 !== 0) return `shape ${shown(shape)} of ${dtype} is ${bits} bits, no whole number of bytes`;
  return undefined;
}

/**
 * Bytes that a tensor touches in its storage, counted from its first element: row-major or strided.
 */
export function spannedBytes(dtype: DType, shape: readonly number[], strides?: readonly number[]): number {
  if (elementCount(shape) === 0) return 0;
  if (!strides) return byteLength({ dtype, shape });
  const last = shape.reduce((sum, size, axis) => sum + (size - 1) * at(strides, axis), 0);
  return (last + 1) * dtypes[dtype].bytes;
}

/** Strides in elements of a contiguous row-major tensor. */
export function rowMajorStrides(shape: readonly number[]): number[] {
  const strides = new Array<number>(shape.length);
  for (let axis = shape.length - 1, step = 1; axis >= 0; axis--) {
    strides[axis] = step;
    step *= at(shape, axis);
  }
  return strides;
}

/** Strides of sizes 0 and 1 do not matter: PyTorch writes anything there. */
export function isRowMajor(shape: readonly number[], strides: readonly number[]): boolean {
  const usual = rowMajorStrides(shape);
  return (
    elementCount(shape) === 0 || shape.every((size, axis) => size === 1 || strides[axis] === usual[axis])
  );
}

function isSize(size: unknown): size is number {
  return Number.isSafeInteger(size) && (size as number) >= 0;
}

/** A value out of a file, cut to fit a message. */
export function shown(value: unknown): string {
  if (value === undefined) return 'absent';
  const text =
    typeof value === 'bigint'
      ? String(value)
      : (JSON.stringify(value, (_key, inner: unknown) =>
          typeof inner === 'bigint' ? String(inner) : inner,
        ) ?? String(value));
  return text.length > 80 ? `${text.slice(0, 77)}…` : text;
}
