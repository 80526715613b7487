import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { type Tokens } from './layers';
import { splitInTwo } from './parts';
import { tokenAt } from './specialTokens';
import { mergeHeads, splitHeads } from './transformer';
import { quantity } from '../../domain/units';

/** Keys and values of one fused linear layer or of two. */
function keyValue(b: GraphBuilder, x: ValueInfo): readonly [key: ValueInfo, value: ValueInfo] {
  return b.has('kv.weight') ? splitInTwo(b, b.linear(x, 'kv'), 1) : [b.linear(x, 'k'), b.linear(x, 'v')];
}

/**
 * Class attention (Touvron et al. 2021, CaiT §3.2, eq. 5–7): the class token, first of the
 * normalised `tokens` `[batch · count, dim]`, attends to all of them, itself among them. Returns
 * the mixed values `[batch, dim]`; how they join the tokens each family decides. `cross`: the token
 * comes from elsewhere than the patches.
 */
export function classAttention(
  b: GraphBuilder,
  tokens: Tokens,
  name: string,
  layer: string,
  heads: number,
  kind: 'class' | 'cross' = 'class',
): ValueInfo {
  return b.scope(
    name,
    () => {
      const split = (x: ValueInfo): ValueInfo => splitHeads(b, x, tokens.batch, heads);
      const query = b.linear(tokenAt(b, tokens, 0), 'q');
      const [key, value] = keyValue(b, tokens.value);
      const mixed = b.attention(split(query), split(key), split(value), {
        probe: { layer, kind, queries: { special: ['cls'] }, keys: tokens.layout },
      });
      return b.linear(mergeHeads(b, mixed), 'proj');
    },
    {
      title: `${kind === 'class' ? 'Class' : 'Cross'} attention, ${quantity(heads, 'head')}`,
      formula: 'softmax(q_cls·Kᵀ/√d)·V',
    },
  );
}
