import { elementCount, type DType } from '../../checkpoint/tensors';
import { at } from '../../domain/lists';
import type { ConstantTensor } from '../graph';

type NumericArray =
  | Uint8Array
  | Int8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | Float32Array
  | Float64Array
  | BigInt64Array
  | BigUint64Array;

const arrays: Partial<Record<DType, new (length: number) => NumericArray>> = {
  BOOL: Uint8Array,
  U8: Uint8Array,
  I8: Int8Array,
  I16: Int16Array,
  U16: Uint16Array,
  I32: Int32Array,
  U32: Uint32Array,
  I64: BigInt64Array,
  U64: BigUint64Array,
  F32: Float32Array,
  F64: Float64Array,
};

const integers: ReadonlySet<DType> = new Set(['U8', 'I8', 'I16', 'U16', 'I32', 'U32', 'I64', 'U64']);

export const isInteger = (dtype: DType): boolean => integers.has(dtype);

/** Whether constants of this type can be computed with. */
export const isFoldable = (dtype: DType): boolean => arrays[dtype] !== undefined;

/**
 * A constant's elements as numbers, row-major; undefined for types that are not computed with (half
 * precision, packed). 64-bit integers beyond 2^53 lose their last digits: they occur as "to the
 * end" sentinels only, which clamping makes them equal.
 */
export function decode(constant: ConstantTensor): ArrayLike<number> | undefined {
  const { dtype, shape, bytes } = constant;
  const array = arrays[dtype];
  if (!array) return undefined;
  const count = elementCount(shape);
  // Axes and shapes, which every other operator asks for, are read where they lie.
  if (dtype === 'I64' && bytes.byteOffset % 8 === 0 && bytes.byteLength === 8 * count)
    return Array.from(new BigInt64Array(bytes.buffer, bytes.byteOffset, count), Number);
  const values = new array(count);
  new Uint8Array(values.buffer).set(bytes.subarray(0, values.byteLength));
  return values instanceof BigInt64Array || values instanceof BigUint64Array
    ? Array.from(values, Number)
    : values;
}

/**
 * A number as a 64-bit integer; values beyond its range, "to the end" sentinels rounded up, become
 * its limits.
 */
export const clampTo64 = (value: number, dtype: 'I64' | 'U64'): bigint => {
  const [low, high] = dtype === 'I64' ? [-(2n ** 63n), 2n ** 63n - 1n] : [0n, 2n ** 64n - 1n];
  const whole = Number.isFinite(value) ? BigInt(Math.trunc(value)) : value > 0 ? high : low;
  return whole < low ? low : whole > high ? high : whole;
};

/** Inverse of `decode`: numbers as a constant of `dtype`. */
export function encode(dtype: DType, shape: readonly number[], values: ArrayLike<number>): ConstantTensor {
  const array = arrays[dtype];
  if (!array) throw new Error(`${dtype} constants are not computed with`);
  const data = new array(values.length);
  if (data instanceof BigInt64Array || data instanceof BigUint64Array)
    for (let index = 0; index < values.length; index++)
      data[index] = clampTo64(at(values, index), data instanceof BigInt64Array ? 'I64' : 'U64');
  else data.set(values);
  return { dtype, shape, bytes: new Uint8Array(data.buffer) };
}
