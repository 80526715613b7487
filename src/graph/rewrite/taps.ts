import { elementCount } from '../../checkpoint/tensors';
import { GraphError, type Graph } from '../graph';
import { at, sum } from '../../domain/lists';
import { type Probe, chainLength, isChannelMatrix } from '../../domain/probes';
import { extend } from './extend';

const scope = 'taps';

/**
 * How a probe's map leaves the graph.
 * - `full`: the map itself, `[batch, heads, queries, keys]`, of windows `[batch · windows, heads,
 *   n, n]`.
 * - `rows`: only rows weighted by a graph input `[1, 1, 1, queries]` (of windows `[windows, 1, 1,
 *   n]`), and (`mean`, if layers chain) the mean over heads `[batch, queries, keys]`, because
 *   the whole would not fit: 1370 tokens, 12 layers and 12 heads are 1.08 GB.
 */
export interface Tap {
  readonly probe: Probe;
  /** Index of the probe in the graph. */
  readonly index: number;
  readonly kind: 'full' | 'rows';
  readonly mean: boolean;
}

/**
 * Names of a tap's outputs and of its query input. `attention.N` is the name that golden cases give
 * the map.
 */
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
  const meanSizes = graph.probes.map(({ heads }, index) => at(sizes, index) / heads);
  const means = sum(meanSizes.slice(0, chained)) <= 4 * bytes;
  return graph.probes.map((probe, index) => {
    const kind = fits || at(sizes, index) <= share || isChannelMatrix(probe) ? 'full' : 'rows';
    return { probe, index, kind, mean: kind === 'rows' && means && index < chained };
  });
}

function shapeOf(graph: Graph, probe: Probe): readonly number[] {
  const value = graph.values.get(probe.value);
  if (!value)
    throw new GraphError(
      `the attention map of ${probe.layer} names ${probe.value}, which the graph does not have`,
    );
  return value.shape;
}

/** Shape of the input that weights a probe's rows: one row of weights, or one for each window. */
export function queryShape(graph: Graph, probe: Probe): readonly number[] {
  const [windows = 1, , queries = 1] = shapeOf(graph, probe);
  return [probe.window ? windows : 1, 1, 1, queries];
}

/**
 * The graph with rows (and means) of the row taps as outputs, each with its query as an input. Full
 * maps the ONNX writer puts out itself.
 */
export function withRowTaps(graph: Graph, taps: readonly Tap[]): Graph {
  const rows = taps.filter(({ kind }) => kind === 'rows');
  if (rows.length === 0) return graph;
  return extend(graph, scope, (b, value) => {
    for (const { probe, index, mean } of rows) {
      const map = value(probe.value);
      const query = b.input(tapNames.query(index), queryShape(graph, probe));
      b.output(tapNames.rows(index), b.add('MatMul', [query, map]), 'attention');
      if (mean) b.output(tapNames.mean(index), b.mean(map, 1, false), 'attention');
    }
  });
}
