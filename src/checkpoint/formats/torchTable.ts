import { last } from '../../domain/lists';
import type { TensorTable } from '../format';
import type { ByteSource } from '../byteSource';
import { CheckpointError } from '../errors';
import { PickleError, unpickle, type Unpickled } from '../pickle/pickle';
import { collectTensors, type NamedPickle, type PickleContents } from '../pickle/tree';
import {
  parsePickledTensor,
  quantisedRows,
  PickledTensorError,
  type PickledStorage,
  type PickledTensor,
} from '../pickle/tensors';
import { shown } from '../shape';
import { elementCount, type Storage, type Tensor } from '../tensors';
import { consolidating } from './foreignNames';
import { orderStateDicts, type TensorGroup } from '../unwrap';

/**
 * What both PyTorch containers, zip and legacy, share: from the description in a pickle to the
 * table of tensors.
 */
export interface TorchContainer {
  readonly format: string;
  readonly source: ByteSource;
  /** The pickle's name in messages: `archive/data.pkl`. */
  readonly item: string;
  readonly pickle: Unpickled;
  /** Storages are big-endian. */
  readonly bigEndian: boolean;
  readonly metadata: Readonly<Record<string, string>>;
  readonly warnings: readonly string[];
  /**
   * Where a storage lies; throws `CheckpointError` or a reason as `PickledTensorError`. Called once
   * per key.
   */
  locate(storage: PickledStorage): Promise<Storage>;
  /** Which attributes of a TorchScript class are buffers. */
  buffersOf?(owner: string): Promise<ReadonlySet<string>>;
}

const maxNamed = 8;

/**
 * Unpickles; what would be executed is a refusal of kind `unsafe` whatever else is wrong with the
 * file.
 */
export function describePickle(source: ByteSource, item: string, bytes: Uint8Array): Unpickled {
  try {
    const pickle = unpickle(bytes);
    requireSafe(source, item, pickle.unsafe);
    return pickle;
  } catch (error) {
    if (!(error instanceof PickleError)) throw error;
    requireSafe(source, item, error.unsafe);
    throw new CheckpointError(error.kind, source.path, `${item}: ${error.message}`, { cause: error });
  }
}

export function requireSafe(source: ByteSource, item: string, unsafe: readonly string[]): void {
  if (unsafe.length === 0) return;
  throw new CheckpointError(
    'unsafe',
    source.path,
    `${item} would run code when Python loads it: ${listed(unsafe)}. Nothing was executed here, and the file is not opened; a checkpoint only needs tensors, ask its author for a state dict or for safetensors`,
  );
}

/**
 * Builds the table. Tensors of kinds that are not supported are left out with a warning; wrong ones
 * refuse the file.
 */
export async function buildTorchTable(container: TorchContainer): Promise<TensorTable> {
  const { source, pickle, item } = container;
  const contents = collectTensors(pickle.value);
  const warnings = [...container.warnings, ...pickleWarnings(item, pickle, contents)];
  if (contents.groups.length === 0)
    throw new CheckpointError(
      'unsupported',
      source.path,
      `${item} holds no tensor${warnings.length > 0 ? ` (${warnings.join('; ')})` : ''}; a checkpoint is a state dict of tensors`,
    );
  const storages = new Map<string, Promise<Storage>>();
  const groups: TensorGroup[] = [];
  const byRows = contents.groups.flatMap(({ tensors }) =>
    tensors.filter(({ value }) => quantisedRows(value)),
  );
  if (byRows.length > 0)
    warnings.push(
      `${item} holds integers that are quantised row by row, with their scales and zero points beside them: ${listed(byRows.map(({ name }) => name))}`,
    );
  for (const { path, tensors } of contents.groups) {
    const built: Tensor[] = [];
    for (const named of tensors.flatMap(withRows)) {
      const tensor = await buildTensor(container, named, storages, warnings);
      if (tensor) built.push(tensor);
    }
    if (built.length > 0) groups.push({ path, tensors: built });
  }
  if (isEmptied(groups))
    warnings.push(`${item} holds names and no values: all its tensors are empty. ${consolidating.deepSpeed}`);
  if (groups.length === 0)
    throw new CheckpointError(
      'unsupported',
      source.path,
      `${item} holds no tensor that can be shown: ${warnings.join('; ')}`,
    );
  return {
    format: container.format,
    files: [source.file],
    stateDicts: orderStateDicts(groups, contents.lightning),
    extras: contents.extras,
    metadata: container.metadata,
    warnings,
    ...(contents.classNames.length > 0 && { classNames: contents.classNames }),
  };
}

