import type { DType } from '../checkpoint/tensors';
import type { Probe } from '../domain/probes';

/** A value that flows along the graph's edges. Shapes are concrete: another image size is another graph. */
export interface ValueInfo {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
}

/** An ONNX attribute with the type ONNX stores it under. */
export type Attribute =
  | { readonly type: 'int'; readonly value: number }
  | { readonly type: 'float'; readonly value: number }
  | { readonly type: 'string'; readonly value: string }
  | { readonly type: 'ints'; readonly value: readonly number[] }
  | { readonly type: 'floats'; readonly value: readonly number[] }
  | { readonly type: 'strings'; readonly value: readonly string[] }
  | { readonly type: 'tensor'; readonly value: ConstantTensor };

/** A small tensor held in memory: row-major, little-endian. */
export interface ConstantTensor {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}

/** One ONNX operator. */
export interface Node {
  /** Unique; begins with the scope: `blocks.3.attn.qkv`, `blocks.3.attn/Softmax`. Joins tree, profile and complexity. */
  readonly name: string;
  /** Module path, empty at the root: in canonical (timm's) names for a recognised checkpoint, an .onnx file's own. `blocks.3.attn` */
  readonly scope: string;
  readonly op: string;
  /** Operator domain; empty is ai.onnx. */
  readonly domain: string;
  /** Value names; an empty string is an optional input left out. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: Readonly<Record<string, Attribute>>;
}

/** A stored tensor of the graph: a range of a checkpoint's tensor, or a constant the family computed. */
export interface Initializer extends ValueInfo {
  readonly data:
    | {
        readonly kind: 'parameter';
        /** Name in the checkpoint. The bytes are elements `first … first + elementCount(shape)` of it, in its own dtype. */
        readonly tensor: string;
        readonly first: number;
      }
    | { readonly kind: 'constant'; readonly bytes: Uint8Array };
}

/** What a module is, for the tree's detail pane: `Multi-head self-attention`, `softmax(QKᵀ/√64)·V, 12 heads`. */
export interface ModuleNote {
  readonly title: string;
  readonly formula?: string;
}

/** What a result is: scores of classes, a pooled vector, a sequence or map before pooling, and what tasks draw. */
export type OutputMeaning =
  'logits' | 'features' | 'tokens' | 'maps' | 'boxes' | 'masks' | 'depth' | 'pixels' | 'state' | 'attention';

/** A named result: `logits`, `features`, `tokens` … */
export interface GraphOutput {
  readonly name: string;
  readonly value: string;
  readonly means: OutputMeaning;
}

/**
 * A model as a graph of ONNX operators: the one description from which module tree, complexity, probes and ONNX bytes are derived.
 * Nodes stand in execution order.
 */
export interface Graph {
  readonly name: string;
  /** Operator set version by domain; '' is ai.onnx. */
  readonly opsets: Readonly<Record<string, number>>;
  readonly inputs: readonly ValueInfo[];
  readonly outputs: readonly GraphOutput[];
  readonly nodes: readonly Node[];
  readonly initializers: ReadonlyMap<string, Initializer>;
  /** Type and shape of every value, initializers included. */
  readonly values: ReadonlyMap<string, ValueInfo>;
  /** Where attention is, in execution order. */
  readonly probes: readonly Probe[];
  /** Notes by module path. */
  readonly modules: ReadonlyMap<string, ModuleNote>;
}

export const int = (value: number): Attribute => ({ type: 'int', value });
export const float = (value: number): Attribute => ({ type: 'float', value });
export const ints = (value: readonly number[]): Attribute => ({ type: 'ints', value });
export const text = (value: string): Attribute => ({ type: 'string', value });
