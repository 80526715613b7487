import type { Format, TensorTable } from '../format';
import type { ByteSource } from '../byteSource';
import { CheckpointError } from '../errors';
import { limits } from '../limits';
import { isKind, PickleEnd, PickleError, unpickle, type PickleValue, type Unpickled } from '../pickle/pickle';
import { PickledTensorError, parseStorage, type PickledStorage } from '../pickle/tensors';
import { shown } from '../shape';
import type { Storage } from '../tensors';
import { buildTorchTable, describePickle, requireSafe, type TorchContainer } from './torchTable';

/** `torch.serialization.MAGIC_NUMBER`. */
const magicNumber = 0x1950a86a20f9469cfc6cn;
const protocolVersion = 1001;

/**
 * PyTorch's container before 1.6: five pickles (magic number, protocol version, system info, the
 * object, the list of storage keys), then for each key its number of elements and its bytes
 * (torch/serialization.py, `_legacy_load`). A bare pickle is read too: of it only NumPy arrays can
 * be shown.
 */
export const torchLegacy: Format = {
  name: 'pytorch legacy',

  matches(head) {
    const [first, protocol = 0] = head;
    if (first === 0x80) return head.length > 2 && protocol >= 2 && protocol <= 5;
    // Protocol 0 and 1 have no magic: a dict or list at the start, or a global, which is two lines
    // of text.
    return /^(\(d|\(l|\}|\]q|\(dp0\n|c[A-Za-z_][\w.]*\n[A-Za-z_][\w.]*\n)/.test(
      Buffer.from(head.subarray(0, 200)).toString('latin1'),
    );
  },

  async read(source) {
    const reader = new PickleReader(source);
    const first = await reader.next('the first pickle');
    return first.value === magicNumber
      ? readContainer(source, reader)
      : readBarePickle(source, reader, first);
  },
};

async function readContainer(source: ByteSource, reader: PickleReader): Promise<TensorTable> {
  const version = (await reader.next('the protocol version (second pickle)')).value;
  if (version !== protocolVersion)
    throw new CheckpointError(
      'unsupported',
      source.path,
      `the protocol version in the second pickle is ${shown(text(version))}, ${protocolVersion} is allowed`,
    );
  const system = (await reader.next('the system info (third pickle)')).value;
  const pickle = await reader.next('the pickle of the object (fourth)');
  const keys = (await reader.next('the list of storage keys (fifth pickle)')).value;
  const sizes = elementSizes(pickle);
  const offsets = await readOffsets(source, reader.position, storageKeys(source, keys), sizes);
  return buildTorchTable({
    format: 'pytorch legacy',
    source,
    item: 'its pickle',
    pickle,
    bigEndian: false,
    metadata: {},
    warnings: endianWarnings(system),
    locate: async (storage) => locateStorage(source, offsets, storage),
  });
}

async function readBarePickle(
  source: ByteSource,
  reader: PickleReader,
  pickle: Unpickled,
): Promise<TensorTable> {
  if (reader.position < source.size && !(await reader.isBlankToEnd()))
    throw new CheckpointError(
      'malformed',
      source.path,
      `${source.size - reader.position} trailing bytes follow the pickle at byte ${reader.position}, and it does not start with PyTorch's magic number: this is no checkpoint with tensors`,
    );
  const container: TorchContainer = {
    format: 'pickle',
    source,
    item: 'the pickle',
    pickle,
    bigEndian: false,
    metadata: {},
    warnings: [],
    locate: async ({ key }) => {
      throw new PickledTensorError(
        'malformed',
        `its storage ${shown(key)} is not in the file: a bare pickle has no storages`,
      );
    },
  };
  return buildTorchTable(container);
}

/**
 * `little_endian` in the system info says where the file was written; PyTorch writes storages
 * little-endian everywhere.
 */
function endianWarnings(system: PickleValue): string[] {
  const little = isKind(system, 'dict') ? system.entries.get('little_endian') : undefined;
  return little === false
    ? [
        'its system info says big-endian (little_endian False); PyTorch swaps storages to little-endian byte order when saving, and they are read so',
      ]
    : [];
}

function storageKeys(source: ByteSource, keys: PickleValue): string[] {
  if (isKind(keys, 'list') && keys.items.every((key) => typeof key === 'string'))
    return keys.items as string[];
  throw new CheckpointError(
    'malformed',
    source.path,
    'the list of storage keys (fifth pickle) is no list of texts',
  );
}

/**
 * Storage key -> bytes per element: the file counts each storage in elements of the type that the
 * pickle gives it.
 */
function elementSizes(pickle: Unpickled): Map<string, number> {
  const sizes = new Map<string, number>();
  for (const { storage } of pickle.persistent.flatMap((value) => parseOrNothing(value)))
    sizes.set(storage.key, storage.elementBytes);
  return sizes;
}

function parseOrNothing(value: Parameters<typeof parseStorage>[0]): ReturnType<typeof parseStorage>[] {
  try {
    return [parseStorage(value)];
  } catch (error) {
    if (error instanceof PickledTensorError) return [];
    throw error;
  }
}

interface Place {
  readonly offset: number;
  readonly bytes: number;
}

async function readOffsets(
  source: ByteSource,
  start: number,
  keys: readonly string[],
  sizes: ReadonlyMap<string, number>,
) {
  const places = new Map<string, Place>();
  let at = start;
  for (const key of keys) {
    const item = `storage ${shown(key)} in the list of keys`;
    const size = sizes.get(key);
    if (size === undefined)
      throw new CheckpointError(
        'malformed',
        source.path,
        `${item} belongs to no tensor, its length is not known`,
      );
    if (at + 8 > source.size)
      throw new CheckpointError(
        'malformed',
        source.path,
        `${item} begins beyond the end of the file (${source.size} bytes); the file is truncated`,
      );
    const head = await source.read(at, 8);
    const numel = new DataView(head.buffer, head.byteOffset).getBigInt64(0, true);
    if (numel < 0n)
      throw new CheckpointError('malformed', source.path, `${item} has a negative numel (${numel})`);
    const bytes = Number(numel) * size;
    if (at + 8 + bytes > source.size)
      throw new CheckpointError(
        'malformed',
        source.path,
        `${item} has a numel of ${numel}: its ${bytes} bytes go beyond the end of the file (${source.size} bytes); the file is truncated, download it again`,
      );
    places.set(key, { offset: at + 8, bytes });
    at += 8 + bytes;
  }
  return places;
}

function locateStorage(
  source: ByteSource,
  places: ReadonlyMap<string, Place>,
  storage: PickledStorage,
): Storage {
  const place = places.get(storage.key);
  if (!place)
    throw new PickledTensorError('malformed', `its storage ${shown(storage.key)} is not in the list of keys`);
  if (place.bytes < storage.bytes)
    throw new PickledTensorError(
      'malformed',
      `its storage ${shown(storage.key)} should have ${storage.bytes} bytes, the file has ${place.bytes}`,
    );
  return { kind: 'file', file: source.file, offset: place.offset, length: place.bytes };
}

const firstPieceBytes = 65_536;

/**
 * Reads pickles that follow each other at the beginning of a file whose rest may be gigabytes of
 * weights.
 */
class PickleReader {
  position = 0;

  constructor(private readonly source: ByteSource) {}

  /**
   * Unpickles at `position` out of a piece that grows until the pickle ends in it; nothing
   * executes, so trying again is harmless.
   */
  async next(item: string): Promise<Unpickled> {
    const available = Math.min(this.source.size - this.position, limits.pickleBytes);
    for (let length = Math.min(firstPieceBytes, available); ; length = Math.min(length * 4, available)) {
      const bytes = await this.source.read(this.position, length);
      const pickle =
        length < available ? this.attempt(item, bytes) : describePickle(this.source, item, bytes);
      if (!pickle) continue;
      this.position += pickle.length;
      return pickle;
    }
  }

  async isBlankToEnd(): Promise<boolean> {
    const rest = this.source.size - this.position;
    return (
      rest <= firstPieceBytes &&
      (await this.source.read(this.position, rest)).every((byte) => byte === 0x0a || byte === 0x0d)
    );
  }

  private attempt(item: string, bytes: Uint8Array): Unpickled | undefined {
    try {
      const pickle = unpickle(bytes);
      requireSafe(this.source, item, pickle.unsafe);
      return pickle;
    } catch (error) {
      if (error instanceof PickleEnd) return undefined;
      if (error instanceof PickleError) return describePickle(this.source, item, bytes);
      throw error;
    }
  }
}

function text(value: PickleValue): unknown {
  return typeof value === 'object' && value !== null ? 'something else' : value;
}
