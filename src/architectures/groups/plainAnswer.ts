import type { GraphBuilder } from '../../graph/builder';
import { int, type ValueInfo } from '../../graph/graph';
import { maybeNorm, type Tokens } from '../blocks/layers';
import { sequence } from '../blocks/maps';
import { patchesOnly, tokenAt } from '../blocks/specialTokens';
import { attentionPool } from '../blocks/transformer';
import type { EvidenceRecord } from '../family';
import { numberOf, wordOf } from '../figures';

function reduce(b: GraphBuilder, tokens: Tokens, op: 'ReduceMean' | 'ReduceMax'): ValueInfo {
  return b.add(op, [sequence(b, tokens), b.indices([1])], { keepdims: int(0) });
}

/** Ways to make one vector `[batch, dim]` of the tokens, by timm's names; `token+avg` is DINOv2's linear classifier. */
const pools: Readonly<Record<string, (b: GraphBuilder, tokens: Tokens, all: Tokens) => ValueInfo>> = {
  token: (b, _, all) => tokenAt(b, all, 0),
  avg: (b, patches) => reduce(b, patches, 'ReduceMean'),
  max: (b, patches) => reduce(b, patches, 'ReduceMax'),
  avgmax: (b, patches) =>
    b.add('Mul', [
      b.add('Add', [reduce(b, patches, 'ReduceMean'), reduce(b, patches, 'ReduceMax')]),
      b.scalar(0.5),
    ]),
  'token+avg': (b, patches, all) => b.concat([tokenAt(b, all, 0), reduce(b, patches, 'ReduceMean')], 1),
};

/** The pooled vector before `fc_norm`. */
function pool(b: GraphBuilder, tokens: Tokens, figures: EvidenceRecord): ValueInfo {
  const kind = wordOf(figures, 'pool');
  const pooled = figures['pool_prefix']?.value === true ? tokens : patchesOnly(b, tokens);
  if (kind === 'map')
    return attentionPool(b, pooled, 'attn_pool', 'attn_pool', {
      heads: numberOf(figures, 'heads'),
      eps: numberOf(figures, 'eps'),
      activation: wordOf(figures, 'activation'),
    });
  const make = pools[kind];
  if (!make) throw new Error(`pool: ${kind} is not known; known are map, ${Object.keys(pools).join(', ')}`);
  return make(b, pooled, tokens);
}

/** Answer of a distilled transformer (Touvron et al. 2021, DeiT §4), whose tokens begin with `cls` and `dist`: the mean of both heads, or of both tokens where there are none. */
export function distilled(b: GraphBuilder, tokens: Tokens): void {
  const mean = (left: ValueInfo, right: ValueInfo): ValueInfo =>
    b.add('Mul', [b.add('Add', [left, right]), b.scalar(0.5)]);
  // Made before the answer: the last operator is what a model hands on.
  const all = sequence(b, tokens);
  const [cls, dist] = [tokenAt(b, tokens, 0), tokenAt(b, tokens, 1)];
  if (!b.has('head_dist.weight')) {
    b.output('features', mean(cls, dist), 'features');
    b.output('tokens', all, 'tokens');
    return;
  }
  const [left, right] = [b.linear(cls, 'head'), b.linear(dist, 'head_dist')];
  b.output('logits', mean(left, right), 'logits');
  b.output('cls_logits', left, 'logits');
  b.output('distillation_logits', right, 'logits');
  b.output('tokens', all, 'tokens');
}

/** Pooling, the layers that follow it, and the classifier where there is one; beside its logits, what it was given. */
export function plainAnswer(b: GraphBuilder, tokens: Tokens, figures: EvidenceRecord): void {
  const all = sequence(b, tokens);
  const normed = maybeNorm(b, pool(b, tokens, figures), 'fc_norm', numberOf(figures, 'eps'));
  const features = b.has('pre_logits.weight') ? b.add('Tanh', [b.linear(normed, 'pre_logits')]) : normed;
  const classifies = b.has('head.weight');
  if (classifies) b.output('logits', b.linear(features, 'head'), 'logits');
  const pooled = !classifies && b.has('pooler.weight');
  b.output('features', pooled ? b.add('Tanh', [b.linear(features, 'pooler')]) : features, 'features');
  b.output('tokens', all, 'tokens');
}
