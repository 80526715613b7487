import type { DType, Tensor } from '../tensors';

/**
 * A dimension as the file states it: a size, or the name of a symbolic one (`batch`; empty if
 * the file gives neither).
 */
export type OnnxDimension = number | string;

/** A graph input, output or value_info entry. */
export interface OnnxValue {
  readonly name: string;
  /** Absent if the value is no tensor (sequence, map, optional) or the file does not say. */
  readonly dtype?: DType;
  /** Absent if the file gives no shape; empty for a scalar. */
  readonly shape?: readonly OnnxDimension[];
}

/**
 * An attribute's value, tagged with AttributeProto's own type names. 64-bit integers are bigint
 * only beyond 2^53.
 */
export type OnnxAttribute =
  | { readonly type: 'float'; readonly value: number }
  | { readonly type: 'int'; readonly value: number | bigint }
  | { readonly type: 'string'; readonly value: string }
  | { readonly type: 'tensor'; readonly value: Tensor }
  | { readonly type: 'graph'; readonly value: OnnxGraph }
  | { readonly type: 'floats'; readonly value: readonly number[] }
  | { readonly type: 'ints'; readonly value: readonly (number | bigint)[] }
  | { readonly type: 'strings'; readonly value: readonly string[] }
  | { readonly type: 'tensors'; readonly value: readonly Tensor[] }
  | { readonly type: 'graphs'; readonly value: readonly OnnxGraph[] }
  /** Inside a function's body: the value of the caller's attribute of that name. */
  | { readonly type: 'reference'; readonly value: string }
  /** Kinds that no tensor model needs (sparse_tensor, type_proto …): noted, not read. */
  | { readonly type: 'other'; readonly value: string };

export interface OnnxNode {
  /** May be empty: ONNX does not require names. */
  readonly name: string;
  readonly opType: string;
  /** `''` is the ONNX standard's own domain (`ai.onnx` is normalised to it). */
  readonly domain: string;
  /** An empty name is an omitted optional input. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: Readonly<Record<string, OnnxAttribute>>;
  /**
   * metadata_props of the node; PyTorch's exporter puts the module path there
   * (`pkg.torch.onnx.name_scopes`).
   */
  readonly metadata: Readonly<Record<string, string>>;
}

export interface OnnxGraph {
  readonly name: string;
  /** Without those that are initializers too (old IR versions list both). */
  readonly inputs: readonly OnnxValue[];
  /** Inputs that are initializers too: the value is kept unless a caller gives another. */
  readonly defaults?: readonly string[];
  readonly outputs: readonly OnnxValue[];
  readonly values: readonly OnnxValue[];
  readonly nodes: readonly OnnxNode[];
  /**
   * Data stays in the file (raw_data and external data by offset); only typed `*_data` fields are
   * inline.
   */
  readonly initializers: readonly Tensor[];
}

/** A function defined in the file itself; nodes call it by `domain` and `name`. */
export interface OnnxFunction {
  readonly name: string;
  readonly domain: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: readonly string[];
  readonly nodes: readonly OnnxNode[];
  readonly opsets: Readonly<Record<string, number>>;
}

/** An .onnx file as plain records: checked for structure, not for meaning; no tensor data read. */
export interface OnnxModel {
  readonly irVersion: number;
  /** Domain (`''` for the standard's own) to version. */
  readonly opsets: Readonly<Record<string, number>>;
  readonly producer: string;
  readonly graph: OnnxGraph;
  readonly functions: readonly OnnxFunction[];
  readonly metadata: Readonly<Record<string, string>>;
  /** Every file that holds initializers, links resolved; the model itself first. */
  readonly files: readonly string[];
  readonly warnings: readonly string[];
}