/** Of ZeRO 3 the model's own file holds every tensor without elements. */
const isEmptied = (groups: readonly TensorGroup[]): boolean =>
  groups.length > 0 && groups.every(({ tensors }) => tensors.every(({ shape }) => elementCount(shape) === 0));

function pickleWarnings(item: string, pickle: Unpickled, contents: PickleContents): string[] {
  const modules = contents.modules.filter((name) => !name.startsWith('__torch__'));
  const others = pickle.unknown.filter((name) => !contents.parts.has(name));
  const sharded = others.some((name) => /^torch\.distributed\._shard\..*\.ShardedTensor$/.test(name));
  return [
    ...(sharded
      ? [
          `${item} holds one process's part of every tensor (ShardedTensor of FSDP); save the whole with StateDictType.FULL_STATE_DICT`,
        ]
      : []),
    ...contents.warnings.map((warning) => `${item}: ${warning}`),
    ...(modules.length > 0
      ? [
          `${item} is a whole pickled model (${listed(modules)}): its tensors are shown, nothing of it was executed`,
        ]
      : []),
    ...(others.length > 0
      ? [`${item} names classes or functions that are not known and were not loaded: ${listed(others)}`]
      : []),
  ];
}

/**
 * A tensor that is quantised row by row with the scales and zero points of its rows as tensors
 * beside it: `weight_scales`, `weight_zero_points`.
 */
function withRows(named: NamedPickle): readonly NamedPickle[] {
  const rows = quantisedRows(named.value);
  if (!rows) return [named];
  const { name } = named;
  return [
    named,
    { ...named, name: `${name}_scales`, value: rows.scales },
    { ...named, name: `${name}_zero_points`, value: rows.zeroPoints },
  ];
}

async function buildTensor(
  container: TorchContainer,
  { name, value, buffer, owner }: NamedPickle,
  storages: Map<string, Promise<Storage>>,
  warnings: string[],
): Promise<Tensor | undefined> {
  try {
    const parsed = parsePickledTensor(value);
    const storage = await locateOnce(container, parsed, storages);
    const buffers = owner && container.buffersOf ? await container.buffersOf(owner) : undefined;
    const bigEndian = parsed.bigEndian || (container.bigEndian && parsed.storage.kind === 'storage');
    return {
      name,
      dtype: parsed.dtype,
      shape: parsed.shape,
      storage,
      start: parsed.start,
      ...(parsed.strides ? { strides: parsed.strides } : {}),
      ...(parsed.affine ? { affine: parsed.affine } : {}),
      ...(bigEndian ? { bigEndian } : {}),
      ...(buffer || buffers?.has(last(name.split('.'))) ? { buffer: true } : {}),
    };
  } catch (error) {
    if (!(error instanceof PickledTensorError)) throw error;
    const detail = `tensor ${shown(name)} in ${container.item}: ${error.message}`;
    if (error.kind === 'malformed')
      throw new CheckpointError('malformed', container.source.path, detail, { cause: error });
    warnings.push(detail);
    return undefined;
  }
}

function locateOnce(
  container: TorchContainer,
  { storage }: PickledTensor,
  storages: Map<string, Promise<Storage>>,
): Promise<Storage> {
  if (storage.kind === 'bytes')
    return Promise.resolve({ kind: 'inline', bytes: new Uint8Array(storage.bytes) });
  const key = `${storage.key}:${storage.bytes}`;
  const found = storages.get(key) ?? container.locate(storage);
  storages.set(key, found);
  return found;
}

function listed(names: readonly string[]): string {
  const rest = names.length - maxNamed;
  return names.slice(0, maxNamed).join(', ') + (rest > 0 ? ` and ${rest} more` : '');
}
