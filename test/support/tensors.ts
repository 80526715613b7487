/** Reads small safetensors files whole. */
import { readFileSync } from 'node:fs';

export interface Tensor {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}

/** All tensors of a file by their names. */
export function readTensorFile(path: string): ReadonlyMap<string, Tensor> {
  const file = readFileSync(path);
  const start = 8 + Number(file.readBigUInt64LE(0));
  const header = JSON.parse(file.toString('utf8', 8, start)) as Record<
    string,
    { dtype: string; shape: number[]; data_offsets: [number, number] }
  >;
  delete header['__metadata__'];
  return new Map(
    Object.entries(header).map(
      ([
        name,
        {
          dtype,
          shape,
          data_offsets: [from, to],
        },
      ]) => [name, { dtype, shape, bytes: new Uint8Array(file.subarray(start + from, start + to)) }],
    ),
  );
}

const readers: Readonly<Record<string, (buffer: ArrayBufferLike) => ArrayLike<number | bigint>>> = {
  F64: (buffer) => new Float64Array(buffer),
  F32: (buffer) => new Float32Array(buffer),
  I64: (buffer) => new BigInt64Array(buffer),
  I32: (buffer) => new Int32Array(buffer),
  U8: (buffer) => new Uint8Array(buffer),
  BOOL: (buffer) => new Uint8Array(buffer),
};

/** The numbers of a tensor. Throws if it is of a dtype that no test needs. */
export function numbersOf({ dtype, bytes }: Tensor): Float64Array {
  const reader = readers[dtype];
  if (!reader) throw new Error(`no reader for ${dtype}`);
  return Float64Array.from(reader(bytes.slice().buffer) as ArrayLike<number>, Number);
}
