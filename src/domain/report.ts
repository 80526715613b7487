import type { Grid, Size } from './size';

/**
 * Multiply-accumulates by kind, exact integers. conv + linear + attention = counted MACs; FLOPs are
 * twice that.
 */
export interface Macs {
  readonly conv: number;
  /** Matrix products of which one operand is a parameter. */
  readonly linear: number;
  /** Every other matrix product: scores, mix, and the few that families add. */
  readonly attention: number;
}

/**
 * One row of the module tree. Rows stand in tree order (a parent before its children) and are
 * linked by index.
 */
export interface ModuleRow {
  /** Module path, `blocks.3.attn`; for a group of repeated blocks that of its first member. */
  readonly path: string;
  /** The part of a model of several that the row is of, or stands for if its path is empty. */
  readonly part?: string;
  /** Last part of the path, or `0 … 11` for a group. */
  readonly name: string;
  /** The file's own path of it, `vit.encoder.layer.0.attention`, if that is another. */
  readonly ownPath?: string;
  /** What of the own path lies below the row around it; several names if it gathers modules. */
  readonly ownName?: string;
  /** Index of the parent row; -1 at the root. */
  readonly parent: number;
  /** Depth in the tree, 0 at the root. */
  readonly depth: number;
  /**
   * `module`: one module. `group`: consecutive siblings of identical structure, folded; its first
   * child rows are the common structure (numbers of one member), its `members` the rows of the
   * single modules.
   */
  readonly kind: 'module' | 'group';
  /** Number of identical siblings; 1 for a plain module. */
  readonly count: number;
  /** Rows of the members of a group, hidden until it is expanded. */
  readonly members: readonly number[];
  /** Row belongs to a member that a group stands for. */
  readonly folded: boolean;
  /** Learnable parameters of the subtree (of all members for a group). */
  readonly params: number;
  readonly buffers: number;
  /** Weight bytes in the file. */
  readonly bytes: number;
  readonly macs: Macs;
  /** float32 bytes of the outputs of the subtree's operators. */
  readonly activationBytes: number;
  /**
   * Shape of the module's last output without the batch axis; empty if it has none (a
   * parameter).
   */
  readonly output: readonly number[];
  /** Stored types, most frequent first: `F32`, `F16 + F32`. */
  readonly dtype: string;
  readonly title: string;
  readonly formula: string;
  /** Indices into the tensor rows: this module's own tensors, without its children's. */
  readonly tensors: readonly number[];
  /** Further lines of the detail pane: `scores` `12×197×197 = 465,708`. */
  readonly details: readonly { readonly label: string; readonly value: string }[];
}

/** One row of the tensor table. */
export interface TensorRow {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly bytes: number;
  /** Place in the file; absent if the value lies compressed or inside the header. */
  readonly offset?: number;
  /** Base name of the file (shards). */
  readonly file: string;
  readonly role: 'parameter' | 'buffer' | 'unused' | 'copy';
}

/** One station of the drawing of the whole, from image to head. */
export interface Station {
  readonly kind:
    | 'image'
    | 'words'
    | 'prompt'
    | 'patches'
    | 'tokens'
    | 'blocks'
    | 'downsample'
    | 'norm'
    | 'pool'
    | 'head'
    | 'map'
    | 'beside';
  /** The part of a model of several: a lane of the drawing. */
  readonly part?: string;
  readonly label: string;
  /** Second line: `14 × 14 patches of 16`, `197 × 768`. */
  readonly detail: string;
  /** Module to select on click. */
  readonly path: string;
  readonly grid?: Grid;
  readonly special?: readonly string[];
  readonly count?: number;
}

/** Where lanes of the drawing meet: one part hands what it made to another. */
export interface LaneJoin {
  readonly from: string;
  readonly to: string;
}

/** Counts of one operator type. */
export interface OperatorRow {
  readonly op: string;
  readonly kind:
    | 'conv'
    | 'linear'
    | 'attention'
    | 'normalisation'
    | 'softmax'
    | 'activation'
    | 'elementwise'
    | 'layout'
    | 'other';
  readonly count: number;
  readonly macs: number;
  /** Elements touched by element-wise work. */
  readonly elements: number;
  readonly bytes: number;
}

