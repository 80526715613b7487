import {
  isKind,
  isRecord,
  nameOf,
  type PickleObject,
  type PicklePersistent,
  type PickleValue,
} from './pickle';
import { isRowMajor, rowMajorStrides, shapeProblem, shown, spannedBytes } from '../shape';
import { limits } from '../limits';
import { byteLength, dtypes, elementCount, type DType, type Affine } from '../tensors';

/**
 * A tensor as a PyTorch pickle describes it: a view of a storage that lies somewhere else in the
 * file.
 */
export interface PickledTensor {
  readonly dtype: DType;
  readonly shape: readonly number[];
  /** Absent if the tensor is contiguous in row-major order. */
  readonly strides?: readonly number[];
  /** Byte offset of the first element in its storage. */
  readonly start: number;
  readonly storage: PickledStorage | PickledBytes;
  readonly bigEndian?: true;
  /** What its integers stand for, if it is quantised as a whole. */
  readonly affine?: Affine;
}

/** Scales and zero points `[rows]` of a tensor that is quantised row by row. */
export interface QuantisedRows {
  readonly scales: PickleObject;
  readonly zeroPoints: PickleObject;
}

export interface PickledStorage {
  readonly kind: 'storage';
  readonly key: string;
  /** Bytes of the whole storage. */
  readonly bytes: number;
  /** Bytes of one element of its declared type: the legacy format counts storages in elements. */
  readonly elementBytes: number;
}

/** A NumPy array: its bytes stand in the pickle itself. */
export interface PickledBytes {
  readonly kind: 'bytes';
  readonly bytes: Uint8Array;
}

/** A description of a tensor that cannot be right; `kind` as in `CheckpointError`. */
export class PickledTensorError extends Error {
  constructor(
    readonly kind: 'malformed' | 'unsupported',
    message: string,
  ) {
    super(message);
  }
}

/**
 * PyTorch's storage classes, and the dtypes that `_rebuild_tensor_v3` names beside an
 * UntypedStorage.
 */
const storageTypes: Readonly<Record<string, DType>> = {
  FloatStorage: 'F32',
  DoubleStorage: 'F64',
  HalfStorage: 'F16',
  BFloat16Storage: 'BF16',
  LongStorage: 'I64',
  IntStorage: 'I32',
  ShortStorage: 'I16',
  CharStorage: 'I8',
  ByteStorage: 'U8',
  BoolStorage: 'BOOL',
  ComplexFloatStorage: 'C64',
  ComplexDoubleStorage: 'C128',
  UntypedStorage: 'U8',
  QInt8Storage: 'I8',
  QUInt8Storage: 'U8',
  QInt32Storage: 'I32',
};

const torchDtypes: Readonly<Record<string, DType>> = {
  float32: 'F32',
  float64: 'F64',
  float16: 'F16',
  bfloat16: 'BF16',
  int64: 'I64',
  int32: 'I32',
  int16: 'I16',
  int8: 'I8',
  uint8: 'U8',
  uint16: 'U16',
  uint32: 'U32',
  uint64: 'U64',
  bool: 'BOOL',
  complex64: 'C64',
  complex128: 'C128',
  float8_e4m3fn: 'F8_E4M3',
  float8_e4m3fnuz: 'F8_E4M3FNUZ',
  float8_e5m2: 'F8_E5M2',
  float8_e5m2fnuz: 'F8_E5M2FNUZ',
  float8_e8m0fnu: 'F8_E8M0',
};

type Rebuild = (args: readonly PickleValue[], value: PickleObject) => PickledTensor;

