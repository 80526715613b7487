// Safetensors as they are, without what the program makes of names.
import { closeSync, existsSync, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs';

/** Values of a tensor as numbers. */
export interface NumberArray {
  readonly shape: readonly number[];
  readonly values: Float64Array;
}

const sizes: Readonly<Record<string, number>> = {
  ...{ F64: 8, I64: 8, F32: 4, I32: 4, F16: 2, BF16: 2, I16: 2, U8: 1, I8: 1, BOOL: 1 },
};

type Reader = (view: DataView, at: number) => number;

const readers: Readonly<Record<string, Reader>> = {
  F64: (view, at) => view.getFloat64(at, true),
  F32: (view, at) => view.getFloat32(at, true),
  I64: (view, at) => Number(view.getBigInt64(at, true)),
  I32: (view, at) => view.getInt32(at, true),
  I16: (view, at) => view.getInt16(at, true),
  I8: (view, at) => view.getInt8(at),
  U8: (view, at) => view.getUint8(at),
  BOOL: (view, at) => view.getUint8(at),
};

interface Entry {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data_offsets: readonly [number, number];
}

/** All tensors of a file; undefined if there is no file. */
export function readArrays(path: string): ReadonlyMap<string, NumberArray> | undefined {
  if (!existsSync(path)) return undefined;
  const bytes = readFileSync(path);
  const length = Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.toString('utf8', 8, 8 + length)) as Readonly<Record<string, Entry>>;
  const entries = Object.entries(header).filter(([name]) => name !== '__metadata__');
  const view = new DataView(bytes.buffer, bytes.byteOffset + 8 + length);
  return new Map(entries.map(([name, entry]) => [name, arrayOf(entry, view, `${path}: ${name}`)]));
}

function arrayOf(
  { dtype, shape, data_offsets: [start, end] }: Entry,
  view: DataView,
  what: string,
): NumberArray {
  const [size, read] = [sizes[dtype], readers[dtype]];
  if (size === undefined || !read) throw new Error(`${what} is ${dtype}, which checks do not read`);
  const values = Float64Array.from({ length: (end - start) / size }, (_, at) =>
    read(view, start + at * size),
  );
  return { shape, values };
}

/** Writes a file of these tensors whose data is a hole. */
export function writeHole(
  path: string,
  tensors: readonly (readonly [name: string, dtype: string, shape: readonly number[]])[],
): void {
  let at = 0;
  const entries = tensors.map(([name, dtype, shape]) => {
    const size = sizes[dtype];
    if (size === undefined) throw new Error(`${path}: ${name} is ${dtype}, which checks do not write`);
    const start = at;
    at += shape.reduce((product, side) => product * side, size);
    return [name, { dtype, shape, data_offsets: [start, at] }];
  });
  const text = Buffer.from(JSON.stringify(Object.fromEntries(entries)));
  const header = Buffer.alloc(8 + Math.ceil(text.length / 8) * 8, ' ');
  header.writeBigUInt64LE(BigInt(header.length - 8));
  text.copy(header, 8);
  const file = openSync(path, 'w');
  try {
    writeSync(file, header);
    ftruncateSync(file, header.length + at);
  } finally {
    closeSync(file);
  }
}
