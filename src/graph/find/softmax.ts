import { intOf, outputName, type Graph, type Node, type ValueInfo } from '../graph';
import { operatorOf } from '../operators';
import { producers } from '../order';

type Parts = Pick<Graph, 'nodes' | 'values'>;

/** A softmax over the last axis, as one operator or written out. */
export interface Softmax {
  /** Value of the scores. */
  readonly input: string;
  /** The operator that makes the weights. */
  readonly node: Node;
}

/**
 * Every softmax over the last axis, in execution order: the operator itself, or exp(x) divided by
 * its sum, with or without the largest subtracted before (Goodfellow et al. 2016, §4.1).
 */
export function softmaxes(graph: Parts): readonly Softmax[] {
  const from = producers(graph);
  return graph.nodes.flatMap((node) => {
    const input = scoresBefore(node, from, graph.values);
    return input === undefined ? [] : [{ input, node }];
  });
}

function scoresBefore(
  node: Node,
  from: ReadonlyMap<string, Node>,
  values: Graph['values'],
): string | undefined {
  if (operatorOf(node)?.kind === 'softmax' && node.op.endsWith('Softmax') && node.op !== 'LogSoftmax')
    return isOverLastAxis(node, values) ? node.inputs[0] : undefined;
  const [dividend = '', divisor = ''] = quotient(node, from) ?? [];
  const exponential = from.get(dividend);
  const sum = from.get(divisor);
  const isSum = sum?.op === 'ReduceSum' && sum.inputs[0] === dividend && isLastReduced(sum, values);
  if (exponential?.op !== 'Exp' || !isSum) return undefined;
  const [scores = ''] = exponential.inputs;
  const shifted = from.get(scores);
  const largest = shifted?.op === 'Sub' ? from.get(shifted.inputs[1] ?? '') : undefined;
  const isShifted = largest?.op === 'ReduceMax' && largest.inputs[0] === shifted?.inputs[0];
  return isShifted && isLastReduced(largest, values) ? shifted?.inputs[0] : scores;
}

/** a / b, or a · (1 / b). */
function quotient(node: Node, from: ReadonlyMap<string, Node>): readonly string[] | undefined {
  if (node.op === 'Div') return node.inputs;
  if (node.op !== 'Mul') return undefined;
  const inverse = node.inputs.findIndex((name) => from.get(name)?.op === 'Reciprocal');
  const divisor = from.get(node.inputs[inverse] ?? '')?.inputs[0];
  return divisor === undefined ? undefined : [node.inputs[1 - inverse] ?? '', divisor];
}

function isOverLastAxis(node: Node, values: ReadonlyMap<string, ValueInfo>): boolean {
  const rank = values.get(outputName(node))?.shape.length ?? 0;
  const axis = intOf(node, 'axis', -1);
  return axis === -1 || axis === rank - 1;
}

/** Whether a reduction keeps all axes but the last, and that one as 1. */
function isLastReduced(node: Node, values: ReadonlyMap<string, ValueInfo>): boolean {
  const before = values.get(node.inputs[0] ?? '')?.shape ?? [];
  const after = values.get(outputName(node))?.shape ?? [];
  const expected = [...before.slice(0, -1), 1];
  return before.length > 0 && expected.join() === after.join();
}
