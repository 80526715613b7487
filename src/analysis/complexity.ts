import type { Size } from '../domain/size';
import type { ParameterCounts } from '../architectures/family';
import { byteLength, elementCount, type Tensor } from '../checkpoint/tensors';
import { valueOf, type Graph } from '../graph/graph';
import type { Probe } from '../domain/probes';
import type { ComplexityReport, Macs, ModuleRow, OperatorRow } from '../domain/report';
import { formatBytes, formatExact } from '../domain/units';
import { fvcoreCount, productActivations } from './conventions';
import { exact, exactSum } from './exact';
import { attentionMapsFormula, macsFormula, sumFormula, tokensFormula } from './formulas';
import { peakMemory, type Peak } from './memory';
import { moduleTree } from './moduleTree';
import { batchOf } from './shapes';
import { whatIfRows } from '../attention/tokenMixers';
import { costliestLayer, tokensOf } from './whatIf';
import { countedMacs, sumMacs, workOf, type Work } from './work';

/** What the report states besides what is read off the graph. */
export interface ComplexityFacts {
  readonly imageSize: Size;
  readonly tensors: readonly Tensor[];
  readonly counts: ParameterCounts;
}

/** Counted multiply-accumulates of the graph by kind. */
export function countMacs(graph: Graph): Macs {
  return sumMacs(workOf(graph));
}

/** Counted multiply-accumulates of all parts of a model together, each run once. */
export const countAllMacs = (graphs: readonly Graph[]): Macs =>
  sumMacs(graphs.flatMap((graph) => workOf(graph)));

/**
 * Everything the complexity report shows for the graph's image size and batch. All counts are
 * exact; a count beyond 2^53 is an error.
 */
export function complexity(graph: Graph, facts: ComplexityFacts): ComplexityReport {
  const work = workOf(graph);
  const macs = sumMacs(work);
  const peak = peakMemory(graph);
  const modules = moduleTree(graph, facts.tensors, facts.counts.roles);
  const layer = costliestLayer(graph, work);
  return {
    imageSize: facts.imageSize,
    batch: batchOf(graph),
    params: facts.counts.params,
    buffers: facts.counts.buffers,
    macs,
    flops: exact(2 * countedMacs(macs)),
    weightBytes: exactSum(facts.tensors.map(byteLength)),
    activationBytes: exactSum(work.map(({ bytes }) => bytes)),
    peakActivationBytes: peak.bytes,
    attentionBytes: attentionBytes(graph),
    tokens: longestSequence(graph)?.tokens ?? 0,
    modules,
    operators: operatorRows(work),
    conventions: { fvcore: fvcoreCount(work), activations: productActivations(work) },
    formulas: formulas(graph, facts, peak, modules),
    whatIf: layer ? whatIfRows(layer, layer.own) : [],
    ...(layer && { layer }),
  };
}

const attentionBytes = (graph: Graph): number =>
  4 * exactSum(graph.probes.map(({ value }) => elementCount(valueOf(graph, value).shape)));

interface Sequence {
  readonly probe: Probe;
  readonly side: 'queries' | 'keys';
  readonly tokens: number;
}

/** The longest token sequence that attends or is attended to; channels and gates are no tokens. */
export function longestSequence(graph: Graph): Sequence | undefined {
  const sequences = graph.probes
    .filter(({ kind }) => kind !== 'channel' && kind !== 'spatial')
    .flatMap((probe) =>
      (['queries', 'keys'] as const).map((side) => ({ probe, side, tokens: tokensOf(graph, probe, side) })),
    );
  return sequences.toSorted((left, right) => right.tokens - left.tokens)[0];
}

/** Sums operators by type and kind, in the order in which each first runs. */
export function operatorRows(work: readonly Work[]): readonly OperatorRow[] {
  const rows = new Map<string, OperatorRow>();
  for (const { node, kind, macs, elements, bytes } of work) {
    const key = `${node.op} ${kind}`;
    const row = rows.get(key) ?? { op: node.op, kind, count: 0, macs: 0, elements: 0, bytes: 0 };
    rows.set(key, {
      op: node.op,
      kind,
      count: row.count + 1,
      macs: exact(row.macs + macs),
      elements: exact(row.elements + elements),
      bytes: exact(row.bytes + bytes),
    });
  }
  return [...rows.values()];
}

/** The sum of the root's parts: `patch_embed 590,592 + blocks 85,054,464 + …`. */
function paramsFormula(modules: readonly ModuleRow[], params: number): string {
  const root = modules.findIndex(({ parent }) => parent < 0);
  const parts = modules.filter((row) => row.parent === root && !row.folded && row.params > 0);
  const sum = parts.map(({ name, params: own }) => `${name} ${formatExact(own)}`).join(' + ');
  return `${sum} = ${formatExact(params)}`;
}

function weightsFormula(tensors: readonly Tensor[]): string {
  const elements = new Map<string, { count: number; bytes: number }>();
  for (const tensor of tensors) {
    const row = elements.get(tensor.dtype) ?? { count: 0, bytes: 0 };
    const count = row.count + elementCount(tensor.shape);
    elements.set(tensor.dtype, { count, bytes: row.bytes + byteLength(tensor) });
  }
  const parts = [...elements].map(([dtype, { count, bytes }]) => ({
    text: `${formatExact(count)} elements of ${dtype}`,
    value: bytes,
  }));
  return sumFormula(parts, ' bytes');
}

function formulas(
  graph: Graph,
  facts: ComplexityFacts,
  peak: Peak,
  modules: readonly ModuleRow[],
): Readonly<Record<string, string>> {
  const work = workOf(graph);
  const macs = sumMacs(work);
  const counted = formatExact(countedMacs(macs));
  const kinds = [macs.conv, macs.linear, macs.attention].map(formatExact);
  const extras = fvcoreCount(work) - countedMacs(macs);
  const longest = longestSequence(graph);
  const outputs = work.filter(({ bytes }) => bytes > 0).length;
  return {
    params: paramsFormula(modules, facts.counts.params),
    conv: macsFormula(work, 'conv'),
    linear: macsFormula(work, 'linear'),
    attention: macsFormula(work, 'attention'),
    macs: `convolution ${kinds[0]} + linear ${kinds[1]} + attention ${kinds[2]} = ${counted}`,
    flops: `2 × ${counted} = ${formatExact(2 * countedMacs(macs))}`,
    weightBytes: weightsFormula(facts.tensors),
    activationBytes: `4 bytes for each element of ${formatExact(outputs)} operator outputs`,
    peakActivationBytes: `${formatBytes(peak.bytes)} live while ${peak.at || 'nothing'} runs`,
    attentionBytes: attentionMapsFormula(graph),
    tokens: longest ? tokensFormula(graph, longest) : 'no attention',
    fvcore: `${counted} + ${formatExact(extras)} for norms, pooling and upsampling = ${formatExact(countedMacs(macs) + extras)}`,
  };
}
