import type { DType } from '../checkpoint/tensors';
import type { Initializer, Node, ValueInfo } from './graph';

/** Type and shape of one output. */
export interface OutputInfo {
  readonly dtype: DType;
  readonly shape: readonly number[];
}

/** Types and shapes of a node's outputs. Throws with the node's name, its operator and the shapes found where they do not fit. */
export declare function inferOutputs(
  node: Node,
  inputs: readonly (ValueInfo | undefined)[],
  constantOf: (value: ValueInfo) => Initializer | undefined,
): readonly OutputInfo[];
