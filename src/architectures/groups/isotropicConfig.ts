import type { ConfigValue, Evidence } from '../family';
import { stored } from '../evidence';
import { activationOf, classesOf, countOf, decide, type Sources } from '../decide';

/**
 * Hyper-parameters of an isotropic model (all blocks as wide as the first) that the user may set.
 */
export const isotropicAssumable = ['activation', 'eps', 'pool'] as const;

/** A choice of words. */
export function decideWord<W extends string>(
  sources: Sources,
  key: string,
  {
    config,
    words,
    otherwise,
  }: {
    readonly config: readonly string[];
    readonly words: readonly W[];
    readonly otherwise: Evidence<W>;
  },
): Evidence<W> {
  const is = (value: ConfigValue): boolean => words.some((word) => word === String(value));
  return decide(sources, key, { config, otherwise, is, needed: `one of ${words.join(', ')}` });
}

/** Epsilon of the norms, by default the library's. */
export function epsOf(sources: Sources, usual = sources.found.dialect.eps): Evidence<number> {
  return decide(sources, 'eps', {
    config: ['layer_norm_eps', 'norm_eps'],
    otherwise: stored(usual, `default of ${sources.found.dialect.title}`),
    is: (value) => typeof value === 'number' && value > 0,
    needed: 'a number above 0',
  });
}

/**
 * How the tokens become one vector; `words` are the ways that the weights allow, the usual one
 * first.
 */
export function poolOf<W extends string>(
  sources: Sources,
  words: readonly [W, ...W[]],
  source: string,
): Evidence<W> {
  return decideWord(sources, 'pool', {
    config: ['global_pool'],
    words,
    otherwise: stored<W>(words[0], source),
  });
}

/**
 * Hyper-parameters that names and shapes of an isotropic model show, and those its library sets.
 */
export type IsotropicEvidence = {
  readonly dim: Evidence<number>;
  readonly depth: Evidence<number>;
  readonly mlp_ratio: Evidence<number>;
  readonly activation: Evidence<string>;
  readonly eps: Evidence<number>;
  readonly classes: Evidence<number>;
};

/**
 * Hyper-parameters of a model whose blocks `blocks.0` … are all `dim` wide; undefined if one of its
 * parts is missing.
 */
export function isotropicEvidence(sources: Sources, head = 'head'): IsotropicEvidence | undefined {
  const { tensors } = sources.found;
  const depth = countOf(tensors, 'blocks');
  const dim = tensors.get('blocks.0.norm1.weight')?.shape[0];
  const hidden = tensors.get('blocks.0.mlp.fc1.weight')?.shape[0];
  if (depth === 0 || !dim || !hidden) return undefined;
  return {
    dim: stored(dim, 'blocks.0.norm1.weight'),
    depth: stored(depth, depth === 1 ? 'blocks.0' : `blocks.0 … blocks.${depth - 1}`),
    mlp_ratio: stored(hidden / dim, 'blocks.0.mlp.fc1.weight'),
    activation: activationOf(sources),
    eps: epsOf(sources),
    classes: classesOf(tensors, head),
  };
}

/** What the blocks of an isotropic model read beside their parameters. */
export interface BlockConfig {
  readonly heads: number;
  readonly eps: number;
  readonly activation: string;
}
