import { elementCount } from '../../checkpoint/tensors';
import { at, MissingItemError } from '../../domain/lists';
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
import { blocked, contrib } from './contrib';
import { elementwise } from './elementwise';
import { generators } from './generators';
import { gradients, type GradientRule } from './gradients';
import { indexing } from './indexing';
import { layout } from './layout';
import { matrix } from './matrix';
import { normalisation } from './normalisation';
import { pooling } from './pooling';
import { quantisation } from './quantisation';
import { reduction } from './reduction';

export { GradientCall, GradientError, outputsForGradient, type GradientRule } from './gradients';
export {
  Call,
  OperatorError,
  type ConstantOf,
  type Operator,
  type OperatorKind,
  type OutputInfo,
} from './call';

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
  'com.microsoft.nchwc': blocked,
};

/** By domain and name: asked many times of each node, whose names come from a file. */
const rows: ReadonlyMap<string, ReadonlyMap<string, Operator>> = new Map(
  Object.entries(domains).map(([domain, table]) => [domain, new Map(Object.entries(table))]),
);

/** The operator's row; undefined if it is not known. */
export function operatorOf(node: Pick<Node, 'op' | 'domain'>): Operator | undefined {
  return rows.get(node.domain === 'ai.onnx' ? '' : node.domain)?.get(node.op);
}

/** How the gradients of a node's inputs are written; undefined if that is not known. */
export const gradientOf = ({ op, domain }: Pick<Node, 'op' | 'domain'>): GradientRule | undefined => {
  const table = gradients[domain === 'ai.onnx' ? '' : domain];
  return table && Object.hasOwn(table, op) ? table[op] : undefined;
};

function rowOf(node: Node, inputs: readonly (ValueInfo | undefined)[]): Operator {
  const row = operatorOf(node);
  if (row) return row;
  const { stated } = node;
  if (stated) return { kind: 'other', infer: () => stated };
  const name = node.domain ? `${node.domain}.${node.op}` : node.op;
  throw new OperatorError(node, inputs, `operator ${name} is not known`);
}

/**
 * Types and shapes of a node's outputs. Throws with the node's name, its operator and the shapes
 * found if they do not fit.
 */
export function inferOutputs(
  node: Node,
  inputs: readonly (ValueInfo | undefined)[],
  constantOf: ConstantOf,
): readonly OutputInfo[] {
  const row = rowOf(node, inputs);
  try {
    return row.infer(new Call(node, inputs, constantOf));
  } catch (error) {
    throw ofNode(error, node, inputs);
  }
}

/** A list that is too short for the axes it is about is the node's fault. */
function ofNode(error: unknown, node: Node, inputs: readonly (ValueInfo | undefined)[]): unknown {
  return error instanceof MissingItemError ? new OperatorError(node, inputs, error.message) : error;
}

/**
 * A node's outputs if they do not depend on the image: all inputs are known, or only their
 * shapes matter. Undefined if they do depend, if the operator has no rule, or if one of the results
 * has more numbers than are left to be computed.
 */
export function foldNode(
  node: Node,
  inputs: readonly (ValueInfo | undefined)[],
  constantOf: ConstantOf,
  atMost: number,
): readonly ConstantTensor[] | undefined {
  const { infer, fold, foldsShape } = rowOf(node, inputs);
  const call = new Call(node, inputs, constantOf);
  const given = inputs.every((input, index) => !input || call.known(index) !== undefined);
  if (!fold || !(given || foldsShape)) return undefined;
  try {
    const outputs = infer(call);
    const fits = ({ dtype, shape }: OutputInfo): boolean =>
      isFoldable(dtype) && elementCount(shape) <= atMost;
    if (!outputs.every(fits)) return undefined;
    return fold(call, at(outputs, 0), outputs).map((values, index) => {
      const { dtype, shape } = at(outputs, index);
      return encode(dtype, shape, values);
    });
  } catch (error) {
    throw ofNode(error, node, inputs);
  }
}

/** Work of one node, exact. Values are those of the graph it stands in. */
export interface Cost {
  readonly kind: Operator['kind'];
  readonly macs: number;
  /** Elements that element-wise work touches; 0 for products, convolutions and layout. */
  readonly elements: number;
  /** What fvcore charges besides products. */
  readonly charge: number;
}

/**
 * Multiply-accumulates and elements touched of one node. `constantOf` tells constants apart from
 * parameters.
 */
export function costOf(
  node: Node,
  inputs: readonly (ValueInfo | undefined)[],
  outputs: readonly OutputInfo[],
  constantOf: ConstantOf = () => undefined,
): Cost {
  const row = rowOf(node, inputs);
  const call = new Call(node, inputs, constantOf);
  const output = at(outputs, 0);
  const counted = row.macs !== undefined || row.kind === 'layout';
  const touched = row.elements?.(call) ?? outputs.reduce((sum, { shape }) => sum + elementCount(shape), 0);
  return {
    kind: row.kind,
    macs: row.macs?.(call, output) ?? 0,
    elements: counted ? 0 : touched,
    charge: row.charge?.(call, output) ?? 0,
  };
}

/** Names of a node's inputs whose elements its outputs hold, moved or converted at most. */
export function carriedInputs(node: Node): readonly string[] {
  const row = operatorOf(node);
  if (!row?.carries) return [];
  return row.joins ? node.inputs : node.inputs.slice(0, 1);
}

/** Whether the operator's output shares its input's memory. */
export const isView = (node: Node): boolean => operatorOf(node)?.carries === 'view';

/** Whether a node states its output's shape, which is another one for a part of it. */
export const statesShape = (node: Node): boolean => isView(node) || node.op === 'Expand';

/**
 * Whether the output holds the input's elements in their order, in another shape or type at most.
 */
export function keepsElements(node: Node): boolean {
  const carries = operatorOf(node)?.carries;
  return carries === 'view' || carries === 'converts';
}

/**
 * Names of the two inputs that a product or convolution multiplies; the first two of any other
 * operator.
 */
export function factorsOf(node: Node): readonly [left: string, right: string] {
  const [left, right] = operatorOf(node)?.factors ?? [0, 1];
  return [node.inputs[left] ?? '', node.inputs[right] ?? ''];
}

/** Every row of the table with its domain and name. */
export const operatorRows: readonly {
  readonly domain: string;
  readonly op: string;
  readonly row: Operator;
}[] = Object.entries(domains).flatMap(([domain, table]) =>
  Object.entries(table).map(([op, row]) => ({ domain, op, row })),
);
