import type { Size } from '../domain/size';
import type { Probe } from '../domain/probes';

/** One class of the answer. */
export interface Guess {
  readonly index: number;
  readonly label: string;
  /** Probability (softmax or per-class sigmoid), or the value itself for a regression head. */
  readonly score: number;
}

/** A line of "What the model saw": `filter` `Filter` `bicubic` `config.json: interpolation`. */
export interface PreprocessingLine {
  readonly key: string;
  /** What people call it: `Crop share`. */
  readonly label: string;
  readonly text: string;
  /** The same among all lines in one sentence; empty where another line says it. */
  readonly summary: string;
  readonly source: string;
  readonly assumed: boolean;
  /** Values offered when editing (`bicubic`, `bilinear` …; `0.5` / ImageNet means by name). */
  readonly choices?: readonly string[];
  readonly value: string;
}

/** Sizes of a model's input, `[height, width]` in pixels. */
export interface InputSize {
  readonly current: Size;
  /** What the checkpoint was made for: the default. */
  readonly native: Size;
  /** Steps by which the sides may grow; 0 where no other size fits. */
  readonly step: Size;
}

/** Pixels for a canvas: 8-bit RGB, row-major. */
export interface Pixels {
  readonly width: number;
  readonly height: number;
  readonly rgb: Uint8Array;
}

/** Where an execution provider stands. */
export interface ProviderView {
  readonly name: string;
  readonly title: string;
  readonly state: 'used' | 'available' | 'refused' | 'unchecked' | 'missing';
  /** Why it is or is not used: error text, `agrees, but 3.1× slower than the CPU`. */
  readonly reason: string;
}

/** A picture classified by a model. */
export interface ClassifiedView {
  /** Identifies the run whose attention maps the child process still holds. */
  readonly run: number;
  readonly checkpoint: string;
  readonly modelTitle: string;
  readonly image: string;
  /** The picture as decoded (orientation applied unless as stored), reduced for display where it is large. */
  readonly picture: Pixels;
  /** Full size of the decoded picture. */
  readonly size: readonly [width: number, height: number];
  /** What the model saw, before normalisation. */
  readonly seen: Pixels;
  /** Rectangle of the decoded picture (in its full-size pixels) that the input covers; may reach outside it where padding was added. */
  readonly region: {
    readonly x: number;
    readonly y: number;
    readonly width: number;
    readonly height: number;
  };
  readonly orientation: { readonly exif: number; readonly applied: boolean };
  /** Empty for a model without a head. */
  readonly top: readonly Guess[];
  readonly classes: number;
  readonly scoreKind: 'softmax' | 'sigmoid' | 'value' | 'none';
  readonly labelSource: string;
  readonly preprocessing: readonly PreprocessingLine[];
  readonly inputSize: InputSize;
  readonly provider: string;
  readonly providers: readonly ProviderView[];
  readonly milliseconds: {
    readonly decode: number;
    readonly preprocess: number;
    readonly run: number;
    readonly load: number;
  };
  readonly probes: readonly Probe[];
  readonly warnings: readonly string[];
}

/**
 * Which token asks: a special token by name (`others` is what layers without it answer; nothing where it is absent), a patch, or the mean
 * over all patches. `grid` is what a patch's row and column count on: a
 * layer with another grid is asked for the patch at the same place of the picture. Without it they count on each layer's own.
 */
export type Query =
  | { readonly kind: 'special'; readonly name: string; readonly others?: 'mean' }
  | {
      readonly kind: 'patch';
      readonly row: number;
      readonly column: number;
      readonly grid?: readonly [rows: number, columns: number];
    }
  | { readonly kind: 'mean' };

/** Attention of one query over all layers and heads. */
export interface AttentionRows {
  readonly run: number;
  readonly query: Query;
  /**
   * Per probe: `rows[probe]` is `[heads, keys]`, row-major; keys in the order of the probe's key layout. Empty where the probe has
   * no such query; one with a single query answers any. Windows come stitched: the keys are those of the whole map, NaN outside of
   * the query's window. Channels attend to channels whatever is asked: `[heads, channels, channels]`.
   */
  readonly rows: readonly Float32Array[];
  /** Per probe: attention rollout of this query up to that layer `[keys]`; empty where layers do not chain. */
  readonly rollout: readonly Float32Array[];
}

export interface RunOptions {
  readonly asStored?: boolean;
  /** Preprocessing figures set by the user, by `PreprocessingLine.key`. */
  readonly preprocessing?: Readonly<Record<string, string>>;
  readonly imageSize?: Size;
  /** `auto`, `cpu`, `webgpu` … */
  readonly provider?: string;
}

/**
 * What the image panel may ask. A failure's `data.kind` decides what the page offers: `cancelled` is no error, `untrusted` gets
 * [Manage Trust], everything else [Try Again] and [Show Log].
 */
export interface ImagePanelApi {
  /** Static facts for the first paint, before anything ran. `focus` says which half the user asked for. */
  open(): Promise<{
    readonly image: string;
    readonly checkpoint: string;
    readonly checkpoints: readonly { readonly path: string; readonly label: string }[];
    readonly focus: 'labels' | 'attention';
    readonly colourMap: string;
    readonly topK: number;
  }>;
  /** Runs the model; a newer call replaces an older one, which then fails with `cancelled`. */
  run(options: RunOptions): Promise<ClassifiedView>;
  attention(run: number, query: Query): Promise<AttentionRows>;
  chooseCheckpoint(path: string | null): Promise<void>;
  cancel(): Promise<void>;
  perform(action: 'inspect' | 'showLog' | 'manageTrust' | 'openSettings' | 'checkProviders'): Promise<void>;
  copy(text: string): Promise<void>;
  /** Saves a PNG (data URL) or text. */
  save(suggestedName: string, content: string): Promise<boolean>;
}

export interface ImagePanelEvents {
  /** What is going on: `reading 346 MB`, `compiling shaders`. */
  progress(message: string): void;
  /** The background check of a GPU ended. */
  providers(providers: readonly ProviderView[]): void;
  /** The panel was asked for again with another focus. */
  focus(half: 'labels' | 'attention'): void;
  /** The checkpoint or the picture changed on disk or was chosen anew: run again. */
  changed(): void;
}
