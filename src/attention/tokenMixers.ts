import type { LayerSizes, NamedLayer, WhatIf } from '../domain/report';
import { formatExact } from '../domain/units';

/** What a form of attention leaves open: windows of M × M, a reduction R, a projected length k … */
export type MixerParameter = 'window' | 'reduction' | 'projected' | 'features' | 'kernel';

interface ParameterWords {
  readonly label: string;
  readonly usual: number;
}

/**
 * Usual values: Swin-T's window, PVT v2's third stage, Linformer's and Performer's smallest, a 3 ×
 * 3 convolution.
 */
export const MIXER_PARAMETERS: Readonly<Record<MixerParameter, ParameterWords>> = {
  window: { label: 'Window side M', usual: 7 },
  reduction: { label: 'Reduction R', usual: 2 },
  projected: { label: 'Projected length k', usual: 64 },
  features: { label: 'Features m', usual: 256 },
  kernel: { label: 'Kernel k', usual: 3 },
};

export type MixerParameters = Readonly<Record<MixerParameter, number>>;

/** Largest value of each: beyond it counts would no longer be exact. */
export const largestParameter = 65_536;

const usualParameters = Object.fromEntries(
  Object.entries(MIXER_PARAMETERS).map(([name, { usual }]) => [name, usual]),
) as MixerParameters;

type Sizes = LayerSizes & MixerParameters;

interface Form {
  readonly name: (parameters: MixerParameters) => string;
  /** With N, D and h in place of numbers. */
  readonly formula: (parameters: MixerParameters) => string;
  readonly macs: (sizes: Sizes) => number;
}

/** Query, key, value and output projections. */
const projections = (n: number, d: number): number => 4 * n * d ** 2;
const reducedKeys = (n: number, reduction: number): number => Math.ceil(n / reduction ** 2);

/**
 * One layer with its query, key, value and output projections (4ND²), per token mixer.
 * - full: Vaswani et al. 2017, §3.2; windows of M²: Liu et al. 2021, eq. 2
 * - reduced: Wang et al. 2021 (PVT), §3.3: keys and values of a map that a convolution of kernel =
 *   stride = R makes, N·D²
 * - Linformer: Wang et al. 2020, §4: keys and values are projected from N to k positions, then k
 *   take the place of N
 * - Performer: Choromanski et al. 2021, §2.2: m random features of queries and keys, then linear
 *   attention over them, with its normaliser N·m·h
 * - linear: Katharopoulos et al. 2020, §3.2: φ(Q)(φ(K)ᵀV) over the D/h features of each head, with
 *   its normaliser N·D
 * - convolution: k²·D² per token, no projections
 */
const forms: readonly Form[] = [
  {
    name: () => 'Full attention',
    formula: () => '4ND² + 2N²D',
    macs: ({ tokens: n, width: d }) => projections(n, d) + 2 * n ** 2 * d,
  },
  {
    name: ({ window }) => `Windows of ${window} × ${window}`,
    formula: ({ window }) => `4ND² + 2N·${window}²·D`,
    macs: ({ tokens: n, width: d, window }) => projections(n, d) + 2 * n * window ** 2 * d,
  },
  {
    name: ({ reduction }) => `Keys reduced by R = ${reduction}`,
    formula: ({ reduction }) => `2ND² + ND² + 2⌈N/${reduction}²⌉D² + 2N·⌈N/${reduction}²⌉·D`,
    macs: ({ tokens: n, width: d, reduction }) => {
      const keys = reducedKeys(n, reduction);
      return 3 * n * d ** 2 + 2 * keys * d ** 2 + 2 * n * keys * d;
    },
  },
  {
    name: ({ projected }) => `Linformer, k = ${projected}`,
    formula: ({ projected }) => `4ND² + 2·N·${projected}·D + 2·N·${projected}·D`,
    macs: ({ tokens: n, width: d, projected }) => projections(n, d) + 4 * n * projected * d,
  },
  {
    name: ({ features }) => `Performer, m = ${features}`,
    formula: ({ features }) => `4ND² + 2·N·${features}·D + 2·N·${features}·D + N·${features}·h`,
    macs: ({ tokens: n, width: d, heads: h, features }) =>
      projections(n, d) + 4 * n * features * d + n * features * h,
  },
  {
    name: () => 'Linear attention',
    formula: () => '4ND² + 2ND²/h + ND',
    macs: ({ tokens: n, width: d, heads: h }) => projections(n, d) + (2 * n * d ** 2) / h + n * d,
  },
  {
    name: ({ kernel }) => `Convolution ${kernel} × ${kernel}`,
    formula: ({ kernel }) => `N·${kernel}²·D²`,
    macs: ({ tokens: n, width: d, kernel }) => n * kernel ** 2 * d ** 2,
  },
];

/**
 * Costs of the forms for one attention layer of N tokens, width D and h heads at batch 1. A count
 * beyond 2⁵³ is rounded.
 */
export function whatIfRows(layer: LayerSizes, changed: Partial<MixerParameters> = {}): readonly WhatIf[] {
  const parameters = { ...usualParameters, ...changed };
  const { tokens, width, heads } = layer;
  const sizes = `N = ${formatExact(tokens)}, D = ${formatExact(width)}, h = ${formatExact(heads)}`;
  return forms.map(({ name, formula, macs }) => ({
    name: name(parameters),
    formula: `${formula(parameters)}, ${sizes}`,
    macs: macs({ ...layer, ...parameters }),
  }));
}

/** Which layer the rows are about, and what it is now. */
export function layerLine({ path, form, tokens, width, heads }: NamedLayer): string {
  const sizes = `N = ${formatExact(tokens)} tokens, width D = ${formatExact(width)}, h = ${heads}`;
  return `The costliest one, ${path} (${form}), with its projections, for one image: ${sizes} ${heads === 1 ? 'head' : 'heads'}.`;
}
