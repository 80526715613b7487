import { at, largest } from '../domain/lists';
import { openFile, type ByteSource, type Opener } from './byteSource';
import { CheckpointError } from './errors';
import { rowMajorStrides, shown, spannedBytes } from './shape';
import { byteLength, dtypes, elementCount, type DType, type Tensor } from './tensors';
import { inflateRange } from './containers/zip';

/** Bytes of a strided storage that are held at once while its elements are gathered. */
const slabBytes = 16 * 2 ** 20;

/**
 * A tensor's values as contiguous row-major little-endian bytes, whatever its storage is: deflated,
 * strided, big-endian. Memory: the result, one slab of 16 MB, and for a deflated strided tensor the
 * part of the storage that it spans. Throws `CheckpointError`.
 */
export async function readTensor(tensor: Tensor, open: Opener = openFile): Promise<Uint8Array> {
  return withStorage(tensor, open, async (storage) => {
    const bytes = tensor.strides
      ? await readStrided(storage, tensor, tensor.strides)
      : await storage.read(tensor.start, byteLength(tensor));
    return tensor.bigEndian ? swapped(bytes, tensor.dtype) : bytes;
  });
}

/**
 * Elements `first` to `first + count` in row-major order, as `readTensor` would give them; for
 * showing a page of a large tensor. A range beyond the last element is cut.
 */
export async function readElements(tensor: Tensor, first: number, count: number): Promise<Uint8Array> {
  const end = Math.min(first + count, elementCount(tensor.shape));
  if (first >= end) return new Uint8Array();
  return withStorage(tensor, openFile, async (storage) => {
    const bytes = tensor.strides
      ? await readIndices(storage, tensor, indicesOf(tensor.shape, tensor.strides, first, end))
      : await readRange(storage, tensor, first, end);
    return tensor.bigEndian ? swapped(bytes, tensor.dtype) : bytes;
  });
}

/** Bytes between small tensors that are read with them, and bytes that are read in one piece. */
const together = { gap: 4096, piece: 2 ** 20 } as const;

/**
 * The same of many small tensors, in their order: neighbours in a file are read in one piece.
 * Throws `CheckpointError`.
 */
export async function readTogether(tensors: readonly Tensor[], open: Opener): Promise<readonly Uint8Array[]> {
  const places = tensors.map((tensor, index) => ({ tensor, index, ...placeOf(tensor) }));
  const found = new Array<Uint8Array>(tensors.length);
  let piece: typeof places = [];
  const take = async (): Promise<void> => {
    const [first] = piece;
    const end = largest(piece.map((each) => each.end));
    if (!first) return;
    const isAlone = piece.length === 1;
    const bytes = isAlone ? undefined : await readTensor(spanOf(first.tensor, end - first.start), open);
    for (const { tensor, index, start } of piece)
      found[index] = bytes
        ? bytes.slice(start - first.start, start - first.start + byteLength(tensor))
        : await readTensor(tensor, open);
    piece = [];
  };
  for (const next of places.toSorted((a, b) =>
    a.file < b.file ? -1 : a.file > b.file ? 1 : a.start - b.start,
  )) {
    const [first] = piece;
    const last = piece.at(-1);
    const isNear =
      first &&
      last &&
      next.file !== '' &&
      next.file === last.file &&
      next.start - last.end <= together.gap &&
      next.end - first.start <= together.piece;
    if (!isNear) await take();
    piece.push(next);
  }
  await take();
  return found;
}

/** Where a tensor lies as it is; no file if its bytes must be inflated, gathered or swapped. */
function placeOf(tensor: Tensor): { readonly file: string; readonly start: number; readonly end: number } {
  const { storage, strides, bigEndian } = tensor;
  if (storage.kind === 'inline' || storage.deflated || strides || bigEndian)
    return { file: '', start: 0, end: 0 };
  const start = storage.offset + tensor.start;
  return { file: storage.file, start, end: start + byteLength(tensor) };
}

