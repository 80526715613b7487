import { tokenCount, type Probe } from '../protocol/probes';
import type { WhatIf } from '../protocol/report';
import type { Graph } from '../graph/graph';
import { formatExact } from '../protocol/units';
import { exact } from './exact';
import { batchOf } from './shapes';
import type { Work } from './work';

/** An attention layer's sizes: `tokens` N, `width` D. */
export interface LayerSizes {
  readonly tokens: number;
  readonly width: number;
}

interface Form {
  readonly name: string;
  /** With N and D in place of numbers. */
  readonly formula: string;
  readonly macs: (sizes: LayerSizes) => number;
}

const windowSide = 7;
const reduction = 2;
const projected = 64;
const features = 256;
const kernel = 3;

/**
 * One layer with its query, key, value and output projections (4ND²), per token mixer. Sources: Vaswani et al. 2017; Liu et al. 2021
 * (windows); Wang et al. 2021 (PVT: keys reduced by a strided convolution, N·D²); Wang et al. 2020 (Linformer: keys and values
 * projected to k); Choromanski et al. 2021 (Performer: m random features of queries and keys).
 */
const forms: readonly Form[] = [
  {
    name: 'Full attention',
    formula: '4ND² + 2N²D',
    macs: ({ tokens: n, width: d }) => 4 * n * d ** 2 + 2 * n ** 2 * d,
  },
  {
    name: `Windows of ${windowSide} × ${windowSide}`,
    formula: `4ND² + 2N·${windowSide}²·D`,
    macs: ({ tokens: n, width: d }) => 4 * n * d ** 2 + 2 * n * windowSide ** 2 * d,
  },
  {
    name: `Keys reduced by R = ${reduction}`,
    formula: `2ND² + ND² + 2⌈N/${reduction}²⌉D² + 2N·⌈N/${reduction}²⌉·D`,
    macs: ({ tokens: n, width: d }) => {
      const keys = Math.ceil(n / reduction ** 2);
      return 3 * n * d ** 2 + 2 * keys * d ** 2 + 2 * n * keys * d;
    },
  },
  {
    name: `Linformer, k = ${projected}`,
    formula: `4ND² + 2·N·${projected}·D + 2·N·${projected}·D`,
    macs: ({ tokens: n, width: d }) => 4 * n * d ** 2 + 4 * n * projected * d,
  },
  {
    name: `Performer, m = ${features}`,
    formula: `4ND² + 2·N·${features}·D + 2·N·${features}·D`,
    macs: ({ tokens: n, width: d }) => 4 * n * d ** 2 + 4 * n * features * d,
  },
  {
    name: `Convolution ${kernel} × ${kernel}`,
    formula: `N·${kernel}²·D²`,
    macs: ({ tokens: n, width: d }) => n * kernel ** 2 * d ** 2,
  },
];

/** Costs of the forms for one attention layer of N tokens and width D at batch 1. */
export function whatIfRows({ tokens, width }: LayerSizes): readonly WhatIf[] {
  const sizes = `N = ${formatExact(tokens)}, D = ${formatExact(width)}`;
  return forms.map(({ name, formula, macs }) => ({
    name,
    formula: `${formula}, ${sizes}`,
    macs: exact(macs({ tokens, width })),
  }));
}

/** Tokens of a probe's queries over all windows of one picture. */
export function tokensOf(graph: Graph, probe: Probe, side: 'queries' | 'keys' = 'queries'): number {
  const [rows = 1] = graph.values.get(probe.value)?.shape ?? [];
  const windows = probe.kind === 'window' ? rows / batchOf(graph) : 1;
  return tokenCount(probe[side]) * windows;
}

const mixers: ReadonlySet<Probe['kind']> = new Set(['self', 'window', 'reduced', 'causal']);

/** N and D of the attention layer that costs most; undefined where no layer attends among tokens. */
export function costliestLayer(graph: Graph, work: readonly Work[]): LayerSizes | undefined {
  const layers = graph.probes
    .filter(({ kind }) => mixers.has(kind))
    .flatMap((probe) => {
      const mix = work.find(({ kind, node }) => kind === 'attention' && node.inputs[0] === probe.value);
      const depth = mix?.outputs[0]?.shape.at(-1);
      return mix && depth
        ? [{ tokens: tokensOf(graph, probe), width: probe.heads * depth, macs: mix.macs }]
        : [];
    });
  return layers.toSorted((left, right) => right.macs - left.macs)[0];
}
