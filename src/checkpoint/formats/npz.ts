import type { Format } from '../format';
import { basename, extname } from 'node:path';
import type { ByteSource } from '../byteSource';
import { CheckpointError } from '../errors';
import { limits } from '../limits';
import { numpyDtype } from '../pickle/tensors';
import { isRowMajor, rowMajorStrides, shapeProblem, shown } from '../shape';
import { byteLength, dtypes, type DType, type Storage, type Tensor } from '../tensors';
import { unwrapNames } from '../unwrap';
import { inflatePrefix, isDeflated, readZip, type ZipArchive, type ZipEntry } from '../containers/zip';
import { entryStorage } from '../containers/zipStorage';

const magic = '\x93NUMPY';

/**
 * NumPy's archive of arrays: a zip of .npy files, stored or deflated
 * (https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html).
 */
export const npz: Format = {
  name: 'npz',

  matches(head, path) {
    if (head[0] !== 0x50 || head[1] !== 0x4b) return false;
    if (head[2] === 5) return extname(path).toLowerCase() === '.npz';
    const nameLength = (head[26] ?? 0) | ((head[27] ?? 0) << 8);
    return head[2] === 3 && latin1(head.subarray(30, 30 + nameLength)).endsWith('.npy');
  },

  async read(source) {
    const archive = await readZip(source);
    const warnings: string[] = [];
    const tensors: Tensor[] = [];
    for (const entry of archive.entries.values()) {
      const tensor = await readArray(archive, entry, warnings);
      if (tensor) tensors.push(tensor);
    }
    if (tensors.length === 0)
      throw new CheckpointError(
        'unsupported',
        source.path,
        `the archive is empty of arrays that can be shown: ${warnings.join('; ') || 'it has no entries'}`,
      );
    return table(source, 'npz', tensors, warnings);
  },
};

/** A single array; a model has many, but looking at one is fine. */
export const npy: Format = {
  name: 'npy',

  matches: (head) => latin1(head.subarray(0, 6)) === magic,

  async read(source) {
    const head = await source.read(0, Math.min(source.size, limits.npyHeaderBytes + 12));
    const item = basename(source.path);
    const header = parseHeader(source, item, head, source.size);
    const storage = { kind: 'file', file: source.file, offset: 0, length: source.size } as const;
    return table(source, 'npy', [tensorOf(item.replace(/\.npy$/, ''), header, storage)], []);
  },
};

function table(source: ByteSource, format: string, tensors: readonly Tensor[], warnings: readonly string[]) {
  return {
    format,
    files: [source.file],
    stateDicts: unwrapNames(tensors),
    extras: [],
    metadata: {},
    warnings,
  };
}

/** One array of the archive; left out with a warning if it is text, objects or records. */
async function readArray(
  archive: ZipArchive,
  entry: ZipEntry,
  warnings: string[],
): Promise<Tensor | undefined> {
  const { source } = archive;
  try {
    const storage = await entryStorage(archive, entry);
    const header = parseHeader(source, entry.name, await readHead(source, entry, storage.offset), entry.size);
    const surplus = entry.size - header.start - byteLength(header);
    if (surplus > 0)
      warnings.push(
        `${entry.name}: its size is ${surplus} bytes more than its shape ${shown(header.shape)} needs`,
      );
    if (header.note) warnings.push(`${entry.name}: ${header.note}`);
    return tensorOf(entry.name.replace(/\.npy$/, ''), header, storage);
  } catch (error) {
    if (!(error instanceof UnsupportedArray)) throw error;
    warnings.push(`${error.message}; it is left out`);
    return undefined;
  }
}

function readHead(source: ByteSource, entry: ZipEntry, offset: number): Promise<Uint8Array> {
  const length = Math.min(entry.size, limits.npyHeaderBytes + 12);
  return isDeflated(entry)
    ? inflatePrefix(source, entry.name, offset, entry.packed, length)
    : source.read(offset, length);
}

interface NpyHeader {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly columnMajor: boolean;
  readonly bigEndian: boolean;
  /** Where the data begins. */
  readonly start: number;
  readonly note?: string;
}

/** An array that is no tensor of numbers: objects, text, records. */
class UnsupportedArray extends CheckpointError {
  constructor(path: string, detail: string) {
    super('unsupported', path, detail);
    this.message = detail;
  }
}

