import { at, largest, last } from '../../domain/lists';
import type { ReducedSettings } from '../blocks/reducedAttention';
import type { Evidence, Found } from '../family';
import { numbersIn, stored } from '../evidence';
import { activationOf, classesOf, decide, headsOf, type Sources } from '../decide';
import { positive } from './valueKinds';
import type { MeasuredStages } from './stagedConfig';

/** How the libraries of a family set what its weights do not store. */
export interface PyramidDefaults {
  /**
   * Epsilon of the blocks' norms and of those after a patch embedding or a reduction, if dialects
   * differ.
   */
  readonly eps?: Readonly<Record<string, readonly [blocks: number, sampling: number]>>;
  /** Whether the library reads `layer_norm_eps` of config.json. */
  readonly configuredEps: boolean;
  /** Channels per head if no config or published model does; the first stage's width without it. */
  readonly perHead?: number;
}

/** The authors' own epsilon, and nn.LayerNorm's default after patch embeddings and reductions. */
const usualEps = [1e-6, 1e-5] as const;

/** Epsilons of the norms as the library sets them. */
function epsilons(sources: Sources, { eps = {}, configuredEps }: PyramidDefaults) {
  const { name, title } = sources.found.dialect;
  const [blocks, sampling] = eps[name] ?? usualEps;
  const decided = (key: string, value: number): Evidence<number> =>
    decide(sources, key, {
      ...positive,
      config: configuredEps ? ['layer_norm_eps'] : [],
      otherwise: stored(value, `default of ${title}`),
    });
  return { eps: decided('eps', blocks), sampling_eps: decided('sampling_eps', sampling) };
}

/**
 * What stages of blocks that are named as in timm's PVT v2 settle; `blocksOf` is the path of a
 * stage's list of blocks.
 */
export function pyramidShapes(
  { sources, depths, dims, ratio }: MeasuredStages,
  blocksOf: (stage: number) => string,
  defaults: PyramidDefaults,
) {
  const heads = headsOf(sources, dims, {
    config: ['num_heads', 'num_attention_heads'],
    perHead: defaults.perHead ?? at(dims, 0),
  });
  const { title } = sources.found.dialect;
  return {
    depth: stored(depths, `${blocksOf(depths.length - 1)}.${last(depths) - 1}`),
    dim: stored(dims, `${blocksOf(0)}.0.norm1.weight`),
    heads: { ...heads, value: numbersIn(heads.value) },
    mlp_ratio: stored(ratio('mlp.fc1.weight').value, `${blocksOf(0)}.0.mlp.fc1.weight`),
    activation: activationOf(sources, stored('gelu', `default of ${title}`)),
    ...epsilons(sources, defaults),
    classes: classesOf(sources.found.tensors, 'head'),
  };
}

/** What the blocks of a pyramid are built by. */
export interface PyramidConfig {
  readonly depth: readonly number[];
  readonly heads: readonly number[];
  readonly activation: string;
  readonly eps: number;
  readonly sampling_eps: number;
  /** Channels of the image. */
  readonly channels: number;
}

/** How all blocks of a stage compute. */
export const stageSettings = (config: PyramidConfig, stage: number): ReducedSettings => ({
  heads: at(config.heads, stage),
  activation: config.activation,
  eps: config.eps,
  samplingEps: config.sampling_eps,
});

/**
 * Patches of the image: the shape of the first embedding, and sides of the kernels with which
 * stages cut.
 */
export function patchesAt(tensors: Found['tensors'], patchesOf: (stage: number) => string, stages: number) {
  const [, channels, ...kernel] = tensors.get(`${patchesOf(0)}.proj.weight`)?.shape ?? [];
  const [rows, columns] = kernel;
  if (channels === undefined || rows === undefined || columns === undefined) return undefined;
  const kernels = Array.from(
    { length: stages },
    (_, stage) => tensors.get(`${patchesOf(stage)}.proj.weight`)?.shape[2] ?? 1,
  );
  return { channels, kernels, first: [rows, columns] as const };
}

/** Factors by which keys are reduced, one per stage, or the words for a pool to a fixed size. */
type Reduction = Evidence<string | readonly number[]>;

/**
 * Factors by which the keys of each stage are reduced, by the kernels of its convolution `sr`; a
 * kernel of 1 is a pool to 7 × 7. `block` is the first that has one.
 */
export function reductionOf(
  { found: { tensors } }: Sources,
  blocksOf: (stage: number) => string,
  stages: number,
  block = 0,
): Reduction {
  const name = (stage: number): string => `${blocksOf(stage)}.${block}.attn.sr.weight`;
  const kernels = Array.from({ length: stages }, (_, stage) => tensors.get(name(stage))?.shape[2]);
  return kernels.every((kernel) => kernel === 1)
    ? stored('average pool to 7 × 7', `${name(0)} is a 1 × 1 convolution`)
    : stored(
        kernels.map((kernel) => kernel ?? 1),
        name(0),
      );
}

/**
 * Side in pixels of the smallest image whose map at every stage holds one reduced key: the stage's
 * stride times its reduction.
 */
export function leastSide(strides: readonly number[], { value: factors }: Reduction): number {
  let step = 1;
  return largest(
    strides.map((stride, stage) => {
      step *= stride;
      return step * (typeof factors === 'string' ? 1 : at(factors, stage));
    }),
  );
}
