import { at } from '../../domain/lists';
import type { TokenLayout } from '../../domain/probes';
import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import type { Tokens } from './layers';
import { wordEmbedding } from './textTower';
import { mergeHeads, splitHeads } from './transformer';
import { room } from '../../graph/limits';

/** Keys and values `[batch, heads, tokens, d]` with the layout of their tokens. */
export interface Remembered {
  readonly key: ValueInfo;
  readonly value: ValueInfo;
  readonly layout: TokenLayout;
  /** Added to the scaled scores. */
  readonly masks?: readonly ValueInfo[];
}

/**
 * What the attentions of a decoder look at: all tokens of a pass, or what earlier steps of
 * generation have kept.
 */
export interface Memory {
  /** What tokens see of their own sequence, of the keys and values just made of them. */
  own(key: ValueInfo, value: ValueInfo, tokens: Tokens): Remembered;
  /**
   * What queries `[batch, heads, tokens, d]` see beside it; `make` projects the keys and values
   * `[batch, heads, tokens, d]` of the state.
   */
  other(make: () => KeyAndValue, state: Omit<Tokens, 'value'>, query: ValueInfo): Remembered;
}

export type KeyAndValue = readonly [key: ValueInfo, value: ValueInfo];

/** The memory of one pass over all tokens: their own keys and values under these masks. */
export const allTokens = (masks: readonly ValueInfo[], otherMasks: readonly ValueInfo[] = []): Memory => ({
  own: (key, value, { layout }) => ({ key, value, layout, masks }),
  other: (make, { layout }) => {
    const [key, value] = make();
    return { key, value, layout, masks: otherMasks };
  },
});

/** How a library keeps the projections of an attention; rows `[rows, width]` in and out. */
export interface Projections {
  readonly own: (b: GraphBuilder, x: ValueInfo) => readonly [q: ValueInfo, k: ValueInfo, v: ValueInfo];
  readonly query: (b: GraphBuilder, x: ValueInfo) => ValueInfo;
  readonly other: (b: GraphBuilder, x: ValueInfo) => readonly [k: ValueInfo, v: ValueInfo];
  readonly out: (b: GraphBuilder, x: ValueInfo) => ValueInfo;
}

/** A matrix each, of these names. */
export function separateProjections([query, key, value, out]: readonly [
  query: string,
  key: string,
  value: string,
  out: string,
]): Projections {
  const linear =
    (name: string) =>
    (b: GraphBuilder, x: ValueInfo): ValueInfo =>
      b.linear(x, name);
  return {
    own: (b, x) => [b.linear(x, query), b.linear(x, key), b.linear(x, value)],
    query: linear(query),
    other: (b, x) => [b.linear(x, key), b.linear(x, value)],
    out: linear(out),
  };
}

/** GPT-2's: one matrix for what is made of the same tokens. */
export const fusedProjections: Projections = {
  own: (b, x) => b.split(b.linear(x, 'c_attn'), 3, 1) as [ValueInfo, ValueInfo, ValueInfo],
  query: (b, x) => b.linear(x, 'q_attn'),
  other: (b, x) => b.split(b.linear(x, 'c_attn'), 2, 1) as [ValueInfo, ValueInfo],
  out: (b, x) => b.linear(x, 'c_proj'),
};

/** How an attention of a decoder is written. */
export interface DecoderAttention {
  readonly heads: number;
  readonly projections: Projections;
  readonly memory: Memory;
  /** Whether tokens see themselves and those before them alone; all by default. */
  readonly kind?: 'causal' | 'self';
  /** Module of the map below the attention's own, if a library has it there: `self`. */
  readonly layer?: string;
  /** Factor of the scores; 1/√d without it. */
  readonly scale?: number;
  /** Added to the scaled scores beside the memory's masks: biases by relative position. */
  readonly biases?: readonly ValueInfo[];
}

/** What is added to the scores, if anything is. */
const added = (...lists: readonly (readonly ValueInfo[] | undefined)[]): { bias?: readonly ValueInfo[] } => {
  const bias = lists.flatMap((list) => list ?? []);
  return bias.length > 0 ? { bias } : {};
};

const layerBelow = (b: GraphBuilder, layer: string | undefined): string =>
  layer === undefined ? b.scopePath : `${b.scopePath}.${layer}`;

