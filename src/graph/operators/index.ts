import { elementCount } from '../../checkpoint/tensors';
import type { ConstantTensor, Node, ValueInfo } from '../graph';
import { activation } from './activation';
import {
  Call,
  OperatorError,
  type ConstantOf,
  type Operator,
  type OperatorTable,
  type OutputInfo,
} from './call';
import { encode, isFoldable } from './constants';
import { contrib } from './contrib';
import { elementwise } from './elementwise';
import { generators } from './generators';
import { indexing } from './indexing';
import { layout } from './layout';
import { matrix } from './matrix';
import { normalisation } from './normalisation';
import { pooling } from './pooling';
import { quantisation } from './quantisation';
import { reduction } from './reduction';

export { OperatorError, type ConstantOf, type Operator, type OperatorKind, type OutputInfo } from './call';

/** Larger constants are left to the runtime: shape arithmetic never comes near. */
const foldLimit = 1 << 20;

const domains: Readonly<Record<string, OperatorTable>> = {
  '': {
    ...matrix,
    ...elementwise,
    ...activation,
    ...normalisation,
    ...reduction,
    ...layout,
    ...indexing,
    ...pooling,
    ...generators,
    ...quantisation,
  },
  'com.microsoft': contrib,
};

/** The operator's row; undefined where it is not known. */
export function operatorOf(node: Pick<Node, 'op' | 'domain'>): Operator | undefined {
  const table = domains[node.domain === 'ai.onnx' ? '' : node.domain];
  return table && Object.hasOwn(table, node.op) ? table[node.op] : undefined;
}

function rowOf(node: Node, inputs: readonly (ValueInfo | undefined)[]): Operator {
  const row = operatorOf(node);
  if (row) return row;
  const name = node.domain ? `${node.domain}.${node.op}` : node.op;
  throw new OperatorError(node, inputs, `operator ${name} is not known`);
}

/** Types and shapes of a node's outputs. Throws with the node's name, its operator and the shapes found where they do not fit. */
export function inferOutputs(
  node: Node,
  inputs: readonly (ValueInfo | undefined)[],
  constantOf: ConstantOf,
): readonly OutputInfo[] {
  return rowOf(node, inputs).infer(new Call(node, inputs, constantOf));
}

/**
 * A node's outputs where they do not depend on the picture: all inputs are known, or only their shapes matter.
 * Undefined where they do depend, where the operator has no rule, or where the result is too large to be shape arithmetic.
 */
export function foldNode(
  node: Node,
  inputs: readonly (ValueInfo | undefined)[],
  constantOf: ConstantOf,
): readonly ConstantTensor[] | undefined {
  const row = rowOf(node, inputs);
  const call = new Call(node, inputs, constantOf);
  const given = inputs.every((input, index) => !input || call.known(index) !== undefined);
  if (!row.fold || !(given || row.foldsShape)) return undefined;
  const outputs = row.infer(call);
  const fits = ({ dtype, shape }: OutputInfo): boolean =>
    isFoldable(dtype) && elementCount(shape) <= foldLimit;
  if (!outputs.every(fits)) return undefined;
  return row.fold(call, outputs).map((values, index) => {
    const { dtype, shape } = outputs[index]!;
    return encode(dtype, shape, values);
  });
}

/** Work of one node, exact. Values are those of the graph it stands in. */
export interface Cost {
  readonly kind: Operator['kind'];
  readonly macs: number;
  /** Elements that element-wise work touches; 0 for products, convolutions and layout. */
  readonly elements: number;
}

/** Multiply-accumulates and elements touched of one node. */
export function costOf(
  node: Node,
  inputs: readonly (ValueInfo | undefined)[],
  outputs: readonly OutputInfo[],
  constantOf: ConstantOf = () => undefined,
): Cost {
  const row = rowOf(node, inputs);
  const call = new Call(node, inputs, constantOf);
  const counted = row.macs !== undefined || row.kind === 'layout';
  const touched =
    row.elements?.(call, outputs) ?? outputs.reduce((sum, { shape }) => sum + elementCount(shape), 0);
  return { kind: row.kind, macs: row.macs?.(call, outputs) ?? 0, elements: counted ? 0 : touched };
}
