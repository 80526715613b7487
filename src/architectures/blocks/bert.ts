import type { GraphBuilder } from '../../graph/builder';
import { int, type ValueInfo } from '../../graph/graph';
import { activate, withValue, type Tokens } from './layers';
import { postNorm, projectedAttention } from './projectedAttention';
import { textPositions, wordEmbedding, type TextLengths } from './textTower';

/** How BERT's layers are written. */
export interface BertConfig {
  readonly depth: number;
  readonly heads: number;
  readonly activation: string;
  readonly eps: number;
}

/** Names of the projections of BERT's attention. */
export const bertProjections = ['self.query', 'self.key', 'self.value', 'output.dense'] as const;

/**
 * Words, positions and the first type of token, normed together (Devlin et al. 2019, fig. 2);
 * parameters below the current scope's `embeddings`.
 *
 * @param places which row of the table of positions is added to each token, `[texts · text]`; their
 *   order in the text without it
 */
export function bertEmbedding(
  b: GraphBuilder,
  ids: ValueInfo,
  lengths: TextLengths,
  eps: number,
  places?: ValueInfo,
): Tokens {
  const { texts, text } = lengths;
  return b.scope('embeddings', () => {
    const words = wordEmbedding(b, ids, 'word_embeddings.weight');
    const typed = b.has('token_type_embeddings.weight')
      ? b.add('Add', [words, b.slice(b.parameter('token_type_embeddings.weight'), 0, 0, 1)])
      : words;
    const table = 'position_embeddings.weight';
    const positions = places
      ? b.add('Gather', [b.parameter(table), places], { axis: int(0) })
      : textPositions(b, table, lengths);
    const placed = b.add('Add', [typed, positions]);
    return {
      value: b.layerNorm(placed, 'LayerNorm', eps),
      batch: texts,
      count: text,
      layout: { special: [], sequence: text },
    };
  });
}

/** BERT's layers `layer.0` … below the current scope's `encoder`, norms behind each branch. */
export function bertLayers(
  b: GraphBuilder,
  embedded: Tokens,
  { depth, heads, activation, eps }: BertConfig,
  masks: readonly ValueInfo[] = [],
): Tokens {
  let tokens = embedded;
  for (let index = 0; index < depth; index++)
    tokens = b.scope(
      `encoder.layer.${index}`,
      () => bertLayer(b, tokens, { heads, activation, eps }, masks),
      {
        title: 'Text layer',
      },
    );
  return tokens;
}

function bertLayer(
  b: GraphBuilder,
  tokens: Tokens,
  { heads, activation, eps }: Omit<BertConfig, 'depth'>,
  masks: readonly ValueInfo[],
): Tokens {
  const attended = bertAttention(b, 'attention', tokens, tokens, { heads, eps, masks, kind: 'self' });
  const wide = activate(b, b.linear(attended.value, 'intermediate.dense'), activation);
  return withValue(
    tokens,
    postNorm(b, attended.value, b.linear(wide, 'output.dense'), 'output.LayerNorm', eps),
  );
}

/** An attention of BERT's names with its norm: over the tokens themselves, or over others. */
export function bertAttention(
  b: GraphBuilder,
  name: string,
  tokens: Tokens,
  keys: Tokens,
  {
    heads,
    eps,
    masks = [],
    kind,
  }: {
    readonly heads: number;
    readonly eps: number;
    readonly masks?: readonly ValueInfo[];
    readonly kind: 'self' | 'causal' | 'cross';
  },
): Tokens {
  const mixed = projectedAttention(
    b,
    name,
    { queries: tokens, keys },
    { heads, kind, bias: masks, layer: 'self', names: bertProjections },
  );
  return withValue(tokens, postNorm(b, tokens.value, mixed, `${name}.output.LayerNorm`, eps));
}
