import { at } from '../../domain/lists';
import type { GraphBuilder } from '../../graph/builder';
import { int, type ValueInfo } from '../../graph/graph';
import { type Tokens } from './layers';
import { mergeHeads, queryKeyValue, selfProbe, splitHeads } from './transformer';
import { quantity } from '../../domain/units';

/**
 * A linear layer over the heads of a map `[batch, heads, queries, keys]`: its matrix stands on the
 * left, so that no map is transposed.
 */
function mixHeads(b: GraphBuilder, map: ValueInfo, name: string): ValueInfo {
  const [batch, heads, queries, keys] = map.shape as readonly [number, number, number, number];
  const flat = b.reshape(map, [batch, heads, queries * keys]);
  const mixed = b.add('MatMul', [b.parameter(`${name}.weight`, [heads, heads]), flat], {}, { name });
  return b.reshape(b.add('Add', [mixed, b.parameter(`${name}.bias`, [heads, 1])]), map.shape);
}

/**
 * Talking-heads attention (Shazeer et al. 2020; CaiT §2.3) over `[batch · count, dim]`: heads are
 * mixed before the softmax (`proj_l`) and after it (`proj_w`), so that rows of the map need not sum
 * to 1.
 */
export function talkingHeadsAttention(
  b: GraphBuilder,
  tokens: Tokens,
  name: string,
  layer: string,
  heads: number,
): ValueInfo {
  return b.scope(
    name,
    () => {
      const split = (x: ValueInfo): ValueInfo => splitHeads(b, x, tokens.batch, heads);
      const [query, key, value] = queryKeyValue(b, tokens.value);
      const [q, k, v] = [split(query), split(key), split(value)];
      const scaled = b.add('Mul', [q, b.scalar(1 / Math.sqrt(at(q.shape, 3)))]);
      const scores = b.add('MatMul', [scaled, b.transpose(k, [0, 1, 3, 2])], {}, { name: '/scores' });
      const softmax = b.add('Softmax', [mixHeads(b, scores, 'proj_l')], { axis: int(-1) });
      const map = mixHeads(b, softmax, 'proj_w');
      b.probe(map, selfProbe(tokens, layer));
      return b.linear(mergeHeads(b, b.add('MatMul', [map, v], {}, { name: '/mix' })), 'proj');
    },
    { title: `Talking-heads attention, ${quantity(heads, 'head')}`, formula: 'W_w·softmax(W_l·QKᵀ/√d)·V' },
  );
}
