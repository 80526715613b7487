import { pushAll } from '../../domain/lists';
import type { ByteSource } from '../byteSource';
import { openFile } from '../byteSource';
import { confinedPath } from '../confine';
import { CheckpointError } from '../errors';
import { limits } from '../limits';
import { signed, type ProtoField, type ProtoMessage } from '../containers/protobuf';
import { shapeProblem, shown } from '../shape';
import { byteLength, dtypes, elementCount, type DType, type Storage, type Tensor } from '../tensors';

/** Fields of TensorProto (onnx/onnx.proto). */
const tensorFields = {
  dims: 1,
  dataType: 2,
  floatData: 4,
  int32Data: 5,
  stringData: 6,
  int64Data: 7,
  name: 8,
  rawData: 9,
  doubleData: 10,
  uint64Data: 11,
  externalData: 13,
  dataLocation: 14,
} as const;

const typedFields: readonly number[] = [
  tensorFields.floatData,
  tensorFields.int32Data,
  tensorFields.int64Data,
  tensorFields.doubleData,
  tensorFields.uint64Data,
];
/** Typed fields whose packed form is the tensor's bytes as they would lie in raw_data. */
const flatFields: Readonly<Record<number, readonly DType[]>> = {
  [tensorFields.floatData]: ['F32', 'C64'],
  [tensorFields.doubleData]: ['F64', 'C128'],
};

const byOnnxType = new Map<number, DType>(
  Object.entries(dtypes).flatMap(([name, { onnx }]) => (onnx > 0 ? [[onnx, name as DType]] : [])),
);

export function onnxDtype(type: number | bigint): DType | undefined {
  return byOnnxType.get(Number(type));
}

interface ExternalFile {
  readonly file: string;
  readonly size: number;
}

/**
 * Reads the TensorProtos of one model: places, not values. Each external file is opened once, to
 * learn its size.
 */
export class TensorReader {
  private readonly external = new Map<string, Promise<ExternalFile>>();
  private inlineBytes = 0;
  /** Files that hold external data, links resolved. */
  readonly files = new Set<string>();

  constructor(private readonly source: ByteSource) {}

  async read(message: ProtoMessage, fallbackName = ''): Promise<Tensor> {
    const fields = await message.fields();
    const all = (number: number) => fields.filter((field) => field.number === number);
    const name = (await all(tensorFields.name).at(-1)?.payload.text()) || fallbackName;
    const item = `tensor ${shown(name)}`;
    const type = signed(all(tensorFields.dataType).at(-1)?.value ?? 0);
    const dtype = onnxDtype(type);
    if (!dtype) throw this.refuse(`${item} has data type ${type}; 1 to 24 are allowed`, 'unsupported');
    const shape = await this.shape(item, all(tensorFields.dims));
    const isExternal = Number(all(tensorFields.dataLocation).at(-1)?.value ?? 0) === 1;
    const storage = isExternal
      ? await this.externalData(item, all(tensorFields.externalData), byteLength({ dtype, shape }))
      : await this.ownData(item, dtype, shape, fields);
    return { name, dtype, shape, storage, start: 0 };
  }

  private async shape(item: string, dims: readonly ProtoField[]): Promise<number[]> {
    const shape = (await repeatedVarints(dims)).map(signed);
    const problem = shapeProblem(shape, 'U8');
    if (problem) throw this.refuse(`${item}: ${problem}`);
    return shape as number[];
  }

  private async ownData(
    item: string,
    dtype: DType,
    shape: readonly number[],
    fields: readonly ProtoField[],
  ): Promise<Storage> {
    if (dtype === 'STRING') return { kind: 'inline', bytes: new Uint8Array() };
    const raw = fields.filter((field) => field.number === tensorFields.rawData).at(-1);
    const typed = fields.filter((field) => typedFields.includes(field.number));
    const needed = byteLength({ dtype, shape });
    if (raw && raw.payload.length > 0 && typed.length > 0)
      throw this.refuse(`${item} has its data twice, as raw_data and as a typed field; one is allowed`);
    if (typed.length > 0) return this.typedData(item, dtype, shape, typed);
    const length = raw?.payload.length ?? 0;
    if (length !== needed)
      throw this.refuse(
        `${item}: shape ${shown(shape)} of ${dtype} needs ${needed} bytes, its raw_data has ${length}`,
      );
    return { kind: 'file', file: this.source.file, offset: raw?.payload.start ?? 0, length };
  }

