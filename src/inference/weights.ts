import { readFileSync } from 'node:fs';
import { open, stat, type FileHandle } from 'node:fs/promises';
import { dirname, join, parse, relative, sep } from 'node:path';
import { byteLength, dtypes, elementCount, isPlain, type Tensor } from '../checkpoint/tensors';
import { readTensor } from '../checkpoint/values';
import type { Graph, Initializer } from '../graph/graph';
import type { Located } from '../graph/onnx/export';
import type { FileState } from '../models/files';
import { createTemporaryFolder, removeTemporaryFolder, temporaryFailure } from './temporary';

/** Where every initializer's bytes are, as the runtime wants to be told. */
export interface Placement {
  /** Folder that every external location is relative to; links resolved. */
  readonly folder: string;
  locate(initializer: Initializer): Located;
  /** Bytes written to a temporary file. */
  readonly materialisedBytes: number;
  /**
   * Every weight is float32 in place, so that a session without prepacking shares the page cache.
   */
  readonly shared: boolean;
  /** Removes the temporary file. Sessions made from it must be gone. */
  close(): void;
}

/** Weights that the runtime cannot have: a missing tensor, or a dtype it does not know. */
export class WeightsError extends Error {
  override readonly name = 'WeightsError';
}

/** The checkpoint is not the file that its header was read from. */
export class CheckpointChangedError extends Error {
  override readonly name = 'CheckpointChangedError';
}

/** Bytes up to which a tensor without a place in a file travels inside the ONNX bytes. */
const inlineBytes = 2 ** 16;
/** Materialised tensors begin at multiples of a cache line. */
const alignment = 64;

interface Place {
  readonly file: string;
  readonly offset: number;
}

/**
 * Finds a place for every parameter that the graph reads. What the checkpoint holds as contiguous
 * little-endian bytes, in whatever dtype, is read where it lies; compressed, strided and
 * byte-swapped tensors are written to a temporary file in their own dtype.
 */
export async function placeWeights(graph: Graph, tensors: readonly Tensor[]): Promise<Placement> {
  const byName = new Map(tensors.map((tensor) => [tensor.name, tensor]));
  const used = [...new Set(parameters(graph).map(({ data }) => data.tensor))].map((name) => {
    const tensor = byName.get(name);
    if (!tensor) throw new WeightsError(`${name}: the graph reads it, and the checkpoint does not hold it`);
    return requireRunnable(tensor);
  });
  const places = new Map<string, Place | Uint8Array>();
  for (const tensor of used)
    if (isPlain(tensor) && !isIndex(tensor)) places.set(tensor.name, placeOf(tensor));
  const temporary = await materialise(
    used.filter((tensor) => !places.has(tensor.name)),
    places,
  );
  try {
    return placement(places, used, temporary);
  } catch (error) {
    temporary.close();
    throw error;
  }
}

type ParameterInitializer = Initializer & { readonly data: { readonly kind: 'parameter' } };

const parameters = (graph: Graph): readonly ParameterInitializer[] =>
  [...graph.initializers.values()].filter(
    (initializer): initializer is ParameterInitializer => initializer.data.kind === 'parameter',
  );

/**
 * The tensor, if a runtime can read its dtype, itself or after a conversion. Throws
 * `WeightsError` with the dtypes it can.
 */
export function requireRunnable(tensor: Tensor): Tensor {
  if (dtypes[tensor.dtype].runnable) return tensor;
  const known = Object.entries(dtypes).flatMap(([name, { runnable }]) => (runnable ? [name] : []));
  throw new WeightsError(
    `${tensor.name}: stored as ${tensor.dtype}, which is listed but cannot be run; ${known.join(', ')} can. Convert the checkpoint to one of them.`,
  );
}

/**
 * Shapes, axes and indices: the runtime reads them while it infers shapes, and then only from the
 * graph's own bytes.
 */
function isIndex({ dtype, shape }: Tensor): boolean {
  return (dtype === 'I64' || dtype === 'I32') && elementCount(shape) * dtypes[dtype].bytes <= inlineBytes;
}

function placeOf(tensor: Tensor & { storage: { kind: 'file' } }): Place {
  return { file: tensor.storage.file, offset: tensor.storage.offset + tensor.start };
}

interface Temporary {
  readonly bytes: number;
  readonly file: string | undefined;
  close(): void;
}

/** Writes tensors one after the other; small ones are kept in memory instead. Adds their places. */
async function materialise(
  tensors: readonly Tensor[],
  places: Map<string, Place | Uint8Array>,
): Promise<Temporary> {
  const small = tensors.filter(
    (tensor) => elementCount(tensor.shape) * dtypes[tensor.dtype].bytes <= inlineBytes,
  );
  for (const tensor of small) places.set(tensor.name, await readTensor(tensor));
  const large = tensors.filter((tensor) => !places.has(tensor.name));
  if (large.length === 0) return { bytes: 0, file: undefined, close() {} };
  const folder = createTemporaryFolder();
  const close = (): void => removeTemporaryFolder(folder);
  const file = join(folder, 'weights');
  try {
    const bytes = await writeTensors(file, large, places);
    return { bytes, file, close };
  } catch (error) {
    close();
    throw error;
  }
}

