import { stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { openModel, type Model, type ModelOptions } from './model';
import { CheckpointError } from '../checkpoint/errors';
import { sidecarNames } from '../checkpoint/open';
import { fileStates, type FileState } from './files';
import { hash } from './identity';

/** An opened checkpoint together with the state of its files at that time. */
export interface OpenedModel {
  readonly path: string;
  readonly model: Model;
  readonly files: readonly FileState[];
  /** Differs as soon as a file, an assumption or the state dict differs. */
  readonly identity: string;
}

/** Models kept open: headers and graphs, no weights. */
const keptModels = 4;
/** Times that a file is opened which is written at the same moment. */
const openAttempts = 3;

/** Opens checkpoints, and opens one again when it or what lies beside it has changed. */
export class OpenedModels {
  private readonly kept = new Map<string, { readonly opened: OpenedModel; readonly sidecars: string }>();

  async open(path: string, options: ModelOptions): Promise<OpenedModel> {
    const key = JSON.stringify([path, options]);
    const known = this.kept.get(key);
    this.kept.delete(key);
    const current = known && (await isCurrent(known.opened.files)) ? known : undefined;
    const sidecars = await sidecarState(known?.opened.model.checkpoint.file ?? path);
    const entry = current?.sidecars === sidecars ? current : await this.read(path, options);
    this.kept.set(key, entry);
    if (this.kept.size > keptModels) this.kept.delete(this.kept.keys().next().value!);
    return entry.opened;
  }

  private async read(
    path: string,
    options: ModelOptions,
    attempts = openAttempts,
  ): Promise<{ readonly opened: OpenedModel; readonly sidecars: string }> {
    const started = Date.now();
    const model = await openModel(path, options);
    const files = await fileStates(model.checkpoint.files);
    if (isWrittenSince(files, started)) {
      if (attempts > 1) return this.read(path, options, attempts - 1);
      throw new CheckpointError('unreadable', path, 'is being written; open it again when it is whole');
    }
    const identity = hash([path, options, files]);
    return { opened: { path, model, files, identity }, sidecars: await sidecarState(model.checkpoint.file) };
  }
}

/**
 * Written while its header was read: what was read may be half of each. A time that is still to come says nothing: other machines'
 * clocks and archives set such.
 */
function isWrittenSince(files: readonly FileState[], started: number): boolean {
  const now = Date.now();
  return files.some(({ modified }) => modified > started && modified <= now);
}

async function isCurrent(files: readonly FileState[]): Promise<boolean> {
  try {
    const now = await fileStates(files.map(({ file }) => file));
    return JSON.stringify(now) === JSON.stringify(files);
  } catch {
    return false;
  }
}

async function sidecarState(file: string): Promise<string> {
  const states = Object.values(sidecarNames).map(async (name) => {
    const found = await stat(join(dirname(file), name)).catch(() => undefined);
    return found ? `${found.size} ${found.mtimeMs}` : '';
  });
  return (await Promise.all(states)).join();
}