function parseHeader(source: ByteSource, item: string, head: Uint8Array, size: number): NpyHeader {
  const refuse = (detail: string) => new CheckpointError('malformed', source.path, `${item}: ${detail}`);
  if (latin1(head.subarray(0, 6)) !== magic)
    throw refuse('it does not start with the magic bytes of a .npy array');
  const [version = 1] = head.subarray(6);
  if (version < 1 || version > 3) throw refuse(`.npy version ${version}, versions 1 to 3 are allowed`);
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  const prefix = version === 1 ? 10 : 12;
  if (head.length < prefix) throw refuse('the entry is too short for a .npy header');
  const length = version === 1 ? view.getUint16(8, true) : view.getUint32(8, true);
  if (length > limits.npyHeaderBytes)
    throw refuse(`a header of ${length} bytes, at most ${limits.npyHeaderBytes} are allowed`);
  if (prefix + length > head.length)
    throw refuse(`a header of ${length} bytes goes beyond the end of the entry`);
  const header = parseDict(latin1(head.subarray(prefix, prefix + length)), refuse);
  return checkedHeader(source, item, header, prefix + length, size, refuse);
}

function checkedHeader(
  source: ByteSource,
  item: string,
  header: { readonly descr: string; readonly columnMajor: boolean; readonly shape: readonly number[] },
  start: number,
  size: number,
  refuse: (detail: string) => CheckpointError,
): NpyHeader {
  const element = parseDescr(source, item, header.descr);
  const problem = shapeProblem(header.shape, element.dtype);
  if (problem) throw refuse(`in its header, ${problem}`);
  const needed = byteLength({ dtype: element.dtype, shape: header.shape });
  if (start + needed > size)
    throw refuse(
      `shape ${shown(header.shape)} of ${header.descr} needs ${needed} bytes, the entry has ${size - start}`,
    );
  return { ...element, shape: header.shape, columnMajor: header.columnMajor, start };
}

// NumPy under Python 2 writes long integers (3L), and texts as u'descr'.
const keys = /[ub]?'(\w+)'\s*:\s*/y;
const values =
  /([ub]?'[^'\\]*'|True|False|\((?:\s*\d+L?\s*,)*(?:\s*\d+L?\s*)?\)|\[(?:[^[\]()]|\([^()]*\))*\])\s*(,\s*)?/y;

/**
 * NumPy writes the header as a Python dict of three literals. It is matched, never evaluated: a
 * text, a boolean, a tuple of whole numbers, or (for records) a list of tuples is all that may
 * stand there.
 */
function parseDict(text: string, refuse: (detail: string) => CheckpointError) {
  const found = new Map<string, string>();
  const body = /^\s*\{\s*/.exec(text);
  if (!body) throw refuse(`its header is no dict: ${shown(text.trim())}`);
  let at = body[0].length;
  while (text[at] !== '}') {
    keys.lastIndex = at;
    const key = keys.exec(text);
    values.lastIndex = keys.lastIndex;
    const [, name] = key ?? [];
    const [, value] = (key && values.exec(text)) ?? [];
    if (name === undefined || value === undefined)
      throw refuse(
        `its header has no plain value at character ${at} (descr, fortran_order and shape are allowed): ${shown(text.slice(at).trim())}`,
      );
    found.set(name, value);
    at = values.lastIndex;
  }
  if (text.slice(at + 1).trim() !== '') throw refuse('its header goes on after the dict');
  const [descr, order, shape] = ['descr', 'fortran_order', 'shape'].map((key) => found.get(key));
  if (
    found.size !== 3 ||
    descr === undefined ||
    !shape?.startsWith('(') ||
    !/^(True|False)$/.test(order ?? '')
  )
    throw refuse(
      `its header has ${[...found].map(([key, value]) => `${key} ${value}`).join(', ')}; descr, fortran_order (True or False) and a shape (a tuple) are allowed`,
    );
  return {
    descr: descr.replace(/^[ub]?'|'$/g, ''),
    columnMajor: order === 'True',
    shape: (shape.match(/\d+/g) ?? []).map(Number),
  };
}

/** `<f4`, `>i8`, `|b1` …; JAX saves bfloat16 as two opaque bytes, `|V2`. */
function parseDescr(
  source: ByteSource,
  item: string,
  descr: string,
): { dtype: DType; bigEndian: boolean; note?: string } {
  if (descr === '|V2')
    return { dtype: 'BF16', bigEndian: false, note: 'its dtype |V2 is taken for bfloat16, as JAX saves it' };
  const dtype = numpyDtype(descr.replace(/^[<>|=]/, ''));
  if (dtype) return { dtype, bigEndian: descr.startsWith('>') && dtypes[dtype].bytes > 1 };
  const kind = /^\|?O/.test(descr)
    ? 'an object array: it holds a pickle, which is not read'
    : `dtype ${descr} is no number that is known`;
  throw new UnsupportedArray(source.path, `${item}: ${kind}`);
}

function tensorOf(name: string, header: NpyHeader, storage: Storage): Tensor {
  const { dtype, shape, start } = header;
  const strides = header.columnMajor ? rowMajorStrides([...shape].reverse()).reverse() : undefined;
  return {
    name,
    dtype,
    shape,
    storage,
    start,
    ...(strides && !isRowMajor(shape, strides) ? { strides } : {}),
    ...(header.bigEndian ? { bigEndian: true } : {}),
  };
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}
