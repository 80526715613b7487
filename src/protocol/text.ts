import type { TranslatedText } from '../tasks/answer';
import type { Piece, TextMap } from '../tasks/textRun';
import type { CallContext } from './channel';

/** A text, and by name what is to be made of it, if there are several things. */
export interface TextGiven {
  readonly text: string;
  /** A name of `TextOpened.ways`; empty for the text as it is. */
  readonly as: string;
}

/** Static facts for the first paint, before anything ran. */
export interface TextOpened {
  readonly checkpoint: string;
  readonly checkpoints: readonly { readonly path: string; readonly label: string }[];
  /** What the model can be asked to make of a text, by the files beside it; the usual one first. */
  readonly ways: readonly { readonly name: string; readonly prefix?: string }[];
  readonly colourMap: string;
  /** What was asked of this checkpoint last. */
  readonly given?: TextGiven;
  /** The layer that the inspector asked for, as `Probe.layer` names it. */
  readonly layer?: string;
}

/** A layer whose maps can be asked for. */
export type TextLayer = Omit<TextMap, 'values'>;

/** What a model made of a text. */
export interface TextView {
  /** Names the run whose maps are kept. */
  readonly run: number;
  readonly modelTitle: string;
  readonly source: readonly Piece[];
  /** The best first. */
  readonly texts: readonly TranslatedText[];
  readonly layers: readonly TextLayer[];
  readonly noMaps?: string;
  readonly milliseconds: number;
  readonly warnings: readonly string[];
}

/** What the text panel may ask; failures are those of the image panel. */
export interface TextPanelApi {
  open(): Promise<TextOpened>;
  /**
   * Runs the model and reports what is going on. A newer call replaces an older one, which then
   * fails with `cancelled`.
   */
  run(given: TextGiven, call: CallContext): Promise<TextView>;
  /** What every token looked at in a layer of a run, `[heads, queries, keys]`. */
  map(run: number, layer: number): Promise<Float32Array>;
  /** Ends the text that is being written: its run answers with what there is. */
  stop(): Promise<void>;
  chooseCheckpoint(path: string | null): Promise<void>;
  /** `inspect` with a layer shows its module in the inspector. */
  perform(action: 'inspect' | 'showLog' | 'manageTrust', layer?: string): Promise<void>;
  copy(text: string): Promise<void>;
}

export interface TextPanelEvents {
  /** The text so far, after each of its tokens. */
  written(text: string): void;
  /** The panel was asked for again with a layer to show. */
  layer(layer: string): void;
  /** The checkpoint changed on disk or was chosen anew. */
  changed(): void;
}
