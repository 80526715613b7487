import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { last } from '../../domain/lists';
import {
  fromTheFirst,
  otherAttention,
  ownAttention,
  separateProjections,
  type Placed,
} from '../blocks/decoding';
import { withValue, type Tokens } from '../blocks/layers';
import type { Decoding } from '../blocks/passes';
import { feedForward, projectedAttention } from '../blocks/projectedAttention';
import { sinePlaces } from '../blocks/sequencePositions';
import { wordEmbedding } from '../blocks/textTower';
import { countOf, knownActivation, shapeOf } from '../decide';
import { ConfigError } from '../configKeys';
import type { Rename } from '../dialect';
import { configOf, stored } from '../evidence';
import {
  headsOfWhole,
  transformersLibrary,
  type FoundModel,
  type ModelContext,
  type Standalone,
} from '../whole';
import { countedTokens } from './imageToText';
import {
  countedText,
  decoding,
  encoded,
  normedBranch,
  sequenceEps,
  sequencesOf,
  sourceText,
  trueOrFalse,
  untold,
} from './sequences';

/** What encoder and decoder of BART's kind are written by. */
export interface BartConfig {
  readonly depth: number;
  readonly decoder_depth: number;
  readonly heads: number;
  readonly decoder_heads: number;
  readonly activation: string;
  /** Words are multiplied with the root of their width. */
  readonly words_scaled: boolean;
  /** Rows of the stored tables of positions that no token has; sines are made without a table. */
  readonly offset: number;
}

/** What differs between the kinds whose layers have these names. */
interface Kind {
  /** By model_type, which is the label. */
  readonly types: Readonly<Record<string, Published>>;
  /** The type that names and shapes alone tell. */
  readonly told: (tensors: FoundModel['tensors']) => string;
  readonly offset: number;
}

interface Published {
  readonly title: string;
  readonly activation: string;
  readonly scaled: boolean;
  readonly context: number;
}

const projections = separateProjections(['q_proj', 'k_proj', 'v_proj', 'out_proj']);
const firstLayer = 'model.encoder.layers.0';

/** The table that a side's words are read from: its own, or the one that both share. */
export const wordTable = (has: (name: string) => boolean, side: 'encoder' | 'decoder'): string =>
  [
    'model.shared',
    `model.${side}.embed_tokens`,
    'model.decoder.embed_tokens',
    'model.encoder.embed_tokens',
    'lm_head',
  ].find((name) => has(`${name}.weight`)) ?? 'model.shared';

const tables = /^(?:model\.(?:encoder|decoder)\.embed_tokens|lm_head)\.weight$/;

/**
 * What the weights of BART's encoder and decoder tell, and what its config, or the part of it that
 * begins with `within`, tells of the rest.
 */
export function bartEvidence(
  found: FoundModel,
  published: { readonly activation: string; readonly scaled: boolean },
  within = '',
) {
  const { tensors } = found;
  const words = `${wordTable((name) => tensors.has(name), 'decoder')}.weight`;
  const [vocabulary = 0, dim = 0] = shapeOf(tensors, words);
  const [hidden = 0] = shapeOf(tensors, `${firstLayer}.fc1.weight`);
  const heads = (key: string, config: string) =>
    headsOfWhole(found, key, dim, {
      config: [`${within}${config}`, `${within}num_attention_heads`],
      perHead: 64,
    });
  return {
    depth: stored(countOf(tensors, 'model.encoder.layers'), 'model.encoder.layers.*'),
    decoder_depth: stored(countOf(tensors, 'model.decoder.layers'), 'model.decoder.layers.*'),
    dim: stored(dim, words),
    heads: heads('heads', 'encoder_attention_heads'),
    decoder_heads: heads('decoder_heads', 'decoder_attention_heads'),
    mlp_dim: stored(hidden, `${firstLayer}.fc1.weight`),
    activation: untold<string>(found, 'activation', {
      config: [`${within}activation_function`],
      byClass: 'gelu',
      published: published.activation,
      ...knownActivation,
    }),
    words_scaled: untold<boolean>(found, 'words_scaled', {
      config: [`${within}scale_embedding`],
      byClass: false,
      published: published.scaled,
      ...trueOrFalse,
    }),
    vocabulary: stored(vocabulary, words),
  };
}

