import { EventEmitter, type Disposable } from 'vscode';
import type { Mapping } from '../../architectures/recognise/structure/mapping';
import type { Model } from '../../models/model';
import type { OpenedCheckpoint, OpenedModel } from '../../models/openedModels';
import { Disposables } from '../disposables';
import { formatExact } from '../../domain/units';
import { UserError } from '../dialogue/errors';
import { report } from '../dialogue/notices';
import { watchFiles } from './fileWatcher';
import type { Log } from '../log';
import type { Added, WorkspaceMemory } from './memory';
import type { Loaded, Opener } from './openRemembered';
import { unlessCancelled } from '../dialogue/progress';

/** Loads readers and families with the first checkpoint, so that activation stays short. */
export const opening = () => import('./openRemembered');

/**
 * A checkpoint that views look at: its file, the model made of it, and whether the file has changed
 * since. The file is opened once; assumptions are settled on what was read. All views of one file
 * share one document, so that what is assumed in one shows in all.
 */
export class CheckpointDocument implements Disposable {
  private readonly owned = new Disposables();
  private readonly changes = this.owned.add(new EventEmitter<Model>());
  private readonly staleness = this.owned.add(new EventEmitter<void>());
  private loading: Promise<Loaded> | undefined;
  private watching: Disposable | undefined;

  /** The model was read again: another state dict, another assumption, or a new file. */
  readonly onDidChange = this.changes.event;
  /** The file, or what lies beside it, changed on disk; `reload` reads it. */
  readonly onDidGoStale = this.staleness.event;

  constructor(
    /** As the user opened it: a file, an index.json or a folder. */
    readonly path: string,
    private readonly memory: WorkspaceMemory,
    private readonly log: Log,
    private readonly opener: () => Promise<Opener>,
  ) {}

  /**
   * Returns the model; headers are read on the first call, and again after a failure. Who gives up
   * on a disk that is too slow gets `Cancelled`; who asks next has the file read anew.
   */
  async model(signal?: AbortSignal): Promise<Model> {
    return (await this.loaded(signal)).opened.model;
  }

  /** Returns the model with the files it was read from: what inference and reports are handed. */
  async opened(): Promise<OpenedModel> {
    return (await this.loaded()).opened;
  }

  /** Returns what was opened, read again if a file has changed: what runs must not be stale. */
  async current(): Promise<OpenedModel> {
    const { file, opened } = await this.loaded();
    if (await file.isCurrent()) return opened;
    await this.reload();
    return this.opened();
  }

  /** Reads the file again and tells every view. */
  async reload(signal?: AbortSignal): Promise<Model> {
    this.loading = undefined;
    this.log.info(`${this.path}: is read again`);
    return this.replace(await this.loaded(signal));
  }

  /**
   * Sets a hyper-parameter that the weights do not tell, or with null forgets what was set. Throws
   * if it does not fit the file, and keeps what was set before.
   */
  async assume(key: string, value: string | null): Promise<Model> {
    const { file, opened } = await this.loaded();
    const { headerOf, settleAs } = await opening();
    const header = headerOf(opened.model);
    const { [key]: _, ...others } = this.memory.assumptions(header);
    const assumptions = value === null ? others : { ...others, [key]: value };
    const mapping = this.memory.mapping(header);
    const stateDict = this.memory.stateDict(this.path);
    const settled = settleAs(file, { stateDict, assumptions, mapping });
    await this.memory.setAssumptions(header, assumptions);
    this.log.info(`${this.path}: ${key} ${value === null ? 'is no longer set' : `is set to ${value}`}`);
    return this.replace({ file, opened: settled });
  }

  /**
   * Reads tensors under names that the user confirmed, or with null under their own again; what was
   * assumed of the model before is forgotten. Throws if no family has such a model, and keeps what
   * was confirmed before.
   */
  async readAs(mapping: Mapping | null): Promise<Model> {
    const { file, opened } = await this.loaded();
    const { headerOf, settleAs, settleMapped } = await opening();
    const stateDict = this.memory.stateDict(this.path);
    const settled = mapping ? settleMapped(file, { stateDict, mapping }) : settleAs(file, { stateDict });
    const header = headerOf(opened.model);
    await this.memory.setAssumptions(header, {});
    await this.memory.setMapping(header, mapping ?? undefined);
    return this.replace({ file, opened: settled });
  }

  /**
   * Reads the file with a LoRA adapter or with names of classes, or with undefined without them.
   * Throws if they do not fit, and keeps what was read before.
   */
  async add(added: Added): Promise<Model> {
    const { openWith } = await opening();
    const { file: weights } = (await this.loaded()).file.checkpoint;
    const whole = { ...this.memory.added(weights), ...added };
    const loaded = await openWith(this.path, whole, this.memory, await this.opener());
    await this.memory.setAdded(weights, whole);
    if (!this.owned.isDisposed) this.watch(loaded.file);
    return this.replace(loaded);
  }

  /** Shows another of the file's state dicts; what was added is read anew, as it goes with it. */
  async chooseStateDict(name: string): Promise<Model> {
    const { file } = await this.loaded();
    const { requireStateDict, settleRemembered } = await opening();
    requireStateDict(file, name);
    await this.memory.chooseStateDict(this.path, name);
    this.log.info(`${this.path}: state dict ${name || '(top level)'} is shown`);
    if (Object.keys(this.memory.added(file.checkpoint.file)).length > 0) return this.reload();
    return this.replace({ file, opened: await settleRemembered(file, this.memory) });
  }

  private loaded(signal?: AbortSignal): Promise<Loaded> {
    const loading = (this.loading ??= this.load());
    const forget = (error: unknown): never => {
      if (this.loading === loading) this.loading = undefined;
      throw error;
    };
    return (signal ? unlessCancelled(loading, signal) : loading).catch(forget);
  }

  private replace(loaded: Loaded): Model {
    const { model } = loaded.opened;
    this.loading = Promise.resolve(loaded);
    this.changes.fire(model);
    return model;
  }

  private async load(): Promise<Loaded> {
    const started = performance.now();
    const { openRemembered } = await opening();
    const tell = (message: string): void => void report(this.log, new UserError(message));
    const loaded = await openRemembered(this.path, this.memory, tell, await this.opener());
    if (this.owned.isDisposed) return loaded;
    this.watch(loaded.file);
    const milliseconds = (performance.now() - started).toFixed(0);
    this.log.info(`${this.path}: opened in ${milliseconds} ms as ${summaryOf(loaded.opened.model)}`);
    this.warn(loaded.opened.model);
    return loaded;
  }

  /** What was said about the file. */
  private warn({ checkpoint, recognition }: Model): void {
    const warnings = recognition.family === null ? [] : recognition.warnings;
    for (const warning of [...checkpoint.warnings, ...warnings]) this.log.warn(`${this.path}: ${warning}`);
  }

  private watch({ checkpoint }: OpenedCheckpoint): void {
    const { file, files, beside } = checkpoint;
    this.watching?.dispose();
    this.watching = watchFiles([...new Set([file, ...files, ...beside])], () => this.staleness.fire());
  }

  dispose(): void {
    this.watching?.dispose();
    this.owned.dispose();
  }
}

/** What a file was taken for: `ViT-B/16 (timm names), 86,567,656 parameters`. */
function summaryOf({ recognition, counts }: Model): string {
  const { dialect } = recognition;
  const what =
    recognition.family === null
      ? `a file of no known family (${recognition.reason})`
      : `${recognition.title} (${dialect === 'onnx' ? dialect : `${dialect} names`})`;
  return `${what}, ${formatExact(counts.params)} parameters`;
}
