import type { GraphBuilder } from '../../graph/builder';
import { int, type ValueInfo } from '../../graph/graph';
import { parameterSide } from './parts';

/**
 * x / max(‖x‖₂, 10⁻¹²) over the last axis, as PyTorch's `normalize` guards against zero vectors (a
 * padded token without biases is one).
 */
export function unitVectors(b: GraphBuilder, x: ValueInfo): ValueInfo {
  const length = b.add('ReduceL2', [x, b.indices([-1])], { keepdims: int(1) });
  return b.add('Div', [x, b.add('Max', [length, b.scalar(1e-12)])]);
}

/**
 * Temperature of cosine attention (Liu et al. 2022, Swin v2 §3.2) per head, `[heads, 1, 1]`: exp(s)
 * for the learned s, at most 100.
 */
export function cosineScale(b: GraphBuilder): ValueInfo {
  if (b.has('tau')) return directScale(b);
  const name = 'logit_scale';
  const heads = parameterSide(b, name, 0);
  const bounded = b.add('Min', [b.parameter(name, [heads, 1, 1]), b.scalar(Math.log(100))]);
  return b.add('Exp', [bounded]);
}

/** The same by the temperature τ itself: 1 / τ, at most 100. */
function directScale(b: GraphBuilder): ValueInfo {
  const heads = parameterSide(b, 'tau', 0);
  return b.add('Div', [b.scalar(1), b.add('Max', [b.parameter('tau', [heads, 1, 1]), b.scalar(0.01)])]);
}

/** Whether the current scope's attention is one of cosines. */
export const isCosine = (b: GraphBuilder): boolean => b.has('logit_scale') || b.has('tau');