const recogniser =
  ({ types, told, offset }: Kind) =>
  (found: FoundModel): ReturnType<Standalone<BartConfig>['recognise']> => {
    const { tensors } = found;
    const { config } = found.found.checkpoint.sidecars;
    const label = typeof config?.['model_type'] === 'string' ? config['model_type'] : told(tensors);
    const published = types[label];
    if (!published) return undefined;
    if (config?.['tie_word_embeddings'] === false && tensors.has('model.shared.weight'))
      throw new ConfigError('config.json: tie_word_embeddings is false; one table for all words is computed');
    const places = tensors.get('model.encoder.embed_positions.weight')?.shape[0];
    const evidence = {
      ...bartEvidence(found, published),
      context:
        places === undefined
          ? untold<number>(found, 'context', {
              config: ['max_position_embeddings'],
              byClass: 1024,
              published: published.context,
            })
          : stored(places - offset, 'model.encoder.embed_positions.weight'),
    };
    return {
      label,
      title: `${published.title}, ${evidence.depth.value} + ${evidence.decoder_depth.value} layers of ${evidence.dim.value}`,
      evidence,
      config: { ...configOf(evidence), offset },
      reading: { task: 'translate', places: evidence.context.value },
      lengths: {
        text: Math.min(countedText, evidence.context.value),
        decoder: Math.min(countedTokens, evidence.context.value),
      },
      bounds: { text: { most: evidence.context.value }, decoder: { most: evidence.context.value } },
    };
  };

/** Rows of the words that a side reads, `[batch · count, dim]`. */
export function wordsOf(
  b: GraphBuilder,
  side: 'encoder' | 'decoder',
  ids: ValueInfo,
  { words_scaled: scaled }: Pick<BartConfig, 'words_scaled'>,
): ValueInfo {
  const rows = wordEmbedding(b, ids, `${wordTable((name) => b.has(name), side)}.weight`);
  return scaled ? b.add('Mul', [rows, b.scalar(Math.sqrt(last(rows.shape)))]) : rows;
}

/** Tokens and their places, added, with the norm behind them that some have. */
export function atPlaces(
  b: GraphBuilder,
  side: 'encoder' | 'decoder',
  tokens: Tokens,
  positions: Placed['positions'],
  { offset, places }: Pick<BartConfig, 'offset'> & { readonly places: number },
): Tokens {
  const table = `model.${side}.embed_positions.weight`;
  const stands = b.has(table)
    ? positions(b.parameter(table), offset)
    : positions(sinePlaces(b, places, last(tokens.value.shape)), 0);
  const placed = b.add('Add', [tokens.value, stands]);
  const norm = `model.${side}.layernorm_embedding`;
  return withValue(tokens, b.has(`${norm}.weight`) ? b.layerNorm(placed, norm, sequenceEps) : placed);
}

/** Words at their places. */
function embedded(
  b: GraphBuilder,
  side: 'encoder' | 'decoder',
  { ids, positions }: Placed,
  config: Pick<BartConfig, 'words_scaled' | 'offset'> & { readonly places: number },
): Tokens {
  const [batch = 1, count = 1] = ids.shape;
  const value = wordsOf(b, side, ids, config);
  return atPlaces(
    b,
    side,
    { value, batch, count, layout: { special: [], sequence: count } },
    positions,
    config,
  );
}

const endsWithNorm = (b: GraphBuilder, side: 'encoder' | 'decoder'): boolean =>
  b.has(`model.${side}.layer_norm.weight`);

/** The encoder's layers over tokens at their places, with the norm behind them that some have. */
export function encoderLayers(
  b: GraphBuilder,
  start: Tokens,
  { depth, heads, activation }: Pick<BartConfig, 'depth' | 'heads' | 'activation'>,
  padding: readonly ValueInfo[],
): Tokens {
  const isPre = endsWithNorm(b, 'encoder');
  let tokens = start;
  const layer = (): Tokens => {
    const attended = normedBranch(b, tokens, { norm: 'self_attn_layer_norm', isPre }, (own) =>
      projectedAttention(b, 'self_attn', { queries: own, keys: own }, { heads, kind: 'self', bias: padding }),
    );
    return normedBranch(b, attended, { norm: 'final_layer_norm', isPre }, ({ value }) =>
      feedForward(b, value, activation),
    );
  };
  for (let index = 0; index < depth; index++)
    tokens = b.scope(`model.encoder.layers.${index}`, layer, { title: 'Encoder layer' });
  return isPre
    ? withValue(tokens, b.layerNorm(tokens.value, 'model.encoder.layer_norm', sequenceEps))
    : tokens;
}

function encoder(b: GraphBuilder, config: BartConfig, context: ModelContext): void {
  const sequences = sequencesOf(context);
  const { ids, padding } = sourceText(b, sequences);
  const words = embedded(b, 'encoder', fromTheFirst(b, ids), { ...config, places: sequences.text });
  encoded(b, encoderLayers(b, words, config, [padding]));
}

/** What a decoder of BART's kind reads in a pass. */
export interface BartDecoding extends Decoding {
  /** What its cross-attention looks at. */
  readonly state: Tokens;
  readonly places: number;
}