/** `torch._utils._rebuild_*` (torch/_utils.py): argument lists of every PyTorch since 0.1.12. */
const rebuilders: Readonly<Record<string, Rebuild>> = {
  'torch._utils._rebuild_tensor': ([storage, offset, size, stride]) => strided(storage, offset, size, stride),
  'torch._utils._rebuild_tensor_v2': ([storage, offset, size, stride]) =>
    strided(storage, offset, size, stride),
  'torch._utils._rebuild_tensor_v3': ([storage, offset, size, stride, , , dtype]) =>
    strided(storage, offset, size, stride, torchDtype(dtype)),
  'torch._utils._rebuild_qtensor': ([storage, offset, size, stride], value) => ({
    ...strided(storage, offset, size, stride),
    ...affineOf(value),
  }),
  'torch._utils._rebuild_parameter': ([data]) => inner(data),
  'torch._utils._rebuild_parameter_with_state': ([data]) => inner(data),
  'torch._tensor._rebuild_from_type': ([rebuild, , args]) => rebuilt(rebuild, args),
  'torch._tensor._rebuild_from_type_v2': ([rebuild, , args, state]) =>
    distributed(args, state) ?? rebuilt(rebuild, args),
  // Devices without storages of their own (XLA, MPS): an array or a tensor of the processor.
  'torch._utils._rebuild_device_tensor_from_numpy': ([data]) => inner(data),
  'torch._utils._rebuild_device_tensor_from_cpu_tensor': ([data]) => inner(data),
  'torch._utils._rebuild_xla_tensor': ([data]) => inner(data),
};

/** `(torch.per_tensor_affine, scale, zero point)`; undefined if each row has its own. */
function affineOf(value: PickleObject): Pick<PickledTensor, 'affine'> {
  if (quantisedRows(value)) return {};
  const quantizer = value.args[4];
  const [scheme, scale, zeroPoint] =
    quantizer !== undefined && isKind(quantizer, 'tuple') ? quantizer.items : [];
  const name = schemeName(scheme);
  if (name !== 'torch.per_tensor_affine' || !isKind(scale, 'float') || typeof zeroPoint !== 'number')
    throw new PickledTensorError('unsupported', `a quantised tensor (${name}); it is left out`);
  return { affine: { scale: scale.value, zeroPoint } };
}

/**
 * Scales and zero points of a tensor that is quantised row by row; undefined for any other value.
 */
export function quantisedRows({ type, args }: PickleObject): QuantisedRows | undefined {
  if (
    nameOf(type) === 'torch._utils._rebuild_parameter' &&
    args[0] !== undefined &&
    isKind(args[0], 'object')
  )
    return quantisedRows(args[0]);
  if (nameOf(type) !== 'torch._utils._rebuild_qtensor') return undefined;
  const [scheme, scales, zeroPoints, axis] =
    args[4] !== undefined && isKind(args[4], 'tuple') ? args[4].items : [];
  const isTensor = (value: PickleValue | undefined): value is PickleObject =>
    value !== undefined && isKind(value, 'object') && isPickledTensor(value);
  return axis === 0 &&
    schemeName(scheme) === 'torch.per_channel_affine' &&
    isTensor(scales) &&
    isTensor(zeroPoints)
    ? { scales, zeroPoints }
    : undefined;
}

const schemeName = (scheme: PickleValue | undefined): string =>
  isKind(scheme, 'global') ? nameOf(scheme) : 'no scheme';

const unsupported: Readonly<Record<string, string>> = {
  'torch._utils._rebuild_meta_tensor_no_storage': 'a meta tensor: the file holds its shape but no data',
  'torch._utils._rebuild_sparse_tensor': 'a sparse tensor',
  'torch._utils._rebuild_sparse_csr_tensor': 'a sparse tensor',
  'torch._utils._rebuild_nested_tensor': 'a nested tensor',
  'torch._utils._rebuild_wrapper_subclass': 'a tensor of a class of its own',
};

const rebuilding = /^torch\.(_utils|_tensor)\._rebuild/;
const numpyArray = /^numpy\.(core|_core)\.(multiarray\._reconstruct|numeric\._frombuffer)$/;

/**
 * The value stands for a tensor (of whatever kind), judged by the function that would have rebuilt
 * it.
 */
