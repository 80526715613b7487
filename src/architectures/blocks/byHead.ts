import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import type { Tokens } from './layers';
import { queryKeyValue, splitHeads } from './transformer';

/** Queries, keys and values by head, `[batch, heads, count, d]` each. */
export type ByHead = readonly [q: ValueInfo, k: ValueInfo, v: ValueInfo];

/**
 * Writes queries, keys and values of tokens by the linear layers of the current scope, split into
 * heads.
 */
export function byHead(b: GraphBuilder, { value, batch }: Tokens, heads: number): ByHead {
  const [q, k, v] = queryKeyValue(b, value);
  const split = (x: ValueInfo): ValueInfo => splitHeads(b, x, batch, heads);
  return [split(q), split(k), split(v)];
}
