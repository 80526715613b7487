import type { GraphBuilder } from '../../graph/builder';
import { int, type ValueInfo } from '../../graph/graph';
import { activate, maybeNorm, type Tokens } from '../blocks/layers';
import { meanOfTokens, sequence } from '../blocks/maps';
import { patchesOnly, tokenAt } from '../blocks/specialTokens';
import type { TokenMaps } from '../blocks/stages';
import { attentionPool } from '../blocks/transformer';

/**
 * Ways to make one vector of the tokens, by timm's names; `token+avg` is DINOv2's linear
 * classifier, `pooler` transformers' layer behind the class token.
 */
export type Pool = 'token' | 'avg' | 'max' | 'avgmax' | 'token+avg' | 'map' | 'pooler';

/** What a head over tokens is built by. */
export interface TokenHeadConfig {
  readonly pool: Pool;
  /** Special tokens are pooled as patches are; without it they are left out. */
  readonly pool_prefix?: boolean;
  readonly eps: number;
  /** Heads and activation of `map`, which pools by attention. */
  readonly heads: number;
  readonly activation: string;
  /** What the classifier's outputs go through. */
  readonly after_head?: string;
}

/** Half the sum of two values of one shape. */
const mean = (b: GraphBuilder, left: ValueInfo, right: ValueInfo): ValueInfo =>
  b.add('Mul', [b.add('Add', [left, right]), b.scalar(0.5)]);

/** The greatest value of every channel, `[batch, dim]`. */
const maximum = (b: GraphBuilder, tokens: Tokens): ValueInfo =>
  b.add('ReduceMax', [sequence(b, tokens), b.indices([1])], { keepdims: int(0) });

type Pooling = (b: GraphBuilder, pooled: Tokens, all: Tokens, config: TokenHeadConfig) => ValueInfo;

const pools: Readonly<Record<Pool, Pooling>> = {
  token: (b, _, all) => tokenAt(b, all, 0),
  avg: meanOfTokens,
  max: maximum,
  avgmax: (b, pooled) => mean(b, meanOfTokens(b, pooled), maximum(b, pooled)),
  'token+avg': (b, pooled, all) => b.concat([tokenAt(b, all, 0), meanOfTokens(b, pooled)], 1),
  pooler: (b, _, all) => b.add('Tanh', [b.linear(tokenAt(b, all, 0), 'pooler')]),
  map: (b, pooled, _, config) => attentionPool(b, pooled, 'attn_pool', 'attn_pool', config),
};

/** The pooled vector before `fc_norm`, `[batch, dim]`; `token+avg` is twice as wide. */
function pool(b: GraphBuilder, tokens: Tokens, config: TokenHeadConfig): ValueInfo {
  const pooled = config.pool_prefix === true ? tokens : patchesOnly(b, tokens);
  return pools[config.pool](b, pooled, tokens, config);
}

/**
 * Ends a distilled transformer (Touvron et al. 2021, DeiT §4), whose tokens begin with `cls` and
 * `dist`: `logits` are the mean of both heads'; without heads `features` are the mean of
 * both tokens.
 */
export function distilledTokens(b: GraphBuilder, tokens: Tokens): void {
  // Made before the answer: the last operator is what a model hands on.
  const all = sequence(b, tokens);
  const [cls, dist] = [tokenAt(b, tokens, 0), tokenAt(b, tokens, 1)];
  if (!b.has('head_dist.weight')) {
    b.output('features', mean(b, cls, dist), 'features');
    b.output('tokens', all, 'tokens');
    return;
  }
  const [left, right] = [b.linear(cls, 'head'), b.linear(dist, 'head_dist')];
  b.output('logits', mean(b, left, right), 'logits');
  b.output('cls_logits', left, 'logits');
  b.output('distillation_logits', right, 'logits');
  b.output('tokens', all, 'tokens');
}

/**
 * Ends a transformer with pooling, the layers behind it, and the classifier if there is one:
 * `logits`, `features` (what the classifier reads) and `tokens` `[batch, count, dim]`.
 */
export function tokensAnswer(b: GraphBuilder, { tokens }: TokenMaps, config: TokenHeadConfig): void {
  const all = sequence(b, tokens);
  const normed = maybeNorm(b, pool(b, tokens, config), 'fc_norm', config.eps);
  const hidden = b.has('pre_logits.weight') ? b.add('Tanh', [b.linear(normed, 'pre_logits')]) : normed;
  const features = maybeNorm(b, hidden, 'head_norm', config.eps);
  const { after_head: after = 'identity' } = config;
  const classifies = b.has('head.weight');
  if (classifies) b.output('logits', activate(b, b.linear(features, 'head'), after), 'logits');
  const pooled = !classifies && config.pool === 'token' && b.has('pooler.weight');
  b.output('features', pooled ? b.add('Tanh', [b.linear(features, 'pooler')]) : features, 'features');
  b.output('tokens', all, 'tokens');
}

/** The same for a plain transformer, which may be distilled. */
export function plainAnswer(b: GraphBuilder, maps: TokenMaps, config: TokenHeadConfig): void {
  const twoTokens = b.has('dist_token') && (b.has('head_dist.weight') || !b.has('head.weight'));
  if (twoTokens && config.pool === 'token') distilledTokens(b, maps.tokens);
  else tokensAnswer(b, maps, config);
}