/** So many bytes from where a tensor begins. */
const spanOf = (tensor: Tensor, length: number): Tensor => ({
  ...tensor,
  dtype: 'U8',
  shape: [length],
  ...(tensor.storage.kind === 'file' && { storage: { ...tensor.storage, length: tensor.start + length } }),
});

/** A storage's (inflated) bytes by range. */
interface StorageReader {
  read(start: number, length: number): Promise<Uint8Array>;
  /** Reading a range costs about its length; deflated streams start over each time. */
  readonly seekable: boolean;
}

async function withStorage<T>(
  tensor: Tensor,
  open: Opener,
  use: (storage: StorageReader) => Promise<T>,
): Promise<T> {
  const { storage } = tensor;
  if (storage.kind === 'inline') {
    return use({
      seekable: true,
      read: async (start, length) => new Uint8Array(storage.bytes.subarray(start, start + length)),
    });
  }
  const source = await open(storage.file);
  try {
    requireUnchanged(tensor, source, storage.offset + storage.length);
    const { offset, deflated } = storage;
    return await use({
      seekable: !deflated,
      read: (start, length) =>
        deflated
          ? inflateRange(
              source,
              shown(tensor.name),
              offset,
              storage.length,
              start,
              length,
              start + length === deflated.size,
            )
          : source.read(offset + start, length),
    });
  } finally {
    await source.close();
  }
}

function requireUnchanged(tensor: Tensor, source: ByteSource, end: number): void {
  if (end <= source.size) return;
  throw new CheckpointError(
    'unreadable',
    source.path,
    `tensor ${shown(tensor.name)}: the file changed since it was opened: it ends at byte ${source.size}, the tensor at ${end}; open it again`,
  );
}

function readRange(
  storage: StorageReader,
  { dtype, start }: Tensor,
  first: number,
  end: number,
): Promise<Uint8Array> {
  const size = dtypes[dtype].bytes;
  const from = Math.floor(first * size);
  return storage.read(start + from, Math.ceil(end * size) - from);
}

/** A block of a strided tensor and where it goes in the row-major result. */
interface Block {
  readonly shape: readonly number[];
  /** Element index of its first element in the storage and in the result. */
  readonly from: number;
  readonly to: number;
}

async function readStrided(
  storage: StorageReader,
  tensor: Tensor,
  strides: readonly number[],
): Promise<Uint8Array> {
  const { dtype, shape, start } = tensor;
  const size = dtypes[dtype].bytes;
  const out = new Uint8Array(byteLength(tensor));
  if (out.length === 0) return out;
  const outStrides = rowMajorStrides(shape);
  const limit = storage.seekable ? slabBytes : Infinity;
  for (const { shape: part, from, to } of blocks(
    { shape, from: 0, to: 0 },
    strides,
    outStrides,
    limit / size,
  )) {
    const slab = await storage.read(start + from * size, spannedBytes(dtype, part, strides));
    gather(slab, strides, out, outStrides, part, to, size);
  }
  return out;
}

/**
 * Cuts along the axis with the largest stride until every block spans at most `limit` elements of
 * the storage.
 */
function* blocks(
  block: Block,
  strides: readonly number[],
  outStrides: readonly number[],
  limit: number,
): Generator<Block> {
  const { shape, from, to } = block;
  const span = spannedBytes('U8', shape, strides);
  const axis = shape.reduce(
    (best, size, index) => (size > 1 && (best < 0 || at(strides, index) > at(strides, best)) ? index : best),
    -1,
  );
  if (span <= limit || axis < 0) return yield block;
  const rest = spannedBytes('U8', shape.with(axis, 1), strides);
  const [side, stride, outStride] = [at(shape, axis), at(strides, axis), at(outStrides, axis)];
  const rows = stride === 0 ? side : Math.max(1, Math.floor((limit - rest) / stride) + 1);
  for (let row = 0; row < side; row += rows) {
    const part = shape.with(axis, Math.min(rows, side - row));
    yield* blocks(
      { shape: part, from: from + row * stride, to: to + row * outStride },
      strides,
      outStrides,
      limit,
    );
  }
}

