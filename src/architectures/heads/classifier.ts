import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { batchNorm, convolution } from '../blocks/convolution';

/**
 * Ends a model that pools: `logits` if the classifier `head` is stored, the pooled vector as
 * `features`, the last sequence or map as `tokens` (made by the caller before the answer: the last
 * operator is what a model hands on).
 */
export function answer(b: GraphBuilder, features: ValueInfo, tokens: ValueInfo, head = 'head'): void {
  if (b.has(`${head}.weight`)) b.output('logits', layered(b, features, head), 'logits');
  b.output('features', features, 'features');
  b.output('tokens', tokens, 'tokens');
}

/** A linear layer of `[batch, dim]`, or a 1 × 1 convolution in its place. */
function layered(b: GraphBuilder, features: ValueInfo, name: string): ValueInfo {
  if (b.shapeOf(`${name}.weight`).length !== 4) return b.linear(features, name);
  const logits = convolution(b, b.reshape(features, [...features.shape, 1, 1]), name);
  return b.reshape(logits, logits.shape.slice(0, 2));
}

/**
 * What a classifier says of `[batch, dim]`: a linear layer, or LeViT's `linear` behind a batch norm
 * `bn`; undefined if none is stored.
 */
function classified(b: GraphBuilder, features: ValueInfo, head: string, eps: number): ValueInfo | undefined {
  if (b.has(`${head}.linear.weight`))
    return b.scope(head, () => b.linear(batchNorm(b, features, 'bn', eps), 'linear'));
  return b.has(`${head}.weight`) ? b.linear(features, head) : undefined;
}

/**
 * Ends a model that pools and may be distilled: `logits` are the mean of what the heads `head` and
 * `head_dist` say (Touvron et al. 2021, DeiT §4), or the one head's; `eps` is that of their batch
 * norms.
 */
export function distilledAnswer(b: GraphBuilder, features: ValueInfo, tokens: ValueInfo, eps: number): void {
  const [logits, distilled] = ['head', 'head_dist'].map((head) => classified(b, features, head, eps));
  if (logits && distilled) {
    b.output('logits', b.add('Mul', [b.add('Add', [logits, distilled]), b.scalar(0.5)]), 'logits');
    b.output('cls_logits', logits, 'logits');
    b.output('distillation_logits', distilled, 'logits');
  } else if (logits) b.output('logits', logits, 'logits');
  b.output('features', features, 'features');
  b.output('tokens', tokens, 'tokens');
}
