import type {
  Beside,
  Explainable,
  ExplainQuestion,
  Faithfulness,
  Shown,
  Walk,
  WalkQuestion,
} from '../domain/explanation';
import type { AttentionRows, Method, Query } from '../domain/query';
import type { ProviderView, Run, RunOptions } from '../tasks/run';
import type { CallContext } from './channel';

/** How far a run is: what is being done, or the text that is being written. */
export type RunProgress = string | { readonly text: string };

/**
 * What the image panel may ask. A failure's `data.kind` decides what the page offers: `cancelled`
 * is no error, `untrusted` gets [Manage Trust], everything else [Try Again] and [Show Log].
 */
export interface ImagePanelApi {
  /**
   * Static facts for the first paint, before anything ran. `focus` says which half the user asked
   * for.
   */
  open(): Promise<{
    readonly image: string;
    readonly checkpoint: string;
    readonly checkpoints: readonly { readonly path: string; readonly label: string }[];
    readonly focus: 'labels' | 'attention';
    /** The layer that the inspector asked for, as `Probe.layer` names it. */
    readonly layer?: string;
    readonly colourMap: string;
    readonly topK: number;
  }>;
  /**
   * Runs the model and reports what is going on: `loading 346 MB`. A newer call replaces an older
   * one, which then fails with `cancelled`.
   */
  run(options: RunOptions, call: CallContext<RunProgress>): Promise<Run>;
  /** Ends the text that is being written: the run answers with what there is. */
  stopText(): Promise<void>;
  /** What a method makes of one query of a run, in all layers. */
  attention(run: number, query: Query, method: Method, call: CallContext): Promise<AttentionRows>;
  /**
   * Mean attention distance of each head of a layer, over all query patches, in pixels of the
   * input; empty where patches do not attend to patches.
   */
  distances(run: number, layer: number, call: CallContext): Promise<readonly number[]>;
  /**
   * Runs another image or another checkpoint, to be explained beside the panel's own: no maps of
   * attention are kept.
   */
  runBeside(options: RunOptions, about: Beside, call: CallContext): Promise<Run>;
  /** Images of the workspace, and the panel's own. */
  images(): Promise<readonly { readonly path: string; readonly label: string }[]>;
  /** Asks for an image anywhere on the disk; null if the dialog is closed. */
  chooseImage(): Promise<string | null>;
  /**
   * What can be explained of the answer to these options, and by which methods. Fails with the
   * reason if nothing can.
   */
  explainable(options: RunOptions, about: Beside, call: CallContext): Promise<Explainable>;
  /** Why one value of the answer came about. Ended calls end after the pass that runs. */
  explain(options: RunOptions, question: ExplainQuestion, about: Beside, call: CallContext): Promise<Shown>;
  /** One patch through one block of the panel's own model. Fails with the reason if none can. */
  walk(options: RunOptions, question: WalkQuestion, call: CallContext): Promise<Walk>;
  /** How well the maps of methods say what matters for one value. */
  faithfulness(
    options: RunOptions,
    methods: readonly string[],
    target: number,
    call: CallContext,
  ): Promise<Faithfulness>;
  /** Saves all that a method found as a safetensors file. */
  saveTensors(
    options: RunOptions,
    question: ExplainQuestion,
    suggestedName: string,
    about: Beside,
    call: CallContext,
  ): Promise<boolean>;
  /** The image's file, where a page can decode it itself; undefined for others and large ones. */
  picture(): Promise<{ readonly bytes: Uint8Array; readonly type: string } | undefined>;
  /** Asks for images, and says how alike each is to this one; none if the dialog is closed. */
  similar(call: CallContext): Promise<readonly SimilarImage[]>;
  chooseCheckpoint(path: string | null): Promise<void>;
  /** `inspect` with a layer (`Probe.layer`) shows its module in the inspector. */
  perform(
    action: 'inspect' | 'showLog' | 'manageTrust' | 'openSettings' | 'checkProviders',
    layer?: string,
  ): Promise<void>;
  copy(text: string): Promise<void>;
  /** Saves a PNG (data URL) or text. */
  save(suggestedName: string, content: string): Promise<boolean>;
}

/** Another image beside the panel's. */
export interface SimilarImage {
  readonly image: string;
  /** Cosine of both images' vectors, −1 … 1. */
  readonly cosine: number;
}

export interface ImagePanelEvents {
  /** The background check of a GPU ended. */
  providers(providers: readonly ProviderView[]): void;
  /** The panel was asked for again with another focus, and maybe with a layer to show. */
  focus(half: 'labels' | 'attention', layer?: string): void;
  /** The checkpoint or the image changed on disk or was chosen anew: run again. */
  changed(): void;
}