function gather(
  slab: Uint8Array,
  strides: readonly number[],
  out: Uint8Array,
  outStrides: readonly number[],
  shape: readonly number[],
  to: number,
  size: number,
): void {
  const copy = (axis: number, source: number, target: number): void => {
    if (axis === shape.length) {
      for (let byte = 0; byte < size; byte++) out[target * size + byte] = slab[source * size + byte] ?? 0;
      return;
    }
    const [side = 0, stride = 0, outStride = 0] = [shape[axis], strides[axis], outStrides[axis]];
    for (let index = 0; index < side; index++)
      copy(axis + 1, source + index * stride, target + index * outStride);
  };
  copy(0, 0, to);
}

/** Storage indices of elements `first` to `end` of a strided tensor in row-major order. */
function indicesOf(
  shape: readonly number[],
  strides: readonly number[],
  first: number,
  end: number,
): number[] {
  const rowMajor = rowMajorStrides(shape);
  return Array.from({ length: end - first }, (_, index) =>
    shape.reduce(
      (sum, size, axis) =>
        sum + (Math.floor((first + index) / at(rowMajor, axis)) % size) * at(strides, axis),
      0,
    ),
  );
}

async function readIndices(
  storage: StorageReader,
  { dtype, start }: Tensor,
  indices: readonly number[],
): Promise<Uint8Array> {
  const size = dtypes[dtype].bytes;
  const out = new Uint8Array(indices.length * size);
  const lowest = indices.reduce((least, index) => Math.min(least, index), Infinity);
  const highest = indices.reduce((most, index) => Math.max(most, index), 0);
  const span = (highest - lowest + 1) * size;
  const slab =
    span <= slabBytes || !storage.seekable ? await storage.read(start + lowest * size, span) : undefined;
  for (const [at, index] of indices.entries()) {
    const from = (index - lowest) * size;
    out.set(
      slab ? slab.subarray(from, from + size) : await storage.read(start + index * size, size),
      at * size,
    );
  }
  return out;
}

/** Reverses the bytes of every number; a complex one is two numbers. */
function swapped(bytes: Uint8Array, dtype: DType): Uint8Array {
  const size = dtypes[dtype].bytes / (dtype === 'C64' || dtype === 'C128' ? 2 : 1);
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (size === 2) buffer.swap16();
  else if (size === 4) buffer.swap32();
  else if (size === 8) buffer.swap64();
  return bytes;
}

// -- numbers

type Numbers = Readonly<Partial<Record<DType, (bytes: Uint8Array) => ArrayLike<number | bigint>>>>;

/**
 * Typed arrays need aligned buffers; bytes out of a file may begin anywhere. A copy: `slice` of a
 * Buffer is none.
 */
function aligned<T>(make: (buffer: ArrayBuffer) => T): (bytes: Uint8Array) => T {
  return (bytes) => make(new Uint8Array(bytes).buffer);
}

const direct: Numbers = {
  F32: aligned((buffer) => new Float32Array(buffer)),
  F64: aligned((buffer) => new Float64Array(buffer)),
  BOOL: (bytes) => bytes.map((byte) => (byte === 0 ? 0 : 1)),
  U8: (bytes) => bytes,
  I8: aligned((buffer) => new Int8Array(buffer)),
  I16: aligned((buffer) => new Int16Array(buffer)),
  U16: aligned((buffer) => new Uint16Array(buffer)),
  I32: aligned((buffer) => new Int32Array(buffer)),
  U32: aligned((buffer) => new Uint32Array(buffer)),
  I64: aligned((buffer) => new BigInt64Array(buffer)),
  U64: aligned((buffer) => new BigUint64Array(buffer)),
};

