import type { Guess } from '../tasks/answer';

/** One picture of a batch: its answer or why there is none. */
export interface BatchRow {
  readonly index: number;
  readonly image: string;
  /** Small JPEG or PNG as a data URL; empty until decoded or where decoding failed. */
  readonly thumbnail: string;
  readonly top: readonly Guess[];
  readonly error?: string;
}

export interface BatchState {
  readonly checkpoint: string;
  readonly modelTitle: string;
  readonly total: number;
  readonly done: number;
  readonly running: boolean;
  /** Pictures per second since the start; 0 at first. */
  readonly rate: number;
  readonly provider: string;
  /** It was cancelled and can go on where it stopped. */
  readonly resumable: boolean;
  readonly rows: readonly BatchRow[];
}

export interface BatchApi {
  open(): Promise<BatchState>;
  cancel(): Promise<void>;
  /** Goes on with the pictures that a cancelled batch left out. */
  resume(): Promise<void>;
  /** Opens the image panel of a row. */
  openRow(index: number): Promise<void>;
  export(format: 'csv' | 'json'): Promise<boolean>;
  perform(action: 'showLog' | 'manageTrust'): Promise<void>;
}

export interface BatchEvents {
  /** Rows that are new, and the counters (without rows already sent). */
  progress(state: BatchState): void;
}
