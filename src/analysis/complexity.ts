import type { Size } from '../domain/size';
import type { ParameterCounts } from '../architectures/family';
import { byteLength, elementCount, type Tensor } from '../checkpoint/tensors';
import { valueOf, type Graph } from '../graph/graph';
import type { Probe } from '../domain/probes';
import type { ComplexityReport, LengthRow, Macs, ModuleRow, OperatorRow, PartRow } from '../domain/report';
import { at, largest } from '../domain/lists';
import { formatBytes, formatExact } from '../domain/units';
import { fvcoreCount, productActivations } from './conventions';
import { exact, exactSum } from './exact';
import { attentionMapsFormula, macsFormula, sumFormula, tokensFormula } from './formulas';
import { peakMemory, type Peak } from './memory';
import type { NamedGraph } from '../models/model';
import { moduleTree } from './moduleTree';
import { batchOf } from './shapes';
import { whatIfRows } from '../attention/tokenMixers';
import { costliestLayer, tokensOf } from './whatIf';
import { countedMacs, sumMacs, workOf, type Work } from './work';

/** What the report states besides what is read off the graph. */
export interface ComplexityFacts {
  /** Absent of a model that reads no images. */
  readonly imageSize?: Size | undefined;
  readonly tensors: readonly Tensor[];
  readonly counts: ParameterCounts;
  /** What the graphs are written for, beside the image size. */
  readonly lengths?: readonly LengthRow[];
}

/** Counted multiply-accumulates of the graph by kind. */
export function countMacs(graph: Graph): Macs {
  return sumMacs(workOf(graph));
}

/** Counted multiply-accumulates of all parts of a model together, each run once. */
export const countAllMacs = (graphs: readonly Graph[]): Macs =>
  sumMacs(graphs.flatMap((graph) => workOf(graph)));

/**
 * Everything the complexity report shows for the image size, batch and lengths that the graphs are
 * written for: the sums over a model's parts, each run once. All counts are exact; a count beyond
 * 2^53 is an error.
 */
export function complexity(parts: readonly NamedGraph[], facts: ComplexityFacts): ComplexityReport {
  const graphs = parts.map(({ graph }) => graph);
  const work = graphs.flatMap((graph) => workOf(graph));
  const macs = sumMacs(work);
  const modules = moduleTree(parts, facts.tensors, facts.counts.roles);
  const rows = parts.map((part) => partRow(part, modules));
  const layer = costliestLayer(graphs);
  return {
    imageSize: facts.imageSize ?? null,
    batch: batchOf(at(graphs, 0)),
    params: facts.counts.params,
    buffers: facts.counts.buffers,
    macs,
    flops: exact(2 * countedMacs(macs)),
    weightBytes: exactSum(facts.tensors.map(byteLength)),
    activationBytes: exactSum(work.map(({ bytes }) => bytes)),
    peakActivationBytes: largest(rows.map(({ peakActivationBytes }) => peakActivationBytes)),
    attentionBytes: exactSum(rows.map(({ attentionBytes: bytes }) => bytes)),
    tokens: longestSequence(graphs)?.tokens ?? 0,
    parts: rows,
    lengths: facts.lengths ?? [],
    modules,
    operators: operatorRows(work),
    conventions: { fvcore: fvcoreCount(work), activations: productActivations(work) },
    formulas: formulas(parts, facts, modules),
    whatIf: layer ? whatIfRows(layer, layer.own) : [],
    ...(layer && { layer }),
  };
}

/** What a part costs; its parameters are those of its row of the tree, or of the only tree. */
function partRow({ name, graph }: NamedGraph, modules: readonly ModuleRow[]): PartRow {
  const work = workOf(graph);
  const row = modules.find(({ part, path }) => part === name && path === '') ?? at(modules, 0);
  return {
    name,
    params: row.params,
    macs: sumMacs(work),
    activationBytes: exactSum(work.map(({ bytes }) => bytes)),
    peakActivationBytes: peakMemory(graph).bytes,
    attentionBytes: attentionBytes(graph),
    inputs: graph.inputs.map(({ name: input, shape }) => ({ name: input, shape })),
  };
}

const attentionBytes = (graph: Graph): number =>
  4 * exactSum(graph.probes.map(({ value }) => elementCount(valueOf(graph, value).shape)));

interface Sequence {
  readonly graph: Graph;
  readonly probe: Probe;
  readonly side: 'queries' | 'keys';
  readonly tokens: number;
}

/** The longest token sequence that attends or is attended to; channels and gates are no tokens. */
export function longestSequence(graphs: readonly Graph[]): Sequence | undefined {
  const sequences = graphs.flatMap((graph) =>
    graph.probes
      .filter(({ kind }) => kind !== 'channel' && kind !== 'spatial')
      .flatMap((probe) =>
        (['queries', 'keys'] as const).map((side) => ({
          graph,
          probe,
          side,
          tokens: tokensOf(graph, probe, side),
        })),
      ),
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

/** The peak of the part that has the highest. */
function highestPeak(parts: readonly NamedGraph[]): { readonly peak: Peak; readonly of: string } {
  const peaks = parts.map(({ name, graph }) => ({ peak: peakMemory(graph), of: name }));
  return at(
    peaks.toSorted((left, right) => right.peak.bytes - left.peak.bytes),
    0,
  );
}

function formulas(
  parts: readonly NamedGraph[],
  facts: ComplexityFacts,
  modules: readonly ModuleRow[],
): Readonly<Record<string, string>> {
  const graphs = parts.map(({ graph }) => graph);
  const work = graphs.flatMap((graph) => workOf(graph));
  const macs = sumMacs(work);
  const counted = formatExact(countedMacs(macs));
  const kinds = [macs.conv, macs.linear, macs.attention].map(formatExact);
  const extras = fvcoreCount(work) - countedMacs(macs);
  const longest = longestSequence(graphs);
  const outputs = work.filter(({ bytes }) => bytes > 0).length;
  const { peak, of } = highestPeak(parts);
  const isOne = parts.length === 1;
  const perPart = parts.map(({ name, graph }) => `${name} ${formatExact(countedMacs(countMacs(graph)))}`);
  return {
    params: paramsFormula(modules, facts.counts.params),
    conv: macsFormula(work, 'conv'),
    linear: macsFormula(work, 'linear'),
    attention: macsFormula(work, 'attention'),
    macs: [
      `convolution ${kinds[0]} + linear ${kinds[1]} + attention ${kinds[2]} = ${counted}`,
      ...(isOne ? [] : [`${perPart.join(' + ')} = ${counted}`]),
    ].join('; '),
    flops: `2 × ${counted} = ${formatExact(2 * countedMacs(macs))}`,
    weightBytes: weightsFormula(facts.tensors),
    activationBytes: `4 bytes for each element of ${formatExact(outputs)} operator outputs`,
    peakActivationBytes: `${formatBytes(peak.bytes)} live while ${peak.at || 'nothing'} runs${isOne ? '' : `, in the part ${of}`}`,
    attentionBytes: attentionMapsFormula(graphs),
    tokens: longest ? tokensFormula(longest.graph, longest) : 'no attention',
    fvcore: `${counted} + ${formatExact(extras)} for norms, pooling and upsampling = ${formatExact(countedMacs(macs) + extras)}`,
  };
}