async function writeTensors(
  file: string,
  tensors: readonly Tensor[],
  places: Map<string, Place | Uint8Array>,
): Promise<number> {
  const total = tensors.reduce((sum, tensor) => sum + byteLength(tensor), 0);
  const inTemporary = <T>(call: Promise<T>): Promise<T> =>
    call.catch((error: unknown) => {
      throw temporaryFailure(error, total);
    });
  const handle = await inTemporary(open(file, 'wx', 0o600));
  try {
    let offset = 0;
    for (const tensor of tensors) {
      const bytes = await readTensor(tensor);
      await inTemporary(writeAt(handle, bytes, offset));
      places.set(tensor.name, { file, offset });
      offset += Math.ceil(bytes.length / alignment) * alignment;
    }
    return offset;
  } finally {
    await handle.close();
  }
}

/** A disk that is almost full takes a part of the bytes first, and says so of the rest. */
async function writeAt(handle: FileHandle, bytes: Uint8Array, offset: number): Promise<void> {
  for (let done = 0; done < bytes.length;)
    done += (await handle.write(bytes, done, bytes.length - done, offset + done)).bytesWritten;
}

function placement(
  places: ReadonlyMap<string, Place | Uint8Array>,
  used: readonly Tensor[],
  temporary: Temporary,
): Placement {
  const files = [...new Set([...places.values()].flatMap((place) => (isPlace(place) ? [place.file] : [])))];
  const apart =
    temporary.file !== undefined && !sharesRoot(temporary.file, files) ? temporary.file : undefined;
  const folder = commonFolder(files.filter((file) => file !== apart));
  // Read once for all tensors in it; the copy goes into the bytes of the graph.
  const inMemory = apart === undefined ? undefined : readFileSync(apart);
  const tensors = new Map(used.map((tensor) => [tensor.name, tensor]));
  return {
    folder,
    materialisedBytes: temporary.bytes,
    shared: temporary.bytes === 0 && used.every(({ dtype }) => dtype === 'F32'),
    locate(initializer) {
      if (initializer.data.kind === 'constant') return { kind: 'inline', bytes: initializer.data.bytes };
      const { tensor, first } = initializer.data;
      const [stored, place] = [tensors.get(tensor), places.get(tensor)];
      if (!stored || !place) throw new WeightsError(`${tensor}: the graph reads it, and it lies nowhere`);
      const size = dtypes[stored.dtype].bytes;
      const length = elementCount(initializer.shape) * size;
      if (!isPlace(place))
        return { kind: 'inline', bytes: place.subarray(first * size, first * size + length) };
      const offset = place.offset + first * size;
      if (inMemory && place.file === apart)
        return { kind: 'inline', bytes: inMemory.subarray(offset, offset + length) };
      return {
        kind: 'external',
        location: relative(folder, place.file).split(sep).join('/'),
        offset,
        length,
      };
    },
    close: temporary.close,
  };
}

/**
 * The temporary file may lie on another Windows drive than the checkpoint; then no folder holds
 * both, and the graph carries its bytes.
 */
const sharesRoot = (file: string, files: readonly string[]): boolean =>
  files.every((other) => parse(other).root.toLowerCase() === parse(file).root.toLowerCase());

const isPlace = (place: Place | Uint8Array): place is Place => !(place instanceof Uint8Array);

/**
 * The deepest folder that holds all files: external data may lie anywhere below the folder that the
 * runtime is given, `/` included, but no link may lead out of it. Files on several Windows drives
 * have none.
 */
export function commonFolder(files: readonly string[]): string {
  const folders = files.map((file) => dirname(file));
  const common = folders.reduce<string | undefined>(
    (shared, folder) => (shared === undefined ? folder : sharedAncestor(shared, folder)),
    undefined,
  );
  return common ?? '';
}

function sharedAncestor(a: string, b: string): string {
  const { root } = parse(a);
  if (parse(b).root.toLowerCase() !== root.toLowerCase())
    throw new WeightsError(`the weights lie on two drives, ${root} and ${parse(b).root}; copy them to one`);
  const partsOf = (path: string): readonly string[] => path.slice(root.length).split(sep);
  const [left, right] = [partsOf(a), partsOf(b)];
  const differs = left.findIndex((part, index) => part !== right[index]);
  return join(root, ...(differs < 0 ? left : left.slice(0, differs)));
}

/**
 * Throws if a file is not what it was when its header was read: its offsets would lead anywhere.
 */
export async function requireUnchanged(files: readonly FileState[]): Promise<void> {
  for (const { file, size, modified } of files) {
    const now = await stat(file).catch((error: NodeJS.ErrnoException) => {
      throw new CheckpointChangedError(
        `${file}: it can no longer be read (${error.code}); open the checkpoint again`,
      );
    });
    if (now.size === size && now.mtimeMs === modified) continue;
    const what = now.size === size ? 'it was written to' : `it had ${size} bytes and now has ${now.size}`;
    throw new CheckpointChangedError(
      `${file} changed on disk since it was opened: ${what}; open the checkpoint again`,
    );
  }
}
