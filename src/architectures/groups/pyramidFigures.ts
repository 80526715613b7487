import type { ConfigValue, Evidence, EvidenceRecord } from '../family';
import { stored } from '../figures';
import { activationOf, classesOf, countOf, decide, headsOf, type Sources } from '../sources';

/** How the libraries of a family set what its weights do not tell. */
export interface PyramidDefaults {
  /** Epsilon of the blocks' norms, and of those after a patch embedding or a reduction, by dialect. */
  readonly eps: Readonly<Record<string, readonly [blocks: number, sampling: number]>>;
  /** Whether the library reads `layer_norm_eps` of config.json. */
  readonly configuredEps: boolean;
  /** Channels per head where nobody says; the first stage's width without it. */
  readonly perHead?: number;
}

const isPositive = (value: ConfigValue): boolean => typeof value === 'number' && value > 0;

/** Epsilons of the norms as the library sets them. */
function epsilons(sources: Sources, { eps, configuredEps }: PyramidDefaults): EvidenceRecord {
  const { name, title } = sources.found.dialect;
  const [blocks, sampling] = eps[name]!;
  const config = configuredEps ? ['layer_norm_eps'] : [];
  const figure = (key: string, value: number): Evidence =>
    decide(sources, key, {
      config,
      otherwise: stored(value, `default of ${title}`),
      is: isPositive,
      needed: 'a number above 0',
    });
  return { eps: figure('eps', blocks), sampling_eps: figure('sampling_eps', sampling) };
}

/**
 * Figures of a pyramid whose stages are lists of blocks named as timm's PVT v2 names them; `blocksOf` gives the path of a stage's list.
 * Undefined where a stage has no blocks.
 */
export function pyramidFigures(
  sources: Sources,
  blocksOf: (stage: number) => string,
  defaults: PyramidDefaults,
): EvidenceRecord | undefined {
  const { tensors } = sources.found;
  const paths = stagePaths(sources, blocksOf);
  const side = (name: string, axis: number): number => tensors.get(name)?.shape[axis] ?? 0;
  const [first] = paths;
  const dims = paths.map((path) => side(`${path}.0.norm1.weight`, 0));
  if (first === undefined || dims.includes(0)) return undefined;
  const depths = paths.map((path) => countOf(tensors, path));
  const ratios = paths.map((path, stage) => side(`${path}.0.mlp.fc1.weight`, 0) / dims[stage]!);
  return {
    depth: stored(depths, `${paths.at(-1)!}.${depths.at(-1)! - 1}`),
    dim: stored(dims, `${first}.0.norm1.weight`),
    heads: headsOf(sources, dims, {
      config: ['num_heads', 'num_attention_heads'],
      perHead: defaults.perHead ?? dims[0]!,
    }),
    mlp_ratio: stored(ratios, `${first}.0.mlp.fc1.weight`),
    activation: activationOf(sources, stored('gelu', `default of ${sources.found.dialect.title}`)),
    ...epsilons(sources, defaults),
    classes: classesOf(tensors, 'head'),
  };
}

function stagePaths({ found: { tensors } }: Sources, blocksOf: (stage: number) => string): string[] {
  const paths: string[] = [];
  while (countOf(tensors, blocksOf(paths.length)) > 0) paths.push(blocksOf(paths.length));
  return paths;
}

/** Factors by which the keys of each stage are reduced, by the kernels of its convolution `sr`; a kernel of 1 is a pool to 7 × 7. */
export function reductionOf(
  { found: { tensors } }: Sources,
  blocksOf: (stage: number) => string,
  stages: number,
  block = 0,
): Evidence {
  const name = (stage: number): string => `${blocksOf(stage)}.${block}.attn.sr.weight`;
  const kernels = Array.from({ length: stages }, (_, stage) => tensors.get(name(stage))?.shape[2]);
  return kernels.every((kernel) => kernel === 1)
    ? stored('average pool to 7 × 7', `${name(0)} is a 1 × 1 convolution`)
    : stored(
        kernels.map((kernel) => kernel ?? 1),
        name(0),
      );
}

/** Side of the smallest picture whose map at every stage holds one reduced key: the stage's stride times its reduction. */
export function leastSide(strides: readonly number[], reduction: Evidence): number {
  const factors = typeof reduction.value === 'string' ? strides.map(() => 1) : [reduction.value].flat();
  let step = 1;
  return Math.max(...strides.map((stride, stage) => (step *= stride) * Number(factors[stage])));
}