export function isPickledTensor(value: PickleValue): boolean {
  return isKind(value, 'object') && rebuilding.test(nameOf(value.type));
}

export function isPickledArray(value: PickleValue): boolean {
  return isKind(value, 'object') && numpyArray.test(nameOf(value.type));
}

/**
 * Checks everything that a pickle says of a tensor except where its storage lies. Throws
 * `PickledTensorError`.
 */
export function parsePickledTensor(value: PickleObject): PickledTensor {
  if (isPickledArray(value)) return numpy(value);
  const name = nameOf(value.type);
  const rebuild = rebuilders[name];
  if (!rebuild)
    throw new PickledTensorError(
      'unsupported',
      `${unsupported[name] ?? name}${ownClass(value.args)}; it is left out`,
    );
  return rebuild(value.args, value);
}

/** Names the classes among the arguments: `torch.distributed.tensor.DTensor`. */
function ownClass(args: readonly PickleValue[]): string {
  const classes = args.filter((arg) => isKind(arg, 'global')).map(nameOf);
  return classes.length > 0 ? ` (${classes.join(', ')})` : '';
}

function inner(data: PickleValue | undefined): PickledTensor {
  if (data === undefined || !isKind(data, 'object')) throw broken('a parameter without a tensor');
  return parsePickledTensor(data);
}

function rebuilt(rebuild: PickleValue | undefined, args: PickleValue | undefined): PickledTensor {
  if (!isKind(rebuild, 'global') || !isKind(args, 'tuple'))
    throw broken('a tensor without a rebuilding function');
  return parsePickledTensor({ kind: 'object', type: rebuild, args: args.items });
}

/**
 * A DTensor of FSDP 2 or tensor parallelism holds the part of one process: the whole tensor only if
 * the sizes are equal. Nothing for other classes of tensors.
 */
function distributed(
  args: PickleValue | undefined,
  state: PickleValue | undefined,
): PickledTensor | undefined {
  // The state of an object with slots is a pair, of which the second holds the attributes.
  const attributes = isKind(state, 'tuple') ? state.items.at(-1) : state;
  if (!isKind(args, 'tuple') || !isKind(attributes, 'dict')) return undefined;
  const local = attributes.entries.get('_local_tensor');
  if (local === undefined) return undefined;
  const part = inner(local);
  const whole = sizes('size', args.items[2]);
  if (whole.join() === part.shape.join()) return part;
  throw new PickledTensorError(
    'unsupported',
    `a DTensor of which the file holds one process's part, ${shown(part.shape)} of ${shown(whole)}; it is left out. ${gather}`,
  );
}

const gather =
  'Save the whole with get_model_state_dict(model, options=StateDictOptions(full_state_dict=True))';

function strided(
  storageValue: PickleValue | undefined,
  offset: PickleValue | undefined,
  size: PickleValue | undefined,
  stride: PickleValue | undefined,
  ownDtype?: DType,
): PickledTensor {
  if (stride === undefined)
    throw broken('_rebuild_tensor_v2 needs a storage, an offset, a size and a stride, fewer were given');
  if (!isKind(storageValue, 'persistent')) throw broken('its storage is no storage');
  const { storage, dtype: storageDtype } = parseStorage(storageValue);
  const dtype = ownDtype ?? storageDtype;
  const shape = sizes('size', size);
  const strides = sizes('stride', stride);
  const problem = shapeProblem(shape, dtype);
  if (problem) throw broken(problem);
  if (strides.length !== shape.length) throw broken(`${shape.length} sizes and ${strides.length} strides`);
  return view(storage, dtype, shape as number[], strides, offset);
}

