import type { ConfigValue, Evidence } from '../domain/evidence';
import type { PixelsInside } from '../domain/pixels';
import type { Reading } from '../domain/reading';
import type { Share } from '../domain/share';
import type { Size } from '../domain/size';
import type { TaskName } from '../domain/taskName';
import type { Checkpoint, Tensor } from '../checkpoint/checkpoint';
import type { DefaultsName } from '../preprocessing/defaults';
import type { GraphBuilder, ParameterView } from '../graph/builder';
import type { ValueInfo } from '../graph/graph';
import type { Tokens } from './blocks/layers';
import type { Maps } from './blocks/stages';
import type { OwnHead } from './heads/ownHead';
import type { Dialect, Translated, Translation } from './dialect';

export type { ConfigValue, Evidence, TaskName };

/**
 * Hyper-parameters with their evidence, keyed by the field's words: depth, dim, heads, patch,
 * classes, window …
 */
export type EvidenceRecord = Readonly<Record<string, Evidence>>;

/** What people see of a recognised model. */
export interface Described {
  /** A label of the family: `vit`, `deit-distilled`, `dinov2-registers`. */
  readonly label: string;
  /** What people call it: `ViT-B/16`, `DeiT-S/16 distilled`. */
  readonly title: string;
  readonly task: TaskName;
  readonly evidence: EvidenceRecord;
  /**
   * Values that the weights allow for hyper-parameters that may be set, the usual ones first; any
   * may be typed if there are none.
   */
  readonly choices?: Readonly<Record<string, readonly ConfigValue[]>>;
  /** Other published models with the same names and shapes. */
  readonly candidates: readonly string[];
  readonly warnings: readonly string[];
  /** Tokens, frames and texts that its parts are written for if nobody says others. */
  readonly lengths?: Readonly<Record<string, number>>;
  /** Between which numbers each may be, where tables of positions and the like bound it. */
  readonly bounds?: Readonly<Record<string, LengthBounds>>;
  /** How outputs become an answer, if the model says so. */
  readonly reading?: Reading;
}

/** What is known of the images that a model reads. */
export interface ImageInput {
  /** `[height, width]` in pixels. */
  readonly imageSize: Size;
  /**
   * Default pixel preprocessing of this kind of weights, a name of the preprocessing table: `half`,
   * `imagenet`, `clip` …
   */
  readonly pixels: DefaultsName;
  /**
   * What pixels the graph itself divides or normalises: `bytes` are given as 0 … 255, `unit` as 0 …
   * 1. Absent if it takes normalised values.
   */
  readonly inside?: PixelsInside | undefined;
  /**
   * Steps by which the image's sides may grow, in pixels: the patch, or patch × window; 0 if
   * they may not.
   */
  readonly sizeStep: Size;
  /** The library's model tells pixels of the image from those that fill up a batch. */
  readonly masksPixels?: true;
}

/** The fewest and the most of a length, and its steps; 1 and 1 by default. */
export interface LengthBounds {
  readonly least?: number;
  readonly most: number;
  readonly step?: number;
}

/** What a family makes of a checkpoint's names and shapes. */
export interface Recognised<C> extends Described, ImageInput {
  /**
   * What `build` reads: hyper-parameters by the same keys as `evidence`, from the same record, and
   * what else follows from names and shapes, which is not shown.
   */
  readonly config: C;
  /** The model_type of transformers that it is, whose usual preprocessing it takes. */
  readonly modelType?: string;
}

/**
 * Everything a family may look at. `tensors` has canonical (timm) names; `assume` is what the user
 * typed in.
 */
export interface Found {
  readonly tensors: ReadonlyMap<string, Translated>;
  readonly dialect: Dialect;
  /** The network's tensors under the names that it has by itself, without what lies beside it. */
  ownTensors(): readonly Tensor[];
  readonly checkpoint: Checkpoint;
  readonly assume: Readonly<Record<string, ConfigValue>>;
  /** Image size the user asked for. */
  readonly imageSize?: Size;
}

/**
 * One family of architectures: a folder. `C` is its config, `M` what its backbone hands to its
 * head.
 */
