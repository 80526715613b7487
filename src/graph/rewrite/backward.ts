import type { DType } from '../../checkpoint/tensors';
import { at } from '../../domain/lists';
import type { GraphBuilder } from '../builder';
import { constantIn, valueOf, type ConstantTensor, type Graph, type Node, type ValueInfo } from '../graph';
import { GradientCall, GradientError, gradientOf, inferOutputs, outputsForGradient } from '../operators';
import { isInteger } from '../operators/constants';
import { changingWith, madeOf } from '../order';
import { extend } from './extend';

export { GradientError };

const scope = 'backward';

const isCounted = (dtype: DType): boolean => isInteger(dtype) || dtype === 'BOOL';

/** Names of what a backward graph takes and gives, by the values that they are about. */
export const gradientNames = {
  /** Input: how much each element of a value counts, of the value's shape. */
  seed: (index: number): string => `seed.${index}`,
  /** Output: the derivative of the weighted sum by a value, of that value's shape. */
  gradient: (index: number): string => `gradient.${index}`,
};

/** What is derived by what, by value names of the graph. */
export interface Derivative {
  /** Values whose weighted sum is explained: each gets an input of weights. */
  readonly of: readonly string[];
  /** Values by which it is derived: the image, attention maps, outputs of modules. */
  readonly by: readonly string[];
}

/**
 * The graph with the outputs that rules read of its nodes, which the operators give but the model
 * did not ask for.
 */
function withStatistics(graph: Graph, isPassed: (node: Node) => boolean): Graph {
  const values = new Map(graph.values);
  const constantOf = ({ name }: ValueInfo): ConstantTensor | undefined =>
    constantIn(graph.initializers, name);
  const nodes = graph.nodes.map((node) => {
    const count = outputsForGradient(node);
    if (!isPassed(node) || node.outputs.length >= count) return node;
    const outputs = Array.from(
      { length: count },
      (_, index) => node.outputs[index] ?? `${node.name}:statistic${index}`,
    );
    const grown = { ...node, outputs };
    const inputs = node.inputs.map((input) => (input === '' ? undefined : valueOf(graph, input)));
    inferOutputs(grown, inputs, constantOf).forEach((info, index) => {
      const name = at(outputs, index);
      if (!values.has(name)) values.set(name, { name, ...info });
    });
    return grown;
  });
  return { ...graph, nodes, values };
}

/**
 * The graph with derivatives of a weighted sum of some of its values by others, in operators of the
 * same kind (reverse-mode differentiation; Griewank & Walther 2008, §3.2). What depends on weights
 * alone needs no rule. A value that the sum does not change with has a derivative of zeros.
 *
 * Inputs `seed.N` weight the values of `of`, outputs `gradient.N` are the derivatives by those of
 * `by`.
 *
 * @throws GradientError if an operator on the way has no derivative
 */
export function withGradients(graph: Graph, { of, by }: Derivative): Graph {
  // Whole numbers change in steps: their derivative is 0 wherever there is one, and so is that of
  // what is chosen by them.
  const isGradual = (value: string): boolean => !isCounted(valueOf(graph, value).dtype);
  const [changing, needed] = [changingWith(graph, by, isGradual), madeOf(graph, of)];
  const isOn = (value: string): boolean => changing.has(value) && needed.has(value) && isGradual(value);
  const isPassed = (node: Node): boolean => node.outputs.some(isOn) && node.inputs.some(isOn);
  for (const node of graph.nodes)
    if (node.inputs.some(isOn) && node.outputs.some((output) => needed.has(output)) && !gradientOf(node))
      throw new GradientError(`${node.name}: no derivative of operator ${titleOf(node)} is known`);
  const seen = withStatistics(graph, isPassed);
  return extend(seen, scope, (b, value) => {
    const sums = new Map<string, ValueInfo[]>();
    const bring = (name: string, gradient: ValueInfo): void => {
      const known = sums.get(name);
      if (known) known.push(gradient);
      else sums.set(name, [gradient]);
    };
    of.forEach((name, index) => bring(name, b.input(gradientNames.seed(index), value(name).shape)));
    const gradientsOf = (name: string): ValueInfo | undefined => total(b, sums, name);
    const constantOf = ({ name }: ValueInfo): ConstantTensor | undefined =>
      constantIn(seen.initializers, name);
    for (const node of seen.nodes.toReversed()) {
      if (!isPassed(node)) continue;
      const gradients = node.outputs.map((output) => (isOn(output) ? gradientsOf(output) : undefined));
      if (gradients.every((gradient) => gradient === undefined)) continue;
      const call = new GradientCall(
        node,
        node.inputs.map((input) => (input === '' ? undefined : value(input))),
        constantOf,
        b,
        {
          made: node.outputs.map((output) => value(output)),
          gradients,
          isWanted: node.inputs.map((input) => input !== '' && isOn(input)),
        },
      );
      b.scope(`/${node.name}`, () =>
        inputGradients(call).forEach((gradient, index) => {
          const name = at(node.inputs, index);
          if (gradient && isOn(name)) bring(name, gradient);
        }),
      );
    }
    by.forEach((name, index) => {
      const own = gradientsOf(name) ?? b.add('Expand', [b.scalar(0), b.indices(value(name).shape)]);
      b.output(gradientNames.gradient(index), own, 'state');
    });
  });
}

/** Gradients that reach a value by several ways are added up, once. */
function total(b: GraphBuilder, sums: Map<string, ValueInfo[]>, name: string): ValueInfo | undefined {
  const found = sums.get(name);
  if (!found || found.length === 0) return undefined;
  const sum = found.length === 1 ? at(found, 0) : b.add('Sum', found);
  sums.set(name, [sum]);
  return sum;
}

const titleOf = ({ domain, op }: Node): string => (domain ? `${domain}.${op}` : op);

function inputGradients(call: GradientCall): readonly (ValueInfo | undefined)[] {
  const { node } = call;
  const rule = gradientOf(node);
  if (!rule) return call.fail('no derivative is known');
  const half =
    node.outputs.length > 0 && call.made.find(({ dtype }, index) => call.gradient(index) && dtype !== 'F32');
  if (half)
    throw new GradientError(`${node.name}: derivatives are written in F32; ${half.name} is ${half.dtype}`);
  return rule(call);
}