function view(
  storage: PickledStorage,
  dtype: DType,
  shape: readonly number[],
  strides: readonly unknown[],
  offset: PickleValue | undefined,
): PickledTensor {
  const wrong = strides.find((step) => !isCount(step));
  if (wrong !== undefined)
    throw broken(
      `stride ${shown(strides)} has ${shown(wrong)}, a whole number from 0 to 2^53 - 1 is allowed`,
    );
  if (!isCount(offset))
    throw broken(`storage offset ${shown(offset)}, a whole number from 0 to 2^53 - 1 is allowed`);
  const start = offset * dtypes[dtype].bytes;
  const end = start + spannedBytes(dtype, shape, strides as number[]);
  if (elementCount(shape) > 0 && end > storage.bytes)
    throw broken(
      `size ${shown(shape)}, stride ${shown(strides)} and offset ${offset} reach byte ${end} of storage ${shown(storage.key)}, which has ${storage.bytes}`,
    );
  const unfolded = byteLength({ dtype, shape });
  if (unfolded > Math.max(storage.bytes, limits.expandedBytes))
    throw broken(
      `size ${shown(shape)} unfolds to ${unfolded} bytes out of a storage of ${storage.bytes}; at most ${limits.expandedBytes} are allowed`,
    );
  const contiguous = isRowMajor(shape, strides as number[]);
  return { dtype, shape, storage, start, ...(contiguous ? {} : { strides: strides as number[] }) };
}

/**
 * `('storage', torch.FloatStorage, key, location, numel)`; the legacy format has a view (or None)
 * as a sixth item.
 */
export function parseStorage({ id }: PicklePersistent): { storage: PickledStorage; dtype: DType } {
  if (!isKind(id, 'tuple') || id.items.length < 5 || id.items[0] !== 'storage')
    throw broken("its persistent id is no ('storage', type, key, location, numel)");
  const [, type, key, , numel, viewOf] = id.items;
  if (!isKind(type, 'global'))
    throw broken(`the storage type of its persistent id is ${shown(plain(type))}, a class is allowed`);
  const dtype =
    Object.hasOwn(storageTypes, type.name) && type.module.startsWith('torch')
      ? storageTypes[type.name]
      : undefined;
  if (!dtype)
    throw new PickledTensorError(
      'unsupported',
      `its storage type ${nameOf(type)} is not known; it is left out`,
    );
  if (typeof key !== 'string')
    throw broken(`the storage key of its persistent id is ${shown(plain(key))}, a text is allowed`);
  if (!isCount(numel))
    throw broken(
      `the numel of its storage ${shown(key)} is ${shown(plain(numel))}, a whole number is allowed`,
    );
  if (viewOf !== undefined && viewOf !== null)
    throw new PickledTensorError(
      'unsupported',
      `its storage ${shown(key)} is a view of another storage (PyTorch 0.3); it is left out`,
    );
  const elementBytes = dtypes[dtype].bytes;
  return { storage: { kind: 'storage', key, bytes: numel * elementBytes, elementBytes }, dtype };
}

function torchDtype(value: PickleValue | undefined): DType {
  const name = isKind(value, 'global') && value.module === 'torch' ? value.name : undefined;
  const dtype = name !== undefined && Object.hasOwn(torchDtypes, name) ? torchDtypes[name] : undefined;
  if (!dtype)
    throw new PickledTensorError(
      'unsupported',
      `its dtype ${isKind(value, 'global') ? nameOf(value) : shown(plain(value))} is not known; it is left out`,
    );
  return dtype;
}

/** A tuple of sizes, or torch.Size around one. */
function sizes(what: string, value: PickleValue | undefined): PickleValue[] {
  if (isKind(value, 'object') && nameOf(value.type) === 'torch.Size') return sizes(what, value.args[0]);
  if (!isKind(value, 'tuple') && !isKind(value, 'list'))
    throw broken(`its ${what} is ${shown(plain(value))}, a tuple is allowed`);
  return value.items.map(plain);
}

// -- NumPy arrays

