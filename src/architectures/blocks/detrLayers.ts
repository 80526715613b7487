import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { residual, withValue, type Tokens } from './layers';
import { feedForward, placed, projectedAttention } from './projectedAttention';

/** Where the norms of a layer stand: behind the sum, or before the branch. */
export type NormOrder = 'post' | 'pre';

/** How the layers of DETR's encoder and decoder are written. */
export interface DetrLayer {
  readonly heads: number;
  readonly activation: string;
  readonly order: NormOrder;
}

/** Epsilon of every norm in DETR's family: torch's own. */
export const detrEps = 1e-5;

/** x with a branch, by the order of norms: norm(x + branch(x)), or x + branch(norm(x)). */
export function branched(
  b: GraphBuilder,
  x: ValueInfo,
  norm: string,
  order: NormOrder,
  branch: (x: ValueInfo) => ValueInfo,
): ValueInfo {
  return order === 'pre'
    ? residual(b, x, branch(b.layerNorm(x, norm, detrEps)))
    : b.layerNorm(residual(b, x, branch(x)), norm, detrEps);
}

/** The linear layers that end an encoder or decoder layer. */
export const detrMlp = (b: GraphBuilder, x: ValueInfo, { activation, order }: DetrLayer): ValueInfo =>
  branched(b, x, 'final_layer_norm', order, (inner) => feedForward(b, inner, activation));

/** Self-attention whose queries and keys have positions `[batch · count, dim]`, values none. */
export function placedSelfAttention(
  b: GraphBuilder,
  tokens: Tokens,
  positions: ValueInfo,
  { heads, order }: DetrLayer,
): Tokens {
  const value = branched(b, tokens.value, 'self_attn_layer_norm', order, (x) => {
    const values = withValue(tokens, x);
    const here = placed(b, values, positions);
    return projectedAttention(b, 'self_attn', { queries: here, keys: here, values }, { heads, kind: 'self' });
  });
  return withValue(tokens, value);
}

/** An encoder layer: self-attention over all places, then the linear layers. */
export function encoderLayer(
  b: GraphBuilder,
  tokens: Tokens,
  positions: ValueInfo,
  layer: DetrLayer,
): Tokens {
  const attended = placedSelfAttention(b, tokens, positions, layer);
  return withValue(tokens, detrMlp(b, attended.value, layer));
}

/** A decoder layer: queries attend to one another, then to the image (Carion et al., fig. 10). */
export function decoderLayer(
  b: GraphBuilder,
  queries: Tokens,
  [queryPositions, imagePositions]: readonly [ValueInfo, ValueInfo],
  image: Tokens,
  layer: DetrLayer,
): Tokens {
  const attended = placedSelfAttention(b, queries, queryPositions, layer);
  const seen = branched(b, attended.value, 'encoder_attn_layer_norm', layer.order, (x) =>
    projectedAttention(
      b,
      'encoder_attn',
      {
        queries: placed(b, withValue(queries, x), queryPositions),
        keys: placed(b, image, imagePositions),
        values: image,
      },
      { heads: layer.heads, kind: 'cross' },
    ),
  );
  return withValue(queries, detrMlp(b, seen, layer));
}
