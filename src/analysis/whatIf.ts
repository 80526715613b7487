import { layerText } from '../attention/naming';
import { keyGrid, queryGrid } from '../attention/reading';
import { bothSides, tokenCount, type Probe } from '../domain/probes';
import type { NamedLayer } from '../domain/report';
import type { Graph } from '../graph/graph';
import { batchOf } from './shapes';
import { workOf, type Work } from './work';

/** Tokens of a probe's queries over all windows of one image. */
export function tokensOf(graph: Graph, probe: Probe, side: 'queries' | 'keys' = 'queries'): number {
  const [rows = 1] = graph.values.get(probe.value)?.shape ?? [];
  const windows = probe.window ? rows / batchOf(graph) : 1;
  return tokenCount(probe[side]) * windows;
}

const mixers: ReadonlySet<Probe['kind']> = new Set(['self', 'window', 'reduced', 'causal']);

/** The attention layer that costs most of all parts; undefined if none attends among tokens. */
export function costliestLayer(graphs: readonly Graph[]): NamedLayer | undefined {
  const layers = graphs.flatMap((graph) => mixingLayers(graph));
  const [first] = layers.toSorted((left, right) => right.macs - left.macs);
  if (!first) return undefined;
  const { tokens, width, probe } = first;
  return {
    tokens,
    width,
    heads: probe.heads,
    path: probe.layer,
    form: layerText(probe),
    own: ownSizes(probe),
  };
}

interface MixingLayer {
  readonly tokens: number;
  readonly width: number;
  readonly probe: Probe;
  readonly macs: number;
}

function mixingLayers(graph: Graph): readonly MixingLayer[] {
  const mixes = new Map<string, Work>();
  for (const row of workOf(graph)) {
    const [left = ''] = row.node.inputs;
    if (row.kind === 'attention' && !mixes.has(left)) mixes.set(left, row);
  }
  return graph.probes
    .filter(({ kind }) => mixers.has(kind))
    .flatMap((probe) => {
      const mix = mixes.get(probe.value);
      const depth = mix?.outputs[0]?.shape.at(-1);
      return mix && depth
        ? [{ tokens: tokensOf(graph, probe), width: probe.heads * depth, probe, macs: mix.macs }]
        : [];
    });
}

/** Window and reduction of a layer, if it is one number. */
function ownSizes(probe: Probe): NamedLayer['own'] {
  const [window, other] = bothSides(probe.window?.size ?? 0);
  const [from, to] = [queryGrid(probe), keyGrid(probe)];
  const reduction = from && to && probe.kind === 'reduced' ? Math.round(from[0] / to[0]) : 0;
  return { ...(window > 0 && window === other && { window }), ...(reduction > 1 && { reduction }) };
}