/** A module with operators of one type among its own, not its children's. */
export interface OperatorUse {
  /** Module path, as the tree has it. */
  readonly path: string;
  /** The part of a model of several. */
  readonly part?: string;
  readonly count: number;
  readonly macs: number;
  readonly elements: number;
}

/** An attention layer's sizes: `tokens` N, `width` D, `heads` h. */
export interface LayerSizes {
  readonly tokens: number;
  readonly width: number;
  readonly heads: number;
}

/**
 * A layer of the model with its module path, and what it does as it is:
 * `Window attention, windows of 7 × 7, on 56 × 56`.
 */
export interface NamedLayer extends LayerSizes {
  readonly path: string;
  readonly form: string;
  /**
   * The side of its windows or by how much its keys are reduced, if it has them: what the other
   * forms begin with.
   */
  readonly own: { readonly window?: number; readonly reduction?: number };
}

/** A what-if row: what one attention layer of this model would cost. */
export interface WhatIf {
  readonly name: string;
  readonly formula: string;
  readonly macs: number;
}

/** What a part of a model costs, run once. */
export interface PartRow {
  /** `image`, `text`, `decoder` … */
  readonly name: string;
  /** Learnable parameters; one that several parts read counts in the first of them. */
  readonly params: number;
  readonly macs: Macs;
  /** float32 bytes of all operator outputs, and the most of them that live at once. */
  readonly activationBytes: number;
  readonly peakActivationBytes: number;
  /** float32 bytes of its attention maps. */
  readonly attentionBytes: number;
  /** What it is fed: names with shapes. */
  readonly inputs: readonly { readonly name: string; readonly shape: readonly number[] }[];
}

/** How many texts, tokens, frames or prompts a model is counted for. */
export interface LengthRow {
  /** As `--lengths` has it: `texts`, `text`, `decoder`, `frames` … */
  readonly name: string;
  /** In words: `tokens of a text`. */
  readonly title: string;
  readonly value: number;
  /** The model's own, if nobody asks for another. */
  readonly own: number;
  readonly least: number;
  readonly most: number;
  readonly step: number;
}

/** Everything the complexity report shows for one image size. */
export interface ComplexityReport {
  /** Null of a model that reads no images. */
  readonly imageSize: Size | null;
  readonly batch: number;
  readonly params: number;
  readonly buffers: number;
  readonly macs: Macs;
  /** 2 × (conv + linear + attention). */
  readonly flops: number;
  /** Bytes of the weights as stored. */
  readonly weightBytes: number;
  /**
   * float32 bytes of all operator outputs; a view (reshape) is no memory of its own, and what is
   * computed from weights alone is none.
   */
  readonly activationBytes: number;
  /** Largest sum of live operator outputs in execution order; parts run one after the other. */
  readonly peakActivationBytes: number;
  /** float32 bytes of all attention maps. */
  readonly attentionBytes: number;
  /** Length of the longest token sequence; 0 if there is none. */
  readonly tokens: number;
  /** In the order in which an answer needs them; the sums are the report's. */
  readonly parts: readonly PartRow[];
  /** Empty for a model that reads images alone. */
  readonly lengths: readonly LengthRow[];
  readonly modules: readonly ModuleRow[];
  readonly operators: readonly OperatorRow[];
  /**
   * fvcore's count (timm's `gmacs` tables) and output elements of conv, linear and products
   * (`macts`).
   */
  readonly conventions: { readonly fvcore: number; readonly activations: number };
  /**
   * The formula of each headline number with this checkpoint's numbers:
   * `12 × 2 · 197² · 768 = 715,327,488`.
   */
  readonly formulas: Readonly<Record<string, string>>;
  readonly whatIf: readonly WhatIf[];
  /**
   * The costliest attention layer, which the what-if rows are about; absent if no layer attends
   * among tokens.
   */
  readonly layer?: NamedLayer;
}

/** One image size of the scaling curve. */
export interface ScalingPoint {
  readonly imageSize: Size;
  readonly tokens: number;
  readonly macs: Macs;
  readonly activationBytes: number;
  readonly peakActivationBytes: number;
}

/**
 * MACs against image size, by the family's own steps and past the point where attention overtakes
 * the rest.
 */
export interface Scaling {
  readonly points: readonly ScalingPoint[];
  /** First point at which attention exceeds linear + conv; absent if it never does. */
  readonly crossing?: ScalingPoint;
  /** Native size of the checkpoint. */
  readonly native: Size;
  readonly step: Size;
}
