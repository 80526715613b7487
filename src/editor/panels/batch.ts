import type { BatchRow, BatchState } from '../../protocol/batch';
import { messageOf } from '../dialogue/errors';

/** What a batch does with one image. */
export interface BatchSteps {
  thumbnail(image: string): Promise<string>;
  classify(
    image: string,
    signal: AbortSignal,
    index: number,
  ): Promise<{ readonly provider: string } & Omit<BatchRow, 'index' | 'image' | 'thumbnail' | 'error'>>;
}

/** At most so many events a second: a fast model on small images would flood the page. */
const interval = 150;

/** Classifies images one after the other; an image that fails becomes a row with its reason. */
export class Batch {
  private readonly rows: BatchRow[] = [];
  private abort = new AbortController();
  private provider = '';
  private running: Promise<void> | undefined;
  private started = 0;
  private elapsed = 0;
  private told = 0;
  private toldAt = 0;

  constructor(
    readonly images: readonly string[],
    private readonly facts: { readonly checkpoint: string; readonly modelTitle: string },
    private readonly steps: BatchSteps,
    /** Gets the rows that are new since the last call. */
    private readonly progress: (state: BatchState) => void,
  ) {}

  /** Everything so far. */
  get state(): BatchState {
    return this.stateFrom(0);
  }

  cancel(): void {
    this.abort.abort();
  }

  /** Everything so far; if it was cancelled, as soon as it has ended. */
  async settled(): Promise<BatchState> {
    if (this.abort.signal.aborted) await this.running;
    return this.state;
  }

  /**
   * Goes on after the last row there is, or joins the run that is going on. Resolves when every
   * image has a row or the batch was cancelled.
   */
  async run(): Promise<void> {
    if (this.abort.signal.aborted) await this.running;
    if (!this.running) {
      this.running = this.work().finally(() => {
        this.running = undefined;
        this.tell();
      });
      this.tell();
    }
    await this.running;
  }

  private async work(): Promise<void> {
    this.abort = new AbortController();
    const { signal } = this.abort;
    this.started = performance.now() - this.elapsed;
    for (const [index, image] of this.images.entries()) {
      if (index < this.rows.length) continue;
      if (signal.aborted) break;
      const row = await this.rowOf(index, image);
      if (!signal.aborted) this.add(row);
    }
  }

  private async rowOf(index: number, image: string): Promise<BatchRow> {
    const thumbnail = await this.steps.thumbnail(image).catch(() => '');
    try {
      const { provider, ...guesses } = await this.steps.classify(image, this.abort.signal, index);
      this.provider = provider;
      return { index, image, thumbnail, ...guesses };
    } catch (error) {
      return { index, image, thumbnail, top: [], error: messageOf(error) };
    }
  }

  private add(row: BatchRow): void {
    this.rows.push(row);
    this.elapsed = performance.now() - this.started;
    if (performance.now() - this.toldAt > interval) this.tell();
  }

  private tell(): void {
    this.toldAt = performance.now();
    this.progress(this.stateFrom(this.told));
    this.told = this.rows.length;
  }

  private stateFrom(first: number): BatchState {
    const done = this.rows.length;
    return {
      ...this.facts,
      total: this.images.length,
      done,
      running: this.running !== undefined,
      rate: this.elapsed > 0 ? (1000 * done) / this.elapsed : 0,
      provider: this.provider,
      resumable: !this.running && done < this.images.length,
      rows: this.rows.slice(first),
    };
  }
}