/** Tokens attend to their own sequence (Vaswani et al. 2017, §3.2.3): `[batch · count, dim]`. */
export function ownAttention(
  b: GraphBuilder,
  name: string,
  tokens: Tokens,
  { heads, projections, memory, kind = 'causal', layer, scale, biases }: DecoderAttention,
): ValueInfo {
  const write = (): ValueInfo => {
    const [query, key, value] = projections
      .own(b, tokens.value)
      .map((each) => splitHeads(b, each, tokens.batch, heads)) as [ValueInfo, ValueInfo, ValueInfo];
    const seen = memory.own(key, value, tokens);
    const mixed = b.attention(query, seen.key, seen.value, {
      ...added(biases, seen.masks),
      ...(scale !== undefined && { scale }),
      probe: { layer: layerBelow(b, layer), kind, queries: tokens.layout, keys: seen.layout },
    });
    return projections.out(b, mergeHeads(b, mixed));
  };
  const title = kind === 'causal' ? 'Masked self-attention' : 'Multi-head self-attention';
  return b.scope(name, write, { title, formula: 'softmax(QKᵀ/√d)·V' });
}

/** Tokens attend to a state beside them, the image's or a question's: `[batch · count, dim]`. */
export function otherAttention(
  b: GraphBuilder,
  name: string,
  tokens: Tokens,
  state: Tokens,
  { heads, projections, memory, layer, scale, biases }: DecoderAttention,
): ValueInfo {
  const write = (): ValueInfo => {
    const query = splitHeads(b, projections.query(b, tokens.value), tokens.batch, heads);
    const seen = memory.other(
      () =>
        projections.other(b, state.value).map((each) => splitHeads(b, each, state.batch, heads)) as [
          ValueInfo,
          ValueInfo,
        ],
      state,
      query,
    );
    const mixed = b.attention(query, seen.key, seen.value, {
      ...added(biases, seen.masks),
      ...(scale !== undefined && { scale }),
      probe: { layer: layerBelow(b, layer), kind: 'cross', queries: tokens.layout, keys: seen.layout },
    });
    return projections.out(b, mergeHeads(b, mixed));
  };
  return b.scope(name, write, { title: 'Cross-attention', formula: 'softmax(QKᵀ/√d)·V' });
}

/** Token ids and the rows of the table of positions that belong to them. */
export interface Placed {
  /** `[batch, count]` */
  readonly ids: ValueInfo;
  /**
   * Rows `[batch · count, dim]` or `[1, dim]` of a table of positions, whose first `offset` are not
   * used.
   */
  readonly positions: (table: ValueInfo, offset?: number) => ValueInfo;
  /**
   * How many tokens each key that its self-attention sees stands before each query: int64
   * `[count, keys]` or `[1, keys]`, 0 for the token itself and for those that are hidden.
   */
  readonly distances: () => ValueInfo;
}

/** The ids of a pass from the first position on. */
export const fromTheFirst = (b: GraphBuilder, ids: ValueInfo): Placed => ({
  ids,
  positions: (table, offset = 0) => {
    const [batch = 1, count = 1] = ids.shape;
    const rows = b.slice(table, 0, offset, offset + count);
    return batch === 1 ? rows : b.concat(Array<ValueInfo>(batch).fill(rows), 0);
  },
  distances: () => {
    const count = at(ids.shape, 1);
    const apart = (_: unknown, index: number): bigint =>
      BigInt(Math.max(0, Math.floor(index / count) - (index % count)));
    const make = (): ValueInfo =>
      b.constant(
        '/distances',
        'I64',
        [count, count],
        BigInt64Array.from({ length: room(count ** 2) }, apart),
      );
    return b.shared(`distances ${count}`, make);
  },
});

/** Words and their positions, added: tokens without a place on the image. */
export function placedWords(
  b: GraphBuilder,
  { ids, positions }: Placed,
  [words, places]: readonly [words: string, places: string],
  { scale, offset }: { readonly scale?: number; readonly offset?: number } = {},
): Tokens {
  const [batch, count] = [at(ids.shape, 0), at(ids.shape, 1)];
  const rows = wordEmbedding(b, ids, words);
  const scaled = scale === undefined ? rows : b.add('Mul', [rows, b.scalar(scale)]);
  const value = b.add('Add', [scaled, positions(b.parameter(places), offset)]);
  return { value, batch, count, layout: { special: [], sequence: count } };
}

/** An input `[batch, count, width]` as tokens: what another part has answered. */
export function stateInput(
  b: GraphBuilder,
  name: string,
  { batch, count, width, layout }: StateShape,
): Tokens {
  const value = b.reshape(b.input(name, [batch, count, width]), [batch * count, width]);
  return { value, batch, count, layout };
}

/** What is known of a state before it is there. */
export interface StateShape {
  readonly batch: number;
  readonly count: number;
  readonly width: number;
  readonly layout: TokenLayout;
}
