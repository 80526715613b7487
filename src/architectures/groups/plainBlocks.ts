import { at } from '../../domain/lists';
import type { GraphBuilder } from '../../graph/builder';
import type { ModuleNote, ValueInfo } from '../../graph/graph';
import type { Rotation } from '../blocks/rotary';
import { activate, layerScale, maybeNorm, norm, residual, withValue, type Tokens } from '../blocks/layers';
import {
  differentialAttention,
  mergeHeads,
  mlp,
  queryKeyValue,
  selfAttention,
  selfProbe,
  splitHeads,
} from '../blocks/transformer';
import { quantity } from '../../domain/units';

/** What all blocks of a network are built by beside their parameters. */
export interface BlockFacts {
  readonly heads: number;
  readonly eps: number;
  readonly activation: string;
  /** Attention without a projection behind its heads. */
  readonly bare_attention?: boolean;
}

interface BlockSettings extends BlockFacts {
  /** Added to the scores of self-attention: what tokens may not see. */
  readonly bias?: ValueInfo;
  /** Turns queries and keys by their tokens' places. */
  readonly rotation?: Rotation;
  /** Place of the block in the network, from 0. */
  readonly index: number;
}

/**
 * A kind of transformer block: chosen if block 0 holds the parameter `has`. Builds inside the
 * block's scope.
 */
interface BlockKind {
  readonly has: string;
  readonly note: ModuleNote;
  build(b: GraphBuilder, tokens: Tokens, settings: BlockSettings): ValueInfo;
}

/** x + ls1(attn(norm1(x))), then x + ls2(mlp(norm2(x))) (Dosovitskiy et al. 2021, eq. 2–3). */
export function preNormBlock(b: GraphBuilder, tokens: Tokens, settings: BlockSettings): ValueInfo {
  const attended = attend(b, withValue(tokens, norm(b, tokens.value, 'norm1', settings.eps)), settings);
  const x = residual(b, tokens.value, layerScale(b, attended, 'ls1'));
  const fed = mlp(b, norm(b, x, 'norm2', settings.eps), 'mlp', settings);
  return residual(b, x, layerScale(b, fed, 'ls2'));
}

/** The block's attention: differential if it has the norm of one. */
function attend(b: GraphBuilder, tokens: Tokens, settings: BlockSettings): ValueInfo {
  const layer = b.scopePath;
  const { bare_attention: bare = false } = settings;
  if (!b.has('attn.sub_norm.weight')) return selfAttention(b, tokens, 'attn', layer, { ...settings, bare });
  return b.scope(
    'attn',
    () => {
      const operands = queryKeyValue(b, tokens.value);
      const mixed = differentialAttention(b, operands, tokens, selfProbe(tokens, layer), settings);
      return b.linear(maybeNorm(b, mixed, 'norm', settings.eps), 'proj');
    },
    {
      title: `Differential attention, ${quantity(settings.heads, 'head')}`,
      formula: 'softmax(Q₁K₁ᵀ) − λ·softmax(Q₂K₂ᵀ)',
    },
  );
}

/** x + norm1(attn(x)), then x + norm2(mlp(x)): timm's ResPostBlock. */
function postNormBlock(b: GraphBuilder, tokens: Tokens, settings: BlockSettings): ValueInfo {
  const attended = attend(b, tokens, settings);
  const x = residual(b, tokens.value, norm(b, attended, 'norm1', settings.eps));
  return residual(b, x, norm(b, mlp(b, x, 'mlp', settings), 'norm2', settings.eps));
}

/**
 * norm1(x + attn(x)), then norm2(x + mlp(x)) (Vaswani et al. 2017, §3.1): PyTorch's
 * TransformerEncoderLayer without `norm_first`.
 */
function normAfterBlock(b: GraphBuilder, tokens: Tokens, settings: BlockSettings): ValueInfo {
  const x = norm(b, residual(b, tokens.value, attend(b, tokens, settings)), 'norm1', settings.eps);
  return norm(b, residual(b, x, mlp(b, x, 'mlp', settings)), 'norm2', settings.eps);
}

/** Sum of the branches `<list>.0`, `<list>.1` … of the block on top of x. */
function parallelBranches(
  b: GraphBuilder,
  x: ValueInfo,
  list: string,
  eps: number,
  branch: (normed: ValueInfo) => ValueInfo,
): ValueInfo {
  let sum = x;
  for (let index = 0; b.has(`${list}.${index}.norm.weight`); index++) {
    const added = b.scope(`${list}.${index}`, () => layerScale(b, branch(norm(b, x, 'norm', eps)), 'ls'));
    sum = residual(b, sum, added);
  }
  return sum;
}

