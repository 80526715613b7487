import { dirname, join } from 'node:path';
import { EventEmitter, type Disposable } from 'vscode';
import type { Model } from '../../models/model';
import { Disposables } from '../disposables';
import { watchFiles } from './fileWatcher';
import type { Log } from '../log';
import { headerKey, type WorkspaceMemory } from './memory';
import { unlessAborted } from '../dialogue/progress';

/** Files beside the weights that say what the weights do not. */
const sidecars = ['config.json', 'preprocessor_config.json'];

/** Readers and families are loaded with the first checkpoint, so that activation stays short. */
const opening = () => import('./openRemembered');

/**
 * A checkpoint that views look at: its file, the model made of it, and whether the file has changed since. All views of one file
 * share one document, so that what is assumed in one shows in all.
 */
export class CheckpointDocument implements Disposable {
  private readonly owned = new Disposables();
  private readonly changes = this.owned.add(new EventEmitter<Model>());
  private readonly staleness = this.owned.add(new EventEmitter<void>());
  private loading: Promise<Model> | undefined;
  private reading = new AbortController();
  private watching: Disposable | undefined;

  /** The model was read again: another state dict, another assumption, or a new file. */
  readonly onDidChange = this.changes.event;
  /** The file changed on disk; `reload` reads it. */
  readonly onDidGoStale = this.staleness.event;

  constructor(
    /** As the user opened it: a file, an index.json or a folder. */
    readonly path: string,
    private readonly memory: WorkspaceMemory,
    private readonly log: Log,
  ) {}

  /** The model; headers are read on the first call, and again after a failure. */
  model(): Promise<Model> {
    this.loading ??= this.load(this.reading.signal).catch((error: unknown) => {
      this.loading = undefined;
      throw error;
    });
    return this.loading;
  }

  /** Gives up what is being read, on a disk that is too slow for the user; whoever waits for it gets `Cancelled`. */
  cancel(): void {
    this.reading.abort();
    this.reading = new AbortController();
  }

  /** Reads the file again and tells every view. */
  async reload(): Promise<Model> {
    this.loading = undefined;
    return this.replace(await this.model());
  }

  /** Sets a figure that the weights do not tell, or with null forgets what was set. What does not fit the file is not kept. */
  async assume(key: string, value: string | null): Promise<Model> {
    const header = headerKey((await this.model()).checkpoint.selected.tensors);
    const { [key]: _, ...others } = this.memory.assumptions(header);
    const next = value === null ? others : { ...others, [key]: value };
    const { openAssuming } = await opening();
    const opened = openAssuming(this.path, this.memory.stateDict(this.path), next);
    const model = await unlessAborted(opened, this.reading.signal);
    await this.memory.setAssumptions(header, next);
    return this.replace(model);
  }

  /** Shows another of the file's state dicts. */
  async chooseStateDict(name: string): Promise<Model> {
    const { openAssuming } = await opening();
    await unlessAborted(openAssuming(this.path, name, {}), this.reading.signal);
    await this.memory.chooseStateDict(this.path, name);
    return this.reload();
  }

  private replace(model: Model): Model {
    this.loading = Promise.resolve(model);
    this.changes.fire(model);
    return model;
  }

  private async load(signal: AbortSignal): Promise<Model> {
    const started = performance.now();
    const { openRemembered } = await opening();
    const model = await unlessAborted(openRemembered(this.path, this.memory), signal);
    if (this.owned.isDisposed) return model;
    this.watch(model);
    this.log.info(`${this.path}: read in ${(performance.now() - started).toFixed(0)} ms`);
    return model;
  }

  private watch({ checkpoint }: Model): void {
    const folder = dirname(checkpoint.file);
    const files = [checkpoint.file, ...checkpoint.files, ...sidecars.map((name) => join(folder, name))];
    this.watching?.dispose();
    this.watching = watchFiles([...new Set(files)], () => this.staleness.fire());
  }

  dispose(): void {
    this.watching?.dispose();
    this.owned.dispose();
  }
}
