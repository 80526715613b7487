import { elementCount } from '../checkpoint/tensors';
import { constantIn, type Graph, type Node, type ValueInfo } from '../graph/graph';
import { costOf, factorsOf, isView, type ConstantOf } from '../graph/operators';
import { neededNodes, readBy } from '../graph/order';
import { perGraph } from '../graph/perGraph';
import type { Probe } from '../domain/probes';
import type { Macs, OperatorRow } from '../domain/report';
import { at } from '../domain/lists';
import { exact, exactSum } from './exact';
import { traceProvenance, type Provenance } from './provenance';

/** What one operator does, exact. */
export interface Work {
  readonly node: Node;
  readonly kind: OperatorRow['kind'];
  readonly macs: number;
  /** Elements that element-wise work touches. */
  readonly elements: number;
  /** What fvcore charges besides products. */
  readonly charge: number;
  /**
   * float32 bytes of its outputs; 0 if they are a view of its input or are computed when the
   * graph is loaded.
   */
  readonly bytes: number;
  readonly inputs: readonly (ValueInfo | undefined)[];
  readonly outputs: readonly ValueInfo[];
}

/** The work of every operator that the graph's outputs need, in execution order. */
export const workOf = perGraph((graph): readonly Work[] => {
  const provenance = traceProvenance(graph);
  const constantOf: ConstantOf = ({ name }) => constantIn(graph.initializers, name);
  const needed = neededNodes(
    graph,
    graph.outputs.map(({ value }) => value),
  );
  return needed.map((node) => nodeWork(graph, node, provenance, constantOf));
});

function nodeWork(graph: Graph, node: Node, provenance: Provenance, constantOf: ConstantOf): Work {
  const inputs = node.inputs.map((name) => graph.values.get(name));
  const outputs = node.outputs.flatMap((name) => graph.values.get(name) ?? []);
  const cost = costOf(node, inputs, outputs, constantOf);
  const isStatic = readBy(node).every(provenance.isStatic);
  // A bias or a scale among the inputs makes no linear layer.
  const linear = factorsOf(node).some(provenance.isParameter);
  return {
    node,
    kind: cost.kind !== 'product' ? cost.kind : linear ? 'linear' : 'attention',
    macs: node.atLoad ? 0 : exact(cost.macs),
    elements: isStatic ? 0 : cost.elements,
    charge: cost.charge,
    bytes: isStatic || isView(node) ? 0 : 4 * exactSum(outputs.map(({ shape }) => elementCount(shape))),
    inputs,
    outputs,
  };
}

/** Whether a scope is a module's own or inside of it; the root holds all. */
export const isWithin = (scope: string, module: string): boolean =>
  module === '' ||
  (scope.startsWith(module) && (scope.length === module.length || scope[module.length] === '.'));

/** What an operator hands on: its first output. */
export const outputOf = ({ outputs }: Work): ValueInfo => at(outputs, 0);

/** Multiply-accumulates by kind. */
export function sumMacs(work: readonly Work[]): Macs {
  const totals = { conv: 0, linear: 0, attention: 0 };
  for (const { kind, macs } of work)
    if (kind === 'conv' || kind === 'linear' || kind === 'attention') totals[kind] += macs;
  return { conv: exact(totals.conv), linear: exact(totals.linear), attention: exact(totals.attention) };
}

/** conv + linear + attention: the counted MACs. */
export const countedMacs = ({ conv, linear, attention }: Macs): number => exactSum([conv, linear, attention]);

/**
 * The module that applies an attention map to the values: exporters put the softmax into a module
 * of its own.
 */
export const mixingScope = (graph: Graph, { value }: Probe): string => mixingScopes(graph).get(value) ?? '';

const mixingScopes = perGraph((graph): ReadonlyMap<string, string> => {
  const values = new Set(graph.probes.map((probe) => probe.value));
  const [mixing, making] = [new Map<string, string>(), new Map<string, string>()];
  const note = (scopes: Map<string, string>, value: string, scope: string): void => {
    if (values.has(value) && !scopes.has(value)) scopes.set(value, scope);
  };
  for (const { kind, node } of workOf(graph)) {
    if (kind === 'attention') for (const input of node.inputs) note(mixing, input, node.scope);
    for (const output of node.outputs) note(making, output, node.scope);
  }
  return new Map([...making, ...mixing]);
});
