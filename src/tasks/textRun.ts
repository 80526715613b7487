import type { Probe } from '../domain/probes';
import type { Share } from '../domain/share';
import type { TaskName } from '../domain/taskName';
import type { Answer } from './answer';

/** A token of a text, as the vocabulary writes it. */
export interface Piece {
  readonly id: number;
  readonly text: string;
  /** As people read it, by itself. */
  readonly shown: string;
}

/** What every token of a text looked at in one layer, `[heads, queries, keys]`. */
export interface TextMap extends Pick<Probe, 'layer' | 'kind' | 'heads'> {
  readonly queries: number;
  readonly keys: number;
  readonly values: Float32Array;
}

/** One run of a model on a text. */
export interface TextRun {
  readonly checkpoint: string;
  readonly modelTitle: string;
  readonly task: TaskName;
  /** How much of the model runs; absent if all of it does. */
  readonly share?: Share;
  readonly answer: Answer;
  /** Tokens that were read. */
  readonly source: readonly Piece[];
  /**
   * Of the first text that was written: tokens that ask and those that can be looked at, which are
   * the text's own without its last.
   */
  readonly maps: readonly TextMap[];
  /** Why there are no maps, if there are none. */
  readonly noMaps?: string;
  readonly provider: string;
  readonly times: { readonly load: number; readonly run: number };
  readonly warnings: readonly string[];
}
