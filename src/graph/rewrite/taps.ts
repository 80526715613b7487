import { elementCount } from '../../checkpoint/tensors';
import { GraphError, type Graph } from '../graph';
import { at, sum } from '../../domain/lists';
import { type Probe, chainLength, isChannelMatrix } from '../../domain/probes';
import { cheapestCut } from './attentionTail';
import { extend } from './extend';
import { tapNames } from './tapNames';

const scope = 'taps';

/**
 * How a probe's map leaves the graph.
 * - `full`: the map itself, `[batch, heads, queries, keys]`, of windows `[batch · windows, heads,
 *   n, n]`.
 * - `cut`: the values of `keep`, from which the graph's own operators make rows that are asked for
 *   later, because the whole would not fit: 1370 tokens, 12 layers and 12 heads are 1.08 GB.
 * - `rows`: where there is no such cut, only rows weighted by a graph input `[1, 1, 1, queries]`
 *   (of windows `[windows, 1, 1, n]`), and (`mean`) the mean over heads `[batch, queries, keys]`.
 */
export interface Tap {
  readonly probe: Probe;
  /** Index of the probe in the graph. */
  readonly index: number;
  readonly kind: 'full' | 'cut' | 'rows';
  /** Values that are kept of a run; of `cut` alone. */
  readonly keep: readonly string[];
  /** The layer chains with those below it, and the means over heads of all that do fit. */
  readonly mean: boolean;
}

/** Bytes that one run may keep of its attention. */
export interface AttentionBudget {
  /** Of whole maps. */
  readonly whole: number;
  /** Of what rows are made of, where maps are not kept whole, and of means over heads. */
  readonly kept: number;
}

/** Decides for every probe how its map is fetched, so that one run's maps stay within `budget`. */
export function planTaps(graph: Graph, budget: AttentionBudget): readonly Tap[] {
  const sizes = graph.probes.map((probe) => 4 * elementCount(shapeOf(graph, probe)));
  const fits = sum(sizes) <= budget.whole;
  const share = budget.whole / Math.max(1, sizes.length);
  const isWhole = graph.probes.map(
    (probe, index) => fits || at(sizes, index) <= share || isChannelMatrix(probe),
  );
  const cuts = graph.probes.map((probe, index) =>
    at(isWhole, index) ? undefined : cheapestCut(graph, probe),
  );
  const isCut = sum(cuts.map((cut) => cut?.bytes ?? 0)) <= budget.kept;
  const chained = chainLength(graph.probes);
  const means = graph.probes.slice(0, chained).map(({ heads }, index) => at(sizes, index) / heads);
  const mean = fits || sum(means) <= budget.kept;
  return graph.probes.map((probe, index): Tap => {
    const keep = isCut ? (cuts[index]?.keep ?? []) : [];
    const kind = at(isWhole, index) ? 'full' : keep.length > 0 ? 'cut' : 'rows';
    return { probe, index, kind, keep, mean: mean && index < chained };
  });
}

/** Names of all values that are kept of a run, each once. */
export const keptNames = (taps: readonly Tap[]): readonly string[] => [
  ...new Set(taps.flatMap(({ keep }) => keep)),
];

/** Shape of a probe's map. */
export function shapeOf(graph: Graph, probe: Probe): readonly number[] {
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
 * The graph with rows (and means) of the given taps as outputs, each with its query as an input.
 * Full maps the ONNX writer puts out itself.
 */
export function withRowTaps(graph: Graph, rows: readonly Omit<Tap, 'kind'>[]): Graph {
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
