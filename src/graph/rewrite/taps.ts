import { elementCount } from '../../checkpoint/tensors';
import { int, type Graph, type GraphOutput, type Initializer, type Node, type ValueInfo } from '../graph';
import { type Probe, chainLength, isChannelMatrix } from '../../domain/probes';

/**
 * How a probe's map leaves the graph.
 * - `full`: the map itself, `[batch, heads, queries, keys]`, of windows `[batch · windows, heads, n, n]`.
 * - `rows`: only rows weighted by a graph input `[1, 1, 1, queries]` (of windows `[windows, 1, 1, n]`), and (`mean`, where layers chain) the
 *   mean over heads `[batch, queries, keys]`, because the whole would not fit: 1370 tokens, 12 layers and 12 heads are 1.08 GB.
 */
export interface Tap {
  readonly probe: Probe;
  /** Index of the probe in the graph. */
  readonly index: number;
  readonly kind: 'full' | 'rows';
  readonly mean: boolean;
}

/** Names of a tap's outputs and of its query input. `attention.N` is the name that golden cases give the map. */
export const tapNames = {
  map: (index: number): string => `attention.${index}`,
  rows: (index: number): string => `attention.${index}.rows`,
  mean: (index: number): string => `attention.${index}.mean`,
  query: (index: number): string => `attention.${index}.query`,
};

/** Decides for every probe how its map is fetched, so that one run's maps stay within `bytes`. */
export function planTaps(graph: Graph, bytes: number): readonly Tap[] {
  const sizes = graph.probes.map((probe) => 4 * elementCount(shapeOf(graph, probe)));
  const fits = sum(sizes) <= bytes;
  const share = bytes / Math.max(1, sizes.length);
  const chained = chainLength(graph.probes);
  const meanSizes = sizes.map((size, index) => size / graph.probes[index]!.heads);
  const means = sum(meanSizes.slice(0, chained)) <= 4 * bytes;
  return graph.probes.map((probe, index) => {
    const kind = fits || sizes[index]! <= share || isChannelMatrix(probe) ? 'full' : 'rows';
    return { probe, index, kind, mean: kind === 'rows' && means && index < chained };
  });
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

function shapeOf(graph: Graph, probe: Probe): readonly number[] {
  const value = graph.values.get(probe.value);
  if (!value)
    throw new Error(
      `the attention map of ${probe.layer} names ${probe.value}, which the graph does not have`,
    );
  return value.shape;
}

/** Shape of the input that weights a probe's rows: one row of weights, or one for each window. */
export function queryShape(graph: Graph, probe: Probe): readonly number[] {
  const [windows, , queries] = shapeOf(graph, probe);
  return [probe.window ? windows! : 1, 1, 1, queries!];
}

/** The graph with rows (and means) of the row taps as outputs, each with its query as an input. Full maps the ONNX writer puts out itself. */
export function withRowTaps(graph: Graph, taps: readonly Tap[]): Graph {
  const additions = taps.filter(({ kind }) => kind === 'rows').map((tap) => rowTap(graph, tap));
  if (additions.length === 0) return graph;
  return {
    ...graph,
    inputs: [...graph.inputs, ...additions.map(({ query }) => query)],
    outputs: [...graph.outputs, ...additions.flatMap(({ outputs }) => outputs)],
    nodes: [...graph.nodes, ...additions.flatMap(({ nodes }) => nodes)],
    initializers: new Map([
      ...graph.initializers,
      ...named(additions.flatMap(({ initializers }) => initializers)),
    ]),
    values: new Map([...graph.values, ...named(additions.flatMap(({ values }) => values))]),
  };
}

interface Addition {
  readonly query: ValueInfo;
  readonly outputs: readonly GraphOutput[];
  readonly nodes: readonly Node[];
  readonly initializers: readonly Initializer[];
  readonly values: readonly ValueInfo[];
}

const named = <T extends { readonly name: string }>(items: readonly T[]): (readonly [string, T])[] =>
  items.map((item) => [item.name, item] as const);

function rowTap(graph: Graph, { probe, index, mean }: Tap): Addition {
  const [batch, heads, queries, keys] = shapeOf(graph, probe) as [number, number, number, number];
  const query: ValueInfo = { name: tapNames.query(index), dtype: 'F32', shape: queryShape(graph, probe) };
  const rows: ValueInfo = { name: tapNames.rows(index), dtype: 'F32', shape: [batch, heads, 1, keys] };
  const means: ValueInfo = { name: tapNames.mean(index), dtype: 'F32', shape: [batch, queries, keys] };
  const axes: Initializer = {
    name: `${tapNames.mean(index)}/axes`,
    dtype: 'I64',
    shape: [1],
    data: { kind: 'constant', bytes: new Uint8Array(BigInt64Array.of(1n).buffer) },
  };
  const rowNode = operator('MatMul', [query.name, probe.value], rows.name);
  const meanNode = {
    ...operator('ReduceMean', [probe.value, axes.name], means.name),
    attributes: { keepdims: int(0) },
  };
  return {
    query,
    outputs: [rows, ...(mean ? [means] : [])].map(({ name }) => ({ name, value: name, means: 'attention' })),
    nodes: [rowNode, ...(mean ? [meanNode] : [])],
    initializers: mean ? [axes] : [],
    values: [query, rows, ...(mean ? [means, axes] : [])],
  };
}

const operator = (op: string, inputs: readonly string[], output: string): Node => ({
  name: `/${output}`,
  scope: '',
  op,
  domain: '',
  inputs,
  outputs: [output],
  attributes: {},
});
