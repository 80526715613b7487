import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { activate, withValue } from './layers';
import { mapToTokens, tokensToMap } from './maps';

/**
 * A linear layer at every position of a map `[batch, channels, rows, columns]`, as the file keeps
 * it: a 1 × 1 convolution `[out, in, 1, 1]` or a linear layer `[out, in]`. Both compute the same;
 * libraries count them as different kinds of work.
 */
export function pointwise(b: GraphBuilder, map: ValueInfo, name: string): ValueInfo {
  if (b.shapeOf(`${name}.weight`).length === 4) return b.conv2d(map, name);
  const tokens = mapToTokens(b, map);
  return tokensToMap(b, withValue(tokens, b.linear(tokens.value, name)));
}

/** fc2(act(fc1(x))) at every position of a map. */
export function mapMlp(b: GraphBuilder, map: ValueInfo, name: string, activation: string): ValueInfo {
  return b.scope(name, () => pointwise(b, activate(b, pointwise(b, map, 'fc1'), activation), 'fc2'), {
    title: 'Multi-layer perceptron',
    formula: 'W₂ · act(W₁x + b₁) + b₂',
  });
}
