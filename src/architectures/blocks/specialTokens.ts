import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { meanOfTokens, sequence } from './maps';
import type { Tokens } from './transformer';

/** The token at `index` of every image, `[batch, dim]`. */
export function tokenAt(b: GraphBuilder, tokens: Tokens, index: number): ValueInfo {
  const { batch, value } = tokens;
  return b.reshape(b.slice(sequence(b, tokens), 1, index, index + 1), [batch, value.shape[1]!]);
}

/** The patches alone: `[batch · patches, dim]` and their layout. */
export function patchesOnly(b: GraphBuilder, tokens: Tokens): Tokens {
  const first = tokens.layout.special?.length ?? 0;
  if (first === 0) return tokens;
  const rest = b.slice(sequence(b, tokens), 1, first, tokens.count);
  const count = tokens.count - first;
  const value = b.reshape(rest, [tokens.batch * count, tokens.value.shape[1]!]);
  return { value, batch: tokens.batch, count, layout: { special: [], grid: tokens.layout.grid } };
}

/** A learned token `[1, 1, dim]`, one for every picture: `[batch, dim]`. */
export function learnedToken(b: GraphBuilder, name: string, batch: number): ValueInfo {
  const dim = b.shapeOf(name).at(-1)!;
  const token = b.parameter(name, [1, dim]);
  return batch === 1 ? token : b.add('Expand', [token, b.indices([batch, dim])]);
}

/** The tokens with the class token `[batch, dim]` in front of them. */
export function withClassToken(b: GraphBuilder, token: ValueInfo, tokens: Tokens): Tokens {
  const { batch, count, layout } = tokens;
  const dim = token.shape[1]!;
  const rows = b.concat([b.reshape(token, [batch, 1, dim]), sequence(b, tokens)], 1);
  return {
    value: b.reshape(rows, [batch * (count + 1), dim]),
    batch,
    count: count + 1,
    layout: { ...layout, special: ['cls', ...(layout.special ?? [])] },
  };
}

/** One vector of all tokens, `[batch, dim]`: the first of them, or for `avg` the mean of the patches. */
export function pooledTokens(b: GraphBuilder, tokens: Tokens, pool: string): ValueInfo {
  return pool === 'avg' ? meanOfTokens(b, patchesOnly(b, tokens)) : tokenAt(b, tokens, 0);
}
