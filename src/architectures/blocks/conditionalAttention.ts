import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import type { Tokens } from './layers';
import { mergeHeads, splitHeads } from './transformer';

/** Where Conditional and DAB-DETR keep the projections of an attention, from the layer's path. */
export interface ConditionalNames {
  /** Module that the map belongs to, which holds the projection behind the heads. */
  readonly module: string;
  readonly out: string;
  readonly queryContent: string;
  /** Absent from later layers' attention to the image. */
  readonly queryPosition: string;
  readonly keyContent: string;
  readonly keyPosition: string;
  readonly value: string;
  /** Of the attention to the image alone. */
  readonly querySine?: string;
}

/** The last step of both: softmax over heads that were split, and the projection behind them. */
function attend(
  b: GraphBuilder,
  [q, k, v]: readonly [ValueInfo, ValueInfo, ValueInfo],
  { module, out }: ConditionalNames,
  [queries, keys]: readonly [Tokens, Tokens],
): ValueInfo {
  const kind = queries === keys ? 'self' : 'cross';
  return b.scope(
    module,
    () => {
      const mixed = b.attention(q, k, v, {
        ...(keys.unseen && { bias: keys.unseen }),
        probe: { layer: b.scopePath, kind, queries: queries.layout, keys: keys.layout },
      });
      return b.linear(mergeHeads(b, mixed), out);
    },
    {
      title: kind === 'cross' ? 'Conditional cross-attention' : 'Multi-head self-attention',
      formula: 'softmax(QKᵀ/√d)·V',
    },
  );
}

/**
 * Self-attention of object queries whose content and positions have projections each (Meng et al.
 * 2021, Conditional DETR, §3.2), `[batch · queries, dim]`.
 */
export function conditionalSelfAttention(
  b: GraphBuilder,
  queries: Tokens,
  positions: ValueInfo,
  { heads, names }: { readonly heads: number; readonly names: ConditionalNames },
): ValueInfo {
  const both = (content: string, position: string): ValueInfo =>
    b.add('Add', [b.linear(queries.value, content), b.linear(positions, position)]);
  const split = (x: ValueInfo): ValueInfo => splitHeads(b, x, queries.batch, heads);
  return attend(
    b,
    [
      split(both(names.queryContent, names.queryPosition)),
      split(both(names.keyContent, names.keyPosition)),
      split(b.linear(queries.value, names.value)),
    ],
    names,
    [queries, queries],
  );
}

/** What a conditional attention to the image reads. */
export interface ConditionalLook {
  readonly queries: Tokens;
  readonly image: Tokens;
  /** Learned positions of the queries, added where the file projects them. */
  readonly queryPositions: ValueInfo;
  /** Sines of the places that the queries stand for. */
  readonly querySines: ValueInfo;
  readonly imagePositions: ValueInfo;
}

/**
 * Attention to the image in which, head by head, positions stand beside contents instead of being
 * added to them: a score is the sum of both products (Meng et al. 2021, §3.2, equation 3).
 */
export function conditionalCrossAttention(
  b: GraphBuilder,
  { queries, image, queryPositions, querySines, imagePositions }: ConditionalLook,
  { heads, names }: { readonly heads: number; readonly names: ConditionalNames },
): ValueInfo {
  const keyPosition = b.linear(imagePositions, names.keyPosition);
  let query = b.linear(queries.value, names.queryContent);
  let key = b.linear(image.value, names.keyContent);
  if (b.has(`${names.queryPosition}.weight`)) {
    query = b.add('Add', [query, b.linear(queryPositions, names.queryPosition)]);
    key = b.add('Add', [key, keyPosition]);
  }
  const split = (x: ValueInfo, { batch }: Tokens): ValueInfo => splitHeads(b, x, batch, heads);
  const sines = b.linear(querySines, names.querySine ?? names.queryPosition);
  return attend(
    b,
    [
      b.concat([split(query, queries), split(sines, queries)], 3),
      b.concat([split(key, image), split(keyPosition, image)], 3),
      split(b.linear(image.value, names.value), image),
    ],
    names,
    [queries, image],
  );
}
