import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { norm, residual, withValue, type Tokens } from '../blocks/layers';
import { mlp } from '../blocks/transformer';
import { windowAttention } from '../blocks/windows';
import type { ShiftedPlace } from './shiftedWindows';
import { quantity } from '../../domain/units';

/**
 * The norms of Swin v2 stand behind attention and MLP (Liu et al. 2022, §3.2); a third one over the
 * sum is timm's (`swinv2_cr`).
 */
export function postNormBlock(
  b: GraphBuilder,
  tokens: Tokens,
  { windows, layer, heads, eps, activation }: ShiftedPlace,
  bias: () => ValueInfo,
): Tokens {
  const attended = b.scope(
    'attn',
    () => windowAttention(b, tokens, windows, { heads, layer, bias: bias() }),
    {
      title: `Window attention by cosines, ${quantity(heads, 'head')}`,
      formula: 'softmax(τ·cos(Q, K) + B)·V',
    },
  );
  const mixed = residual(b, tokens.value, norm(b, attended.value, 'norm1', eps));
  const value = residual(b, mixed, norm(b, mlp(b, mixed, 'mlp', { activation, eps }), 'norm2', eps));
  return withValue(tokens, value);
}