interface SmallFloat {
  readonly exponentBits: number;
  readonly mantissaBits: number;
  readonly bias: number;
  /** All exponent bits set mean infinity and NaN; E4M3 has no infinity and one NaN per sign. */
  readonly ieee: boolean;
}

/** IEEE half, bfloat16, and the 8-bit floats of https://arxiv.org/abs/2209.05433. */
const smallFloats: Readonly<Partial<Record<DType, SmallFloat>>> = {
  F16: { exponentBits: 5, mantissaBits: 10, bias: 15, ieee: true },
  BF16: { exponentBits: 8, mantissaBits: 7, bias: 127, ieee: true },
  F8_E4M3: { exponentBits: 4, mantissaBits: 3, bias: 7, ieee: false },
  F8_E5M2: { exponentBits: 5, mantissaBits: 2, bias: 15, ieee: true },
};

const decodedTables = new Map<DType, Float32Array>();

/**
 * Converts contiguous little-endian bytes to float32. F64 and integers are rounded to the nearest;
 * the others are exact. Throws `RangeError` for types that are no plain numbers (complex, packed 4
 * and 6 bit, text).
 */
export function toFloat32(bytes: Uint8Array, dtype: DType): Float32Array {
  const small = smallFloats[dtype];
  if (small) return lookUp(bytes, dtype, small);
  const numbers = direct[dtype]?.(bytes);
  if (!numbers) throw new RangeError(`values of ${dtype} are no plain numbers`);
  return numbers instanceof Float32Array ? numbers : Float32Array.from(numbers as ArrayLike<number>, Number);
}

/** 8 and 16 bits have few enough values to decode each once. */
function lookUp(bytes: Uint8Array, dtype: DType, float: SmallFloat): Float32Array {
  const bits = 1 + float.exponentBits + float.mantissaBits;
  const table =
    decodedTables.get(dtype) ??
    Float32Array.from({ length: 2 ** bits }, (_, code) => decodeSmall(code, float));
  decodedTables.set(dtype, table);
  const codes = bits === 8 ? bytes : new Uint16Array(new Uint8Array(bytes).buffer);
  const out = new Float32Array(codes.length);
  for (let index = 0; index < codes.length; index++) out[index] = table[codes[index]!]!;
  return out;
}

function decodeSmall(code: number, { exponentBits, mantissaBits, bias, ieee }: SmallFloat): number {
  const sign = code >> (exponentBits + mantissaBits) ? -1 : 1;
  const highest = 2 ** exponentBits - 1;
  const exponent = (code >> mantissaBits) & highest;
  const mantissa = code & (2 ** mantissaBits - 1);
  if (ieee && exponent === highest) return mantissa ? NaN : sign * Infinity;
  if (!ieee && exponent === highest && mantissa === 2 ** mantissaBits - 1) return NaN;
  const fraction = mantissa / 2 ** mantissaBits;
  return sign * (exponent ? (1 + fraction) * 2 ** (exponent - bias) : fraction * 2 ** (1 - bias));
}

/** How a number of a type reads that 32-bit floats would round, from its little-endian bytes. */
const exactNumbers: Partial<Record<DType, (view: DataView) => bigint | number>> = {
  I64: (view) => view.getBigInt64(0, true),
  U64: (view) => view.getBigUint64(0, true),
  I32: (view) => view.getInt32(0, true),
  U32: (view) => view.getUint32(0, true),
  F64: (view) => view.getFloat64(0, true),
};

/**
 * The first number of `bytes` as it is stored; undefined for types that 32-bit floats hold whole.
 */
export function exactText(bytes: Uint8Array, dtype: DType): string | undefined {
  const read = exactNumbers[dtype];
  if (!read || bytes.length < dtypes[dtype].bytes) return undefined;
  return String(read(new DataView(bytes.buffer, bytes.byteOffset)));
}
