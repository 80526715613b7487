import type { Guess, HeadGuesses } from '../tasks/answer';
import type { CallContext } from './channel';

/** One image of a batch: its answer or why there is none. */
export interface BatchRow {
  readonly index: number;
  readonly image: string;
  /** Small JPEG or PNG as a data URL; empty until decoded or if decoding failed. */
  readonly thumbnail: string;
  readonly top: readonly Guess[];
  /** Every head's guesses, `top` the first's, if the model has several. */
  readonly heads?: readonly HeadGuesses[];
  /** How many objects were found, if the model finds any; `top` are these, the best first. */
  readonly objects?: number;
  /** The scores of `top` are shares of the image that are covered. */
  readonly scoresAreAreas?: true;
  /** What is to be said of an answer without guesses: `1.2 … 8.3 m`. */
  readonly summary?: string;
  /** Files of other tools that are kept of it, for an export. */
  readonly files?: readonly KeptFile[];
  readonly error?: string;
}

/** A kind of file that an answer can be exported as. */
export interface KeptFile {
  /** What its name ends with: `coco.json`. */
  readonly ending: string;
  readonly title: string;
}

export interface BatchState {
  readonly checkpoint: string;
  readonly modelTitle: string;
  readonly total: number;
  readonly done: number;
  readonly running: boolean;
  /** Images per second since the start; 0 at first. */
  readonly rate: number;
  readonly provider: string;
  /** It was cancelled and can go on where it stopped. */
  readonly resumable: boolean;
  readonly rows: readonly BatchRow[];
}

export interface BatchApi {
  /** Everything so far; of a batch that was just cancelled as soon as it has ended. */
  open(): Promise<BatchState>;
  /**
   * Goes on with the images that are left, or joins the run that is going on. Reports the counters
   * and the rows from the `known` first ones on; cancelling it ends the batch, which can go on
   * later.
   */
  run(known: number, call: CallContext<BatchState>): Promise<void>;
  /** Opens the image panel of a row. */
  openRow(index: number): Promise<void>;
  export(format: 'csv' | 'json'): Promise<boolean>;
  /** Writes the kept files of an ending: one of all images, or a folder of them. */
  exportFiles(ending: string): Promise<boolean>;
  perform(action: 'showLog' | 'manageTrust'): Promise<void>;
}