/**
 * Several attentions side by side, then several MLPs (Touvron et al. 2022, "Three things everyone
 * should know about Vision Transformers").
 */
function parallelThingsBlock(b: GraphBuilder, tokens: Tokens, settings: BlockSettings): ValueInfo {
  const x = parallelBranches(b, tokens.value, 'attns', settings.eps, (normed) =>
    selfAttention(b, withValue(tokens, normed), 'attn', b.scopePath, settings),
  );
  return parallelBranches(b, x, 'ffns', settings.eps, (normed) => mlp(b, normed, 'mlp', settings));
}

/** Hidden units, queries, keys and values of a parallel block, all of one projection. */
function fusedProjection(
  b: GraphBuilder,
  tokens: Tokens,
  { eps, activation }: BlockSettings,
): { readonly units: ValueInfo; readonly operands: readonly [ValueInfo, ValueInfo, ValueInfo] } {
  const all = b.linear(norm(b, tokens.value, 'in_norm', eps), 'in_proj');
  const [dim, wide] = [at(tokens.value.shape, 1), at(all.shape, 1)];
  const parts = b.split(all, [wide - 3 * dim, dim, dim, dim], 1);
  const raw = at(parts, 0);
  const biased = b.has('mlp_bias') ? b.add('Add', [raw, b.parameter('mlp_bias')]) : raw;
  return { units: activate(b, biased, activation), operands: [at(parts, 1), at(parts, 2), at(parts, 3)] };
}

/**
 * Attention and MLP side by side with one projection in (Dehghani et al. 2023, "Scaling Vision
 * Transformers to 22 Billion Parameters").
 */
function parallelScalingBlock(b: GraphBuilder, tokens: Tokens, settings: BlockSettings): ValueInfo {
  const { units, operands } = fusedProjection(b, tokens, settings);
  const [query, key, value] = operands;
  const split = (x: ValueInfo): ValueInfo => splitHeads(b, x, tokens.batch, settings.heads);
  const [q, k, v] = [split(query), split(key), split(value)];
  const mixed = mergeHeads(
    b,
    b.attention(maybeNorm(b, q, 'q_norm', settings.eps), maybeNorm(b, k, 'k_norm', settings.eps), v, {
      probe: selfProbe(tokens, b.scopePath),
    }),
  );
  return residual(b, tokens.value, layerScale(b, projectOut(b, mixed, units), 'ls'));
}

/** The same with differential attention. */
function differentialParallelBlock(b: GraphBuilder, tokens: Tokens, settings: BlockSettings): ValueInfo {
  const { units, operands } = fusedProjection(b, tokens, settings);
  const mixed = differentialAttention(b, operands, tokens, selfProbe(tokens, b.scopePath), settings);
  return residual(b, tokens.value, layerScale(b, projectOut(b, mixed, units), 'ls'));
}

/** Projection of both branches of a parallel block: two layers, or one over their concatenation. */
function projectOut(b: GraphBuilder, mixed: ValueInfo, units: ValueInfo): ValueInfo {
  return b.has('out_proj.weight')
    ? b.linear(b.concat([mixed, units], 1), 'out_proj')
    : b.add('Add', [b.linear(mixed, 'attn_out_proj'), b.linear(units, 'mlp_out_proj')]);
}

/**
 * Kinds of blocks that a plain transformer may have; blocks with their norms elsewhere have the
 * names of a pre-norm one and are told apart by the hyper-parameter `norm_order`.
 */
export const blockKinds: readonly BlockKind[] = [
  { has: 'attns.0.norm.weight', note: { title: 'Parallel block' }, build: parallelThingsBlock },
  {
    has: 'sub_norm.weight',
    note: { title: 'Parallel block, differential' },
    build: differentialParallelBlock,
  },
  { has: 'in_proj.weight', note: { title: 'Parallel block, one projection' }, build: parallelScalingBlock },
  { has: 'norm1.weight', note: { title: 'Transformer block' }, build: preNormBlock },
];

/** Where the norms of a block are: before the branches, behind them, or behind the sum. */
export type NormOrder = 'pre' | 'post' | 'after';

/** Blocks whose norms are not before the branches. */
export const otherOrders: Readonly<Record<NormOrder, readonly BlockKind[]>> = {
  pre: [],
  post: [{ has: 'norm1.weight', note: { title: 'Transformer block, norms last' }, build: postNormBlock }],
  after: [
    {
      has: 'norm1.weight',
      note: { title: 'Transformer block, norms behind the sums' },
      build: normAfterBlock,
    },
  ],
};