  private async typedData(
    item: string,
    dtype: DType,
    shape: readonly number[],
    typed: readonly ProtoField[],
  ): Promise<Storage> {
    const needed = byteLength({ dtype, shape });
    const [first] = typed;
    if (first && typed.length === 1 && first.wire === 2 && flatFields[first.number]?.includes(dtype)) {
      if (first.payload.length !== needed)
        throw this.refuse(
          `${item}: shape ${shown(shape)} of ${dtype} needs ${needed} bytes, its data has ${first.payload.length}`,
        );
      return { kind: 'file', file: this.source.file, offset: first.payload.start, length: needed };
    }
    this.inlineBytes += needed;
    if (this.inlineBytes > limits.onnxInlineBytes)
      throw this.refuse(
        `${item}: more than ${limits.onnxInlineBytes} bytes of tensors are stored value by value; save the model with raw_data`,
        'unsupported',
      );
    const values = await this.values(typed);
    const size = dtypes[dtype].bytes;
    const count = size < 1 ? needed : elementCount(shape);
    if (values.length !== count)
      throw this.refuse(
        `${item}: shape ${shown(shape)} needs ${count} values, its data has ${values.length}`,
      );
    return { kind: 'inline', bytes: packValues(values, Math.max(size, 1)) };
  }

  /** Bits of the values as the dtype's bytes hold them. */
  private async values(typed: readonly ProtoField[]): Promise<bigint[]> {
    const values: bigint[] = [];
    for (const field of typed) {
      if (field.wire === 0) values.push(BigInt(field.value));
      else if (field.number === tensorFields.floatData) pushAll(values, await fixed(field, 4));
      else if (field.number === tensorFields.doubleData) pushAll(values, await fixed(field, 8));
      else for (const value of await field.payload.varints()) values.push(BigInt(value));
    }
    return values;
  }

  private async externalData(item: string, entries: readonly ProtoField[], needed: number): Promise<Storage> {
    const stated = new Map<string, string>();
    for (const { payload } of entries) {
      const [key, value] = await readPair(payload);
      stated.set(key, value);
    }
    const location = stated.get('location');
    if (location === undefined) throw this.refuse(`${item} is external data without a location`);
    const offset = this.count(item, 'offset', stated.get('offset') ?? '0');
    const length = this.count(item, 'length', stated.get('length') || String(needed));
    if (length !== needed)
      throw this.refuse(`${item}: its external length is ${length} bytes, its shape needs ${needed}`);
    const { file, size } = await this.openExternal(item, location);
    if (offset + length > size)
      throw this.refuse(
        `${item}: bytes ${offset} to ${offset + length} lie beyond the end of ${location} (${size} bytes); it may be truncated`,
      );
    this.files.add(file);
    return { kind: 'file', file, offset, length };
  }

  private count(item: string, key: string, text: string): number {
    const value = /^\d{1,16}$/.test(text) ? Number(text) : NaN;
    if (!Number.isSafeInteger(value))
      throw this.refuse(`${item}: its external ${key} is ${shown(text)}, a whole number from 0 is allowed`);
    return value;
  }

  private openExternal(item: string, location: string): Promise<ExternalFile> {
    const known = this.external.get(location) ?? this.inspect(item, location);
    this.external.set(location, known);
    return known;
  }

  private async inspect(item: string, location: string): Promise<ExternalFile> {
    const path = confinedPath(this.source.path, `the external data of ${item}`, location);
    const opened = await openFile(path);
    await opened.close();
    return { file: opened.file, size: opened.size };
  }

  private refuse(detail: string, kind: 'malformed' | 'unsupported' = 'malformed'): CheckpointError {
    return new CheckpointError(kind, this.source.path, detail);
  }
}

/** A repeated integer field, packed or not. */
export async function repeatedVarints(fields: readonly ProtoField[]): Promise<(number | bigint)[]> {
  const values: (number | bigint)[] = [];
  for (const field of fields) {
    if (field.wire === 0) values.push(field.value);
    else for (const value of await field.payload.varints()) values.push(value);
  }
  return values;
}

/** StringStringEntryProto. */
export async function readPair(message: ProtoMessage): Promise<[key: string, value: string]> {
  const fields = await message.fields();
  const text = async (number: number) =>
    (await fields.findLast((field) => field.number === number)?.payload.text()) ?? '';
  return [await text(1), await text(2)];
}

async function fixed(field: ProtoField, size: 4 | 8): Promise<bigint[]> {
  const bytes = await field.payload.bytes();
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const count = Math.floor(bytes.length / size);
  return Array.from({ length: count }, (_, index) =>
    size === 4 ? BigInt(view.getUint32(index * 4, true)) : view.getBigUint64(index * 8, true),
  );
}

/** Little-endian, the lowest `size` bytes of each value. */
function packValues(values: readonly bigint[], size: number): Uint8Array {
  const view = new DataView(new ArrayBuffer(values.length * size));
  const write = {
    1: (at: number, value: bigint) => view.setUint8(at, Number(value)),
    2: (at: number, value: bigint) => view.setUint16(at, Number(value), true),
    4: (at: number, value: bigint) => view.setUint32(at, Number(value), true),
    8: (at: number, value: bigint) => view.setBigUint64(at, value, true),
  }[size];
  values.forEach((value, index) => write?.(index * size, BigInt.asUintN(size * 8, value)));
  return new Uint8Array(view.buffer);
}