const numpyTypes: Readonly<Record<string, DType>> = {
  f2: 'F16',
  f4: 'F32',
  f8: 'F64',
  i1: 'I8',
  i2: 'I16',
  i4: 'I32',
  i8: 'I64',
  u1: 'U8',
  u2: 'U16',
  u4: 'U32',
  u8: 'U64',
  b1: 'BOOL',
  c8: 'C64',
  c16: 'C128',
};

/**
 * NumPy's type code without its byte order (`f4`) as a dtype; nothing for text, objects and
 * records.
 */
export function numpyDtype(code: string): DType | undefined {
  return Object.hasOwn(numpyTypes, code) ? numpyTypes[code] : undefined;
}

function numpy(value: PickleObject): PickledTensor {
  const [shapeValue, dtypeValue, order, data] =
    value.type.name === '_frombuffer' ? fromBuffer(value) : fromState(value);
  const { dtype, bigEndian } = numpyElement(dtypeValue);
  const bytes = asBytes(data);
  const shape = sizes('shape', shapeValue);
  const problem = shapeProblem(shape, dtype);
  if (problem) throw broken(problem);
  if (!bytes || bytes.length !== byteLength({ dtype, shape: shape as number[] }))
    throw broken(`its array of shape ${shown(shape)} holds ${bytes ? `${bytes.length} bytes` : 'no bytes'}`);
  const reversed = rowMajorStrides([...(shape as number[])].reverse()).reverse();
  const columnMajor = (order === true || order === 'F') && !isRowMajor(shape as number[], reversed);
  return {
    dtype,
    shape: shape as number[],
    start: 0,
    storage: { kind: 'bytes', bytes },
    ...(columnMajor ? { strides: reversed } : {}),
    ...(bigEndian ? { bigEndian } : {}),
  };
}

/** `_frombuffer(buffer, dtype, shape, order)` of protocol 5. */
function fromBuffer({
  args: [data, dtype, shape, order],
}: PickleObject): readonly (PickleValue | undefined)[] {
  return [shape, dtype, order, data];
}

/** `ndarray.__setstate__((version, shape, dtype, is_fortran, data))`. */
function fromState({ state }: PickleObject): readonly (PickleValue | undefined)[] {
  if (!isKind(state, 'tuple') || state.items.length !== 5) throw broken('a NumPy array without its state');
  return state.items.slice(1);
}

/** `numpy.dtype('f4', …)`, whose state has the byte order as its second item. */
function numpyElement(value: PickleValue | undefined): { dtype: DType; bigEndian?: true } {
  const code = isKind(value, 'object') && nameOf(value.type) === 'numpy.dtype' ? value.args[0] : undefined;
  const dtype = typeof code === 'string' ? numpyDtype(code.replace(/^[<>|=]/, '')) : undefined;
  if (!dtype)
    throw new PickledTensorError('unsupported', `a NumPy array of ${shown(plain(code))}; it is left out`);
  const state = isKind(value, 'object') && isKind(value.state, 'tuple') ? value.state.items : [];
  return state[1] === '>' && dtypes[dtype].bytes > 1 ? { dtype, bigEndian: true } : { dtype };
}

/**
 * Bytes, Python 2's str, or `_codecs.encode(text, 'latin1')`, which is how protocol 2 writes bytes.
 */
function asBytes(value: PickleValue | undefined): Uint8Array | undefined {
  if (value instanceof Uint8Array) return value;
  if (typeof value === 'string') return new Uint8Array(Buffer.from(value, 'latin1'));
  const encoded =
    isKind(value, 'object') && nameOf(value.type) === '_codecs.encode' && value.args[1] === 'latin1';
  return encoded ? asBytes(value.args[0]) : undefined;
}

/** Containers are not shown in messages: they may be huge or contain themselves. */
function plain(value: PickleValue | undefined): PickleValue {
  return value === undefined ? null : isRecord(value) ? `a ${value.kind}` : value;
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function broken(message: string): PickledTensorError {
  return new PickledTensorError('malformed', message);
}
