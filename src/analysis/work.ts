import { elementCount } from '../checkpoint/tensors';
import type { Graph, Node, ValueInfo } from '../graph/graph';
import { costOf } from '../graph/operators';
import { neededNodes, readBy } from '../graph/order';
import { perGraph } from '../graph/perGraph';
import type { Probe } from '../domain/probes';
import type { Macs, OperatorRow } from '../domain/report';
import { exact, exactSum } from './exact';
import { traceProvenance, type Provenance } from './provenance';

/** What one operator does, exact. */
export interface Work {
  readonly node: Node;
  readonly kind: OperatorRow['kind'];
  readonly macs: number;
  /** Elements that element-wise work touches. */
  readonly elements: number;
  /** float32 bytes of its outputs; 0 where they are a view of its input or are computed when the graph is loaded. */
  readonly bytes: number;
  readonly inputs: readonly (ValueInfo | undefined)[];
  readonly outputs: readonly ValueInfo[];
}

/** Outputs of these are their input under another shape: no memory of their own. */
const views: ReadonlySet<string> = new Set([
  'Reshape',
  'Flatten',
  'Squeeze',
  'Unsqueeze',
  'Identity',
  'Dropout',
]);

/** Whether the operator's output shares its input's memory. */
export const isView = (node: Node): boolean => views.has(node.op);

/** The two factors of a matrix product: a bias or a scale among the inputs makes no linear layer. */
const operands = ({ op, inputs }: Node): readonly string[] =>
  op === 'QLinearMatMul' ? [inputs[0]!, inputs[3]!] : inputs.slice(0, 2);

/** The work of every operator that the graph's outputs need, in execution order. */
export const workOf = perGraph((graph): readonly Work[] => {
  const provenance = traceProvenance(graph);
  const needed = neededNodes(
    graph,
    graph.outputs.map(({ value }) => value),
  );
  return needed.map((node) => nodeWork(graph, node, provenance));
});

function nodeWork(graph: Graph, node: Node, provenance: Provenance): Work {
  const inputs = node.inputs.map((name) => graph.values.get(name));
  const outputs = node.outputs.flatMap((name) => graph.values.get(name) ?? []);
  const cost = costOf(node, inputs, outputs);
  const isStatic = readBy(node).every(provenance.isStatic);
  const [left = '', right = ''] = operands(node);
  const linear = provenance.isParameter(left) || provenance.isParameter(right);
  return {
    node,
    kind: cost.kind !== 'product' ? cost.kind : linear ? 'linear' : 'attention',
    macs: exact(cost.macs),
    elements: isStatic ? 0 : cost.elements,
    bytes: isStatic || isView(node) ? 0 : 4 * exactSum(outputs.map(({ shape }) => elementCount(shape))),
    inputs,
    outputs,
  };
}

/** Multiply-accumulates by kind. */
export function sumMacs(work: readonly Work[]): Macs {
  const total = (kind: Work['kind']): number =>
    exactSum(work.filter((row) => row.kind === kind).map((row) => row.macs));
  return { conv: total('conv'), linear: total('linear'), attention: total('attention') };
}

/** conv + linear + attention: the counted MACs. */
export const countedMacs = ({ conv, linear, attention }: Macs): number => exactSum([conv, linear, attention]);

/** The module that applies an attention map to the values: exporters put the softmax into a module of its own. */
export function mixingScope(graph: Graph, { value }: Probe): string {
  const work = workOf(graph);
  const mix = work.find(({ kind, node }) => kind === 'attention' && node.inputs.includes(value));
  return (mix ?? work.find(({ node }) => node.outputs.includes(value)))?.node.scope ?? '';
}
