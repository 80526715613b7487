import type { DType } from '../checkpoint/tensors';
import { at } from '../domain/lists';
import type { Probe } from '../domain/probes';

/**
 * A value that flows along the graph's edges. Shapes are concrete: another image size is another
 * graph.
 */
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
  /**
   * Unique; begins with the scope: `blocks.3.attn.qkv`, `blocks.3.attn/Softmax`. Joins tree,
   * profile and complexity.
   */
  readonly name: string;
  /**
   * Module path, empty at the root: in canonical (timm's) names for a recognised checkpoint, an
   * .onnx file's own. `blocks.3.attn`
   */
  readonly scope: string;
  readonly op: string;
  /** Operator domain; empty is ai.onnx. */
  readonly domain: string;
  /** Value names; an empty string is an optional input left out. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: Readonly<Record<string, Attribute>>;
  /** Makes a parameter of several tensors, when the graph is loaded: no work of the model. */
  readonly atLoad?: true;
  /**
   * What it makes as an .onnx file states it, or as its first input is: of an operator that the
   * runtime alone knows. Its work is not counted.
   */
  readonly stated?: readonly Pick<ValueInfo, 'dtype' | 'shape'>[];
}

/**
 * A stored tensor of the graph: a range of a checkpoint's tensor, or a constant the family
 * computed.
 */
export interface Initializer extends ValueInfo {
  readonly data:
    | {
        readonly kind: 'parameter';
        /**
         * Name in the checkpoint. The bytes are elements `first … first + elementCount(shape)` of
         * it, in its own dtype.
         */
        readonly tensor: string;
        readonly first: number;
        /** Its bytes, if shapes or places hang on them: indices that an .onnx file stores. */
        readonly known?: Uint8Array;
      }
    | { readonly kind: 'constant'; readonly bytes: Uint8Array };
}

/**
 * What a module is, for the tree's detail pane: `Multi-head self-attention`, `softmax(QKᵀ/√64)·V,
 * 12 heads`.
 */
export interface ModuleNote {
  readonly title: string;
  readonly formula?: string;
}

/**
 * What a result is: scores of classes (before softmax or sigmoid, or after it), a pooled vector, a
 * sequence or map before pooling, and what tasks draw; `seen` is the input itself.
 */
export type OutputMeaning =
  | 'logits'
  | 'probabilities'
  | 'features'
  | 'tokens'
  | 'maps'
  | 'boxes'
  | 'masks'
  | 'depth'
  | 'heatmaps'
  | 'pixels'
  | 'restored'
  | 'seen'
  | 'state'
  | 'embedding'
  | 'scores'
  | 'words'
  | 'replies'
  | 'attention';

/** A named result: `logits`, `features`, `tokens` … */
export interface GraphOutput {
  readonly name: string;
  readonly value: string;
  readonly means: OutputMeaning;
  /** Of logits: what a file's own graph makes of them, whatever a config says. */
  readonly activation?: 'softmax' | 'sigmoid';
}

/**
 * A model as a graph of ONNX operators: the one description from which module tree, complexity,
 * probes and ONNX bytes are derived. Nodes stand in execution order.
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

/** A graph is not what it must be; names the node or the value that it is about. */
export class GraphError extends Error {
  override readonly name = 'GraphError';
}

/** Type and shape of a value. Throws `GraphError` if the graph has none of that name. */
export function valueOf(graph: Pick<Graph, 'values'>, name: string): ValueInfo {
  const value = graph.values.get(name);
  if (!value) throw new GraphError(`the graph has no value ${name}`);
  return value;
}

/** A constant of the graph; undefined for weights and what operators make. */
export function constantIn(initializers: Graph['initializers'], name: string): ConstantTensor | undefined {
  const initializer = initializers.get(name);
  if (!initializer) return undefined;
  const { data, dtype, shape } = initializer;
  const bytes = data.kind === 'constant' ? data.bytes : data.known;
  return bytes && { dtype, shape, bytes };
}

/** An attribute's integer, or another number if it is not there. */
export function intOf(node: Pick<Node, 'attributes'>, name: string, otherwise: number): number {
  const attribute = node.attributes[name];
  return attribute?.type === 'int' ? attribute.value : otherwise;
}

/** An attribute's list of integers; empty if it is not there. */
export function intsOf(node: Pick<Node, 'attributes'>, name: string): readonly number[] {
  const attribute = node.attributes[name];
  return attribute?.type === 'ints' ? attribute.value : [];
}

/** Name of a node's output. Throws `RangeError` if it has fewer. */
export const outputName = (node: Node, index = 0): string => at(node.outputs, index);

export const int = (value: number): Attribute => ({ type: 'int', value });
export const float = (value: number): Attribute => ({ type: 'float', value });
export const ints = (value: readonly number[]): Attribute => ({ type: 'ints', value });
export const text = (value: string): Attribute => ({ type: 'string', value });