/** The decoder over the tokens of a pass: names the scores of the words. */
export function decoderLayers(
  b: GraphBuilder,
  config: BartConfig,
  { placed, memory, answer, state, places }: BartDecoding,
): void {
  const { decoder_depth: depth, decoder_heads: heads, activation } = config;
  const table = wordTable((name) => b.has(name), 'decoder');
  const isPre = endsWithNorm(b, 'decoder');
  const attention = { heads, memory, projections };
  let tokens = embedded(b, 'decoder', placed, { ...config, places });
  const layer = (): Tokens => {
    const own = normedBranch(b, tokens, { norm: 'self_attn_layer_norm', isPre }, (asking) =>
      ownAttention(b, 'self_attn', asking, attention),
    );
    const other = normedBranch(b, own, { norm: 'encoder_attn_layer_norm', isPre }, (asking) =>
      otherAttention(b, 'encoder_attn', asking, state, attention),
    );
    return normedBranch(b, other, { norm: 'final_layer_norm', isPre }, ({ value }) =>
      feedForward(b, value, activation),
    );
  };
  for (let index = 0; index < depth; index++)
    tokens = b.scope(`model.decoder.layers.${index}`, layer, { title: 'Decoder layer' });
  answer(tokens, (rows) => {
    const normed = isPre ? b.layerNorm(rows, 'model.decoder.layer_norm', sequenceEps) : rows;
    const scores = b.linear(
      normed,
      b.has('lm_head.weight') && !b.has('model.shared.weight') ? 'lm_head' : table,
      { bias: false },
    );
    return b.has('final_logits_bias')
      ? b.add('Add', [scores, b.parameter('final_logits_bias', [last(scores.shape)])])
      : scores;
  });
}

function decoder(b: GraphBuilder, config: BartConfig, context: ModelContext): void {
  const [, width = 1] = b.shapeOf(`${wordTable((name) => b.has(name), 'decoder')}.weight`);
  decoderLayers(b, config, decoding(b, context, width));
}

/** Names without a head around them: `encoder.layers.0` for `model.encoder.layers.0`. */
const bare: readonly Rename[] = [[/^((?:encoder|decoder|shared)\..+)$/, 'model.$1']];

const common = {
  standalone: true,
  row: 'seq2seq',
  task: 'translate',
  library: transformersLibrary,
  renames: bare,
  assumable: ['heads', 'decoder_heads', 'activation', 'words_scaled'],
  buffers: /^final_logits_bias$|(?:^|\.)(?:encoder|decoder)\.version$/,
  tied: { kept: 'model.shared.weight', copies: tables },
  parts: [
    { name: 'text', build: encoder },
    { name: 'decoder', build: decoder },
  ],
} as const satisfies Partial<Standalone<BartConfig>>;

const layers = [`${firstLayer}.self_attn.q_proj.weight`, 'model.decoder.layers.0.encoder_attn.q_proj.weight'];
const embeddingNorm = 'model.encoder.layernorm_embedding.weight';

/** BART (Lewis et al. 2020) and mBART (Liu et al. 2020), whose norms stand before the branches. */
export const bart: Standalone<BartConfig> = {
  ...common,
  name: 'bart',
  title: 'BART',
  signature: [...layers, embeddingNorm, 'model.encoder.embed_positions.weight'],
  modelTypes: ['bart', 'mbart'],
  recognise: recogniser({
    offset: 2,
    told: (tensors) => (tensors.has('model.encoder.layer_norm.weight') ? 'mbart' : 'bart'),
    types: {
      bart: { title: 'BART', activation: 'gelu', scaled: false, context: 1024 },
      mbart: { title: 'mBART', activation: 'gelu', scaled: true, context: 1024 },
    },
  }),
};

/** Marian's models (Junczys-Dowmunt et al. 2018): sines for places, no norm behind the words. */
export const marian: Standalone<BartConfig> = {
  ...common,
  name: 'marian',
  title: 'Marian',
  signature: layers,
  absent: [embeddingNorm, 'model.encoder.layer_norm.weight'],
  modelTypes: ['marian'],
  buffers: /^final_logits_bias$|(?:^|\.)embed_positions\.weight$/,
  recognise: recogniser({
    offset: 0,
    told: () => 'marian',
    types: { marian: { title: 'Marian', activation: 'swish', scaled: true, context: 512 } },
  }),
};

/** Pegasus (Zhang et al. 2020): sines for places, norms before the branches. */
export const pegasus: Standalone<BartConfig> = {
  ...common,
  name: 'pegasus',
  title: 'Pegasus',
  signature: [...layers, 'model.encoder.layer_norm.weight', 'final_logits_bias'],
  absent: [embeddingNorm],
  modelTypes: ['pegasus'],
  buffers: /^final_logits_bias$|(?:^|\.)embed_positions\.weight$/,
  recognise: recogniser({
    offset: 0,
    told: () => 'pegasus',
    types: { pegasus: { title: 'Pegasus', activation: 'relu', scaled: true, context: 512 } },
  }),
};
