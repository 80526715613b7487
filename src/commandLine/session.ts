import { join } from 'node:path';
import type { Model, Settings } from '../models/model';
import type { CheckpointErrorKind } from '../checkpoint/errors';
import type { RemoteFailure } from '../protocol/channel';
import type { PathRunner } from '../useCases/run';
import { visible } from '../domain/visible';
import { oneLine, UsageError, type Options } from './usage';

/** What one path or image came to: its JSON and its text for people, of which one is read. */
export interface Outcome {
  readonly json: Readonly<Record<string, unknown>>;
  readonly text: string;
}

/** Signals that end a command, and the exit status then: 128 + the signal, as shells give it. */
const interruptions = { SIGINT: 130, SIGTERM: 143 } as const;

/** Where answers and failures go; failures make the exit status 1. */
export class Session {
  private failures = 0;
  private interrupted: number = interruptions.SIGINT;
  private running: PathRunner | undefined;
  private readonly interruption = new AbortController();

  constructor(
    readonly options: Options,
    private readonly output: NodeJS.WritableStream,
    private readonly errors: NodeJS.WriteStream,
  ) {}

  get status(): number {
    if (this.signal.aborted) return this.interrupted;
    return this.failures > 0 ? 1 : 0;
  }

  /** Aborted by Ctrl-C or SIGTERM under a task that `heeding` runs. */
  get signal(): AbortSignal {
    return this.interruption.signal;
  }

  /** Ends what runs, and answers nothing more. */
  interrupt(): void {
    this.interruption.abort();
    this.running?.cancel();
  }

  /**
   * Runs what would leave something behind, a half-written file or a process that computes on: a
   * signal interrupts it, and the command ends when that is cleared away; a second signal ends it
   * at once. At all other times a signal ends the command as it ends any program, even while it
   * reads and gives no listener a turn.
   */
  async heeding<T>(task: () => Promise<T>): Promise<T> {
    const signals = Object.keys(interruptions) as (keyof typeof interruptions)[];
    const stop = (signal: keyof typeof interruptions): void => {
      this.interrupted = interruptions[signal];
      this.interrupt();
    };
    for (const signal of signals) process.once(signal, stop);
    try {
      return await task();
    } finally {
      for (const signal of signals) process.removeListener(signal, stop);
    }
  }

  /**
   * Answers each path by itself: one that fails does not keep the others from their answer. `facts`
   * are what a failure's JSON says beside the error.
   */
  async each(
    paths: readonly string[],
    answer: (path: string) => Promise<Outcome>,
    facts: (path: string) => object = (path) => ({ path }),
  ): Promise<void> {
    for (const path of paths)
      try {
        const done = await answer(path);
        if (this.signal.aborted) break;
        this.print(done);
      } catch (error) {
        if (this.signal.aborted) break;
        if (error instanceof UsageError) throw error;
        this.fail(path, error, facts(path));
      }
    if (this.signal.aborted) this.progress('');
  }

  /** Opens and understands a checkpoint as the options say. The readers load with the first one. */
  async open(path: string): Promise<Model> {
    const { openModel } = await import('../models/openedModels');
    return (await openModel(path, await this.settings())).at(this.options.imageSize);
  }

  /** What the options say of a checkpoint. Throws if a mapping cannot be read. */
  async settings(): Promise<Settings> {
    const { assume, stateDict, adapter, classes, byStructure, mapping: file } = this.options;
    const named = { assume, stateDict, adapter, classes, ...(byStructure && { byStructure }) };
    if (file === undefined) return named;
    const { readMapping } = await import('./mapping');
    return { ...named, mapping: await readMapping(file) };
  }

  /** The inference process; it starts with the first request. */
  async runner(): Promise<PathRunner> {
    if (this.running) return this.running;
    const { createInference } = await import('../inference/service');
    const { defaultLimits } = await import('../inference/memory');
    const { createMemoryStore } = await import('../inference/providers');
    const { PathRunner } = await import('../useCases/run');
    const inference = createInference({
      processPath: join(__dirname, 'process.js'),
      store: createMemoryStore(),
      log: { debug: silent, info: silent, warn: silent },
      limits: defaultLimits,
      onProgress: (message) => this.progress(message),
      // The answer is all that is wanted: no GPU is measured behind it.
      background: false,
    });
    this.running = new PathRunner(inference, (task) => this.heeding(task));
    return this.running;
  }

  async dispose(): Promise<void> {
    await this.running?.dispose();
  }

  private print(outcome: Outcome): void {
    this.progress('');
    this.output.write(visible(this.options.json ? `${JSON.stringify(outcome.json)}\n` : outcome.text));
  }

  private fail(path: string, error: unknown, facts: object): void {
    this.failures++;
    this.progress('');
    const message = error instanceof Error ? error.message : String(error);
    const named = message.startsWith(path) || isOfMachine(error);
    this.errors.write(`error: ${visible(`${named ? '' : `${path}: `}${oneLine(message)}`)}\n`);
    if (this.options.json)
      this.output.write(
        visible(`${JSON.stringify({ ...facts, error: { kind: kindOf(error), message } })}\n`),
      );
  }

  /** A line that is written over; only if a person looks at it. */
  progress(message: string): void {
    if (this.errors.isTTY)
      this.errors.write(`\r\u001b[K${visible(oneLine(message)).slice(0, this.errors.columns - 1)}`);
  }
}

/** The machine's fault, which no path is to blame for; also of the inference process. */
const isOfMachine = (error: unknown): boolean =>
  error instanceof Error && error.name === 'TemporaryFolderError';

const silent = (): void => undefined;

const kinds: readonly string[] = [
  'malformed',
  'unsupported',
  'unreadable',
  'unsafe',
] satisfies readonly CheckpointErrorKind[];

/**
 * The error's own kind, also of one that came from the inference process; what fails without one
 * cannot be done with this file.
 */
function kindOf(error: unknown): string {
  const { kind, failure } = error as { kind?: unknown; failure?: RemoteFailure };
  const own = kind ?? failure?.data['kind'];
  return typeof own === 'string' && kinds.includes(own) ? own : 'unsupported';
}
