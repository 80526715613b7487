import { at } from '../../domain/lists';
import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import type { Tokens } from './layers';
import { meanOfTokens, sequence } from './maps';
import { parameterSide } from './parts';

/** The token at `index` of every image, `[batch, dim]`. */
export function tokenAt(b: GraphBuilder, tokens: Tokens, index: number): ValueInfo {
  const { batch, value } = tokens;
  return b.reshape(b.slice(sequence(b, tokens), 1, index, index + 1), [batch, at(value.shape, 1)]);
}

/** The patches alone: `[batch · patches, dim]` and their layout. */
export function patchesOnly(b: GraphBuilder, tokens: Tokens): Tokens {
  const first = tokens.layout.special?.length ?? 0;
  if (first === 0) return tokens;
  const rest = b.slice(sequence(b, tokens), 1, first, tokens.count);
  const count = tokens.count - first;
  const value = b.reshape(rest, [tokens.batch * count, at(tokens.value.shape, 1)]);
  return { value, batch: tokens.batch, count, layout: { special: [], grid: tokens.layout.grid } };
}

/** A learned token `[1, 1, dim]`, one for every image: `[batch, dim]`. */
export function learnedToken(b: GraphBuilder, name: string, batch: number): ValueInfo {
  const dim = parameterSide(b, name, -1);
  const token = b.parameter(name, [1, dim]);
  return batch === 1 ? token : b.add('Expand', [token, b.indices([batch, dim])]);
}

/** The tokens with special ones `[batch, n, dim]` of these names in front of them. */
export function withSpecialTokens(
  b: GraphBuilder,
  special: ValueInfo,
  names: readonly string[],
  tokens: Tokens,
): Tokens {
  const { batch, layout } = tokens;
  const count = tokens.count + names.length;
  const rows = b.concat([special, sequence(b, tokens)], 1);
  return {
    value: b.reshape(rows, [batch * count, at(special.shape, 2)]),
    batch,
    count,
    layout: { ...layout, special: [...names, ...(layout.special ?? [])] },
  };
}

/** The tokens with the class token `[batch, dim]` in front of them. */
export function withClassToken(b: GraphBuilder, token: ValueInfo, tokens: Tokens): Tokens {
  return withSpecialTokens(b, b.reshape(token, [tokens.batch, 1, at(token.shape, 1)]), ['cls'], tokens);
}

/** The special tokens alone, `[batch, n, dim]`. */
export function specialsOnly(b: GraphBuilder, tokens: Tokens): ValueInfo {
  return b.slice(sequence(b, tokens), 1, 0, tokens.layout.special?.length ?? 0);
}

/**
 * One vector of all tokens, `[batch, dim]`: the first of them, or for `avg` the mean of the
 * patches.
 */
export function pooledTokens(b: GraphBuilder, tokens: Tokens, pool: string): ValueInfo {
  return pool === 'avg' ? meanOfTokens(b, patchesOnly(b, tokens)) : tokenAt(b, tokens, 0);
}