export interface Family<C = unknown, M extends Maps = Maps> {
  /** Its name, which no other has: `vit`, `resnet`. */
  readonly name: string;
  /**
   * The wider group that it is told by, `cnn` for convolutional networks; its own name without it.
   */
  readonly row?: string;
  /** `Vision Transformer` */
  readonly title: string;
  /**
   * How libraries and repositories name its tensors: rename rows to timm's names, which are the
   * canonical ones.
   */
  readonly names: readonly Dialect[];
  /**
   * Canonical names of parameters that may take no part in the pass: a mask token, the head of
   * another mode.
   */
  readonly idle?: RegExp;
  /** Keys that `assume` may set. */
  readonly assumable: readonly string[];
  /** "Not mine" is undefined; a hyper-parameter that cannot be is an error naming the tensor. */
  recognise(found: Found): Recognised<C> | undefined;
  /**
   * Writes stem and stages, and hands their maps to a head. Every parameter that it or the head
   * reads counts as used; the rest is listed as unused.
   */
  build(builder: GraphBuilder, config: C, options: BuildOptions): M;
  /** Writes what the model itself answers with: pooling, classifier, and the graph's outputs. */
  head(builder: GraphBuilder, maps: M, config: C): void;
}

export interface BuildOptions {
  readonly imageSize: Size;
  readonly batch: number;
  /** Last stages of a residual network that dilate where they would stride; none without it. */
  readonly dilatedStages?: number;
  /**
   * What the blocks of a plain transformer, of windows or of mask units see of the embedded tokens:
   * an encoder of masked images sees some, or others in their place. All without it.
   */
  readonly visible?: (builder: GraphBuilder, tokens: Tokens) => Tokens;
  /** What patches that overlap read of the pixels: nothing of those that are hidden. */
  readonly uncovered?: (builder: GraphBuilder, pixels: ValueInfo) => ValueInfo;
  /**
   * What a model around a plain transformer does to the tokens in front of a block, counted from 0:
   * queries of its own may join them, and a bias be added to the block's scores.
   */
  readonly entering?: (builder: GraphBuilder, tokens: Tokens, block: number) => Entered;
}

/** Tokens that enter a block, and what is added to its scores, `[batch, 1, count, count]`. */
export interface Entered {
  readonly tokens: Tokens;
  readonly bias?: ValueInfo;
}

/** A layer in front of a network: (pixels − mean) / std, a number of each for every channel. */
export interface ImageNorm {
  readonly mean: ParameterView;
  readonly std: ParameterView;
}

/** The result of recognition, whichever family it is, or none. */
export type Recognition =
  // A whole model without an image backbone knows nothing of images.
  | (Described &
      Partial<ImageInput> & {
        /** The family's row: `vit`, `cnn`. */
        readonly family: string;
        /** The family's own name, or that of a whole model without a backbone: `resnet`, `t5`. */
        readonly architecture: string;
        readonly familyTitle: string;
        readonly dialect: string;
        readonly assumable: readonly string[];
        /** The tensors under canonical names; absent if the graph is the file's own (.onnx). */
        readonly translation?: Translation;
        /** What the family's `build` reads; absent with the translation. */
        readonly config?: unknown;
        /** The model around the network, by its name, and what its parts are written by. */
        readonly whole?: { readonly name: string; readonly config: unknown };
        /** The model_type of transformers that it is, whose usual preprocessing it takes. */
        readonly modelType?: string;
        /** A head of the user's own behind the network. */
        readonly ownHead?: OwnHead;
        /** What the network's images are normalised with in front of it, as the file has it. */
        readonly imageNorm?: ImageNorm;
        /** The classifier is not run: what lies between it and the backbone is not known. */
        readonly backboneOnly?: true;
        /** Absent if all of it runs. */
        readonly share?: Share;
        /** Why it is counted and shown, but not run, and what to do. */
        readonly notRun?: string;
      })
  | {
      readonly family: null;
      readonly dialect: string;
      /**
       * Why it is not taken for a vision transformer, e.g.
       * `looks like a language model: model.layers.0.self_attn.q_proj.weight`.
       */
      readonly reason: string;
      /** Nearest family and what is missing for it. */
      readonly nearest?: { readonly family: string; readonly missing: readonly string[] };
      /** What is known of the images of a graph that runs although nothing else is. */
      readonly input?: Pick<ImageInput, 'inside' | 'sizeStep'>;
      /** What the nearest family stumbled over, for whoever writes it. */
      readonly cause?: unknown;
    };

/** A recognition that names a family. */
export type Known = Extract<Recognition, { family: string }>;

/**
 * What part a tensor of the file has in the model; a copy is a second name of a parameter, which
 * counts under the first.
 */
export type TensorRole = 'parameter' | 'buffer' | 'unused' | 'copy';

/** Elements of the file by role; every tensor counted once, however often it is read. */
export interface ParameterCounts {
  readonly params: number;
  readonly buffers: number;
  readonly roles: ReadonlyMap<string, TensorRole>;
}
