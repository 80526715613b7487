import { stat } from 'node:fs/promises';
import { SharedFiles } from '../checkpoint/byteSource';
import type { Checkpoint } from '../checkpoint/checkpoint';
import { CheckpointError } from '../checkpoint/errors';
import { openCheckpoint, selectStateDict } from '../checkpoint/open';
import { requireFit, withGivenNames } from './givenClasses';
import { readAdapter, withAdapter, withOwnFactors } from './adapters';
import { Recent } from '../domain/recent';
import { fileStates, type FileState } from './files';
import { hash } from './identity';
import { notUnderstood, understand, type Model, type Settings } from './model';
import { readOnnxParts, understandOnnx } from './onnxModel';

/** A checkpoint as it was read and settled: what is opened once and handed to whoever asks. */
export interface OpenedModel {
  /** As the user opened it: a file, an index.json or a folder. */
  readonly path: string;
  readonly settings: Settings;
  readonly model: Model;
  /** Files that hold tensors, as they were when their headers were read. */
  readonly files: readonly FileState[];
  /** Differs as soon as a file, what lies beside it, an assumption or the state dict differs. */
  readonly identity: string;
}

/** A checkpoint as it was read, before anything is assumed of it. */
export interface OpenedCheckpoint {
  readonly path: string;
  readonly checkpoint: Checkpoint;
  /** Returns what it is under these settings, without reading. Throws if one cannot be. */
  settle(settings?: Settings): OpenedModel;
  /** Whether the files and what lies beside them are what they were. */
  isCurrent(): Promise<boolean>;
}

/**
 * Settled models kept of one checkpoint, and checkpoints kept open: headers and graphs, no weights.
 */
const kept = 4;
/** Times that a file is opened which is written at the same moment. */
const openAttempts = 3;

/** How a checkpoint is opened beside what is read with it. */
export interface Opening {
  /** Told when the headers are read, before anything is made of them. */
  readonly onRead?: () => void;
  /** Why nothing is to be made of it: its tensors are listed alone. */
  readonly stopped?: string | undefined;
}

/**
 * Opens a checkpoint file, index or folder: every file once, and of each its header. Throws
 * `CheckpointError` if the file is refused or written at the same moment.
 */
export async function openOnce(
  path: string,
  company: Company = {},
  opening: Opening = {},
  attempts = openAttempts,
): Promise<OpenedCheckpoint> {
  const started = Date.now();
  const { checkpoint, understandAs } = await read(path, company, opening);
  const files = await fileStates(checkpoint.files);
  if (isWrittenSince(files, started)) {
    if (attempts > 1) return openOnce(path, company, opening, attempts - 1);
    throw new CheckpointError('unreadable', path, 'is being written; open it again when it is whole');
  }
  const beside = await besideStates(checkpoint.beside);
  const settled = new Recent<string, OpenedModel>(kept);
  return {
    path,
    checkpoint,
    settle: (settings = {}) =>
      settled.ensure(JSON.stringify(settings), () => {
        const identity = hash([path, company, settings, files, beside]);
        return { path, settings, model: understandAs(settings), files, identity };
      }),
    isCurrent: async () => (await areCurrent(files)) && (await besideStates(checkpoint.beside)) === beside,
  };
}

/** Opens a checkpoint and settles it. Throws `CheckpointError` if the file is refused. */
export async function openModel(path: string, settings: Settings = {}): Promise<Model> {
  return (await read(path, settings)).understandAs(settings);
}

interface ReadCheckpoint {
  readonly checkpoint: Checkpoint;
  understandAs(settings: Settings): Model;
}

/**
 * What is read with a checkpoint: an adapter, the state dict that it goes with, and class names.
 */
export type Company = Pick<Settings, 'adapter' | 'stateDict' | 'classes'>;

async function read(
  path: string,
  { adapter, stateDict, classes }: Company,
  { onRead, stopped }: Opening = {},
): Promise<ReadCheckpoint> {
  const files = new SharedFiles();
  try {
    const opened = await openCheckpoint(path, { open: files.open });
    onRead?.();
    const adapted =
      adapter === undefined
        ? await withOwnFactors(opened)
        : withAdapter(selectStateDict(opened, stateDict), await readAdapter(adapter));
    const checkpoint = classes === undefined ? adapted : await withGivenNames(adapted, classes, files.open);
    if (stopped !== undefined)
      return { checkpoint, understandAs: (settings) => notUnderstood(checkpoint, stopped, settings) };
    const understandAs = await reader(checkpoint, files.open);
    if (classes === undefined) return { checkpoint, understandAs };
    return { checkpoint, understandAs: (settings) => requireFit(understandAs(settings), classes) };
  } finally {
    await files.close();
  }
}

async function reader(
  checkpoint: Checkpoint,
  open: SharedFiles['open'],
): Promise<ReadCheckpoint['understandAs']> {
  if (!checkpoint.onnx) return (settings) => understand(checkpoint, settings);
  const parts = await readOnnxParts(checkpoint, checkpoint.onnx, open);
  return (settings) => understandOnnx(checkpoint, parts, settings);
}

/** Opened checkpoints by path; one that has changed since is opened again. */
export class OpenedModels {
  private readonly opened = new Recent<string, OpenedCheckpoint>(kept);

  async open(path: string, settings: Settings = {}): Promise<OpenedModel> {
    const { adapter, stateDict, classes } = settings;
    const company = { ...(adapter !== undefined && { adapter, stateDict }), classes };
    const key = JSON.stringify([path, company]);
    const known = this.opened.get(key);
    const current = known && (await known.isCurrent()) ? known : await openOnce(path, company);
    this.opened.set(key, current);
    return current.settle(settings);
  }
}

/**
 * Whether a file was written while its header was read: what was read may be half of each. A time
 * that is still to come says nothing: other machines' clocks and archives set such.
 */
function isWrittenSince(files: readonly FileState[], started: number): boolean {
  const now = Date.now();
  return files.some(({ modified }) => modified > started && modified <= now);
}

async function areCurrent(files: readonly FileState[]): Promise<boolean> {
  try {
    const now = await fileStates(files.map(({ file }) => file));
    return JSON.stringify(now) === JSON.stringify(files);
  } catch {
    return false;
  }
}

async function besideStates(paths: readonly string[]): Promise<string> {
  const states = paths.map(async (path) => {
    const found = await stat(path).catch(() => undefined);
    return found ? `${found.size} ${found.mtimeMs}` : '';
  });
  return (await Promise.all(states)).join();
}
