import { last } from '../../domain/lists';
import type { GraphBuilder } from '../../graph/builder';
import { int, type ValueInfo } from '../../graph/graph';
import {
  allTokens,
  fromTheFirst,
  otherAttention,
  ownAttention,
  separateProjections,
  type DecoderAttention,
} from '../blocks/decoding';
import { activate, residual, withValue, type Tokens } from '../blocks/layers';
import { bucketOf, type Buckets } from '../blocks/sequencePositions';
import { wordEmbedding } from '../blocks/textTower';
import { countOf, knownActivation, shapeOf } from '../decide';
import { assumed, stored } from '../evidence';
import { settle, transformersLibrary, type FoundModel, type ModelContext, type Standalone } from '../whole';
import { countedTokens } from './imageToText';
import {
  aboveZero,
  countedText,
  decoding,
  encoded,
  sequencesOf,
  sourceText,
  trueOrFalse,
  untold,
} from './sequences';
import { placesRoom, room } from '../../graph/limits';

/** What T5 is written by. */
interface T5Config {
  readonly depth: number;
  readonly decoderDepth: number;
  readonly heads: number;
  readonly activation: string;
  readonly eps: number;
  /** Distance from which on all keys share one bias. */
  readonly farthest: number;
  /** Outputs are multiplied with the width to the power of −1/2 before words are scored. */
  readonly scaled: boolean;
}

type Side = 'encoder' | 'decoder';

const projections = separateProjections(['q', 'k', 'v', 'o']);
const attentionOf = (side: Side, layer: number): string => `${side}.block.${layer}.layer.0.SelfAttention`;
const biasOf = (side: Side, layer: number): string =>
  `${attentionOf(side, layer)}.relative_attention_bias.weight`;

/** `gated-gelu` of config.json is the hyperbolic form; other words are the activation's own. */
const activationIn = (word: string): string =>
  word === 'gated-gelu' ? 'gelu_new' : (word.split('-').at(-1) ?? word);

function recognise(found: FoundModel): ReturnType<Standalone<T5Config>['recognise']> {
  const { tensors } = found;
  const [vocabulary = 0, dim = 0] = shapeOf(tensors, 'shared.weight');
  const [buckets = 0, heads = 0] = shapeOf(tensors, biasOf('encoder', 0));
  const [inner = 0] = shapeOf(tensors, `${attentionOf('encoder', 0)}.q.weight`);
  const isGated = tensors.has('encoder.block.0.layer.1.DenseReluDense.wi_0.weight');
  const wide = `encoder.block.0.layer.1.DenseReluDense.${isGated ? 'wi_0' : 'wi'}.weight`;
  const [hidden = 0] = shapeOf(tensors, wide);
  const usual = isGated ? 'gelu_new' : 'relu';
  const said = untold<string>(found, 'activation', {
    config: ['feed_forward_proj'],
    byClass: isMultilingual(found) ? 'gated-gelu' : 'relu',
    published: usual,
    is: (value) => knownActivation.is(activationIn(String(value))),
    needed: knownActivation.needed,
  });
  const evidence = {
    depth: stored(countOf(tensors, 'encoder.block'), 'encoder.block.*'),
    decoder_depth: stored(countOf(tensors, 'decoder.block'), 'decoder.block.*'),
    dim: stored(dim, 'shared.weight'),
    heads: stored(heads, biasOf('encoder', 0)),
    head_dim: stored(inner / heads, `${attentionOf('encoder', 0)}.q.weight`),
    mlp_dim: stored(hidden, wide),
    activation: { ...said, value: activationIn(said.value) },
    eps: untold<number>(found, 'eps', {
      config: ['layer_norm_epsilon'],
      byClass: 1e-6,
      published: 1e-6,
      ...aboveZero,
    }),
    buckets: stored(buckets, biasOf('encoder', 0)),
    farthest: untold<number>(found, 'farthest', {
      config: ['relative_attention_max_distance'],
      byClass: 128,
      published: 128,
      ...aboveZero,
    }),
    outputs_scaled: scaledOutputs(found),
    vocabulary: stored(vocabulary, 'shared.weight'),
  };
  const { depth, decoder_depth: decoderDepth } = evidence;
  return {
    label: 't5',
    title: `${isMultilingual(found) ? 'mT5' : isGated ? 'T5 v1.1' : 'T5'}, ${depth.value} + ${decoderDepth.value} layers of ${dim}`,
    evidence,
    config: {
      depth: depth.value,
      decoderDepth: decoderDepth.value,
      heads,
      activation: evidence.activation.value,
      eps: evidence.eps.value,
      farthest: evidence.farthest.value,
      scaled: evidence.outputs_scaled.value,
    },
    reading: { task: 'translate' },
    lengths: { text: countedText, decoder: countedTokens },
  };
}

/** mT5 (Xue et al. 2021) has T5's names; its class has other defaults, and never scales outputs. */
const isMultilingual = ({ found: { checkpoint } }: FoundModel): boolean =>
  checkpoint.sidecars.config?.['model_type'] === 'mt5';

/**
 * Whether outputs are scaled before they are scored: config.json says so where it says that one
 * table reads and scores words (transformers, T5Config).
 */
function scaledOutputs(found: FoundModel) {
  if (isMultilingual(found)) return stored(false, 'mT5 never does');
  const tied = found.found.checkpoint.sidecars.config?.['tie_word_embeddings'];
  const hasHead = found.tensors.has('lm_head.weight');
  const otherwise =
    typeof tied === 'boolean'
      ? stored(tied, 'config.json: tie_word_embeddings')
      : found.found.checkpoint.sidecars.config
        ? stored(true, 'the default of its class, which config.json leaves')
        : assumed(!hasHead, `as published with${hasHead ? '' : 'out'} an lm_head; not stored in the weights`);
  return settle<boolean>(found, 'outputs_scaled', {
    config: ['scale_decoder_outputs'],
    otherwise,
    ...trueOrFalse,
  });
}

/** `wo · act(wi · x)`, or with a gate `wo · (act(wi_0 · x) · wi_1 · x)` (Shazeer 2020). */
function dense(b: GraphBuilder, x: ValueInfo, activation: string): ValueInfo {
  if (!b.has('wi_0.weight')) return b.linear(activate(b, b.linear(x, 'wi'), activation), 'wo');
  const gate = activate(b, b.linear(x, 'wi_0'), activation);
  return b.linear(b.add('Mul', [gate, b.linear(x, 'wi_1')]), 'wo');
}

/** A branch with its norm in front and the sum behind; `layer.N` of a block. */
function branch(
  b: GraphBuilder,
  tokens: Tokens,
  { layer, eps }: { readonly layer: number; readonly eps: number },
  write: (tokens: Tokens) => ValueInfo,
): Tokens {
  const made = b.scope(`layer.${layer}`, () =>
    write(withValue(tokens, b.rmsNorm(tokens.value, 'layer_norm', eps))),
  );
  return withValue(tokens, residual(b, tokens.value, made));
}

/** Biases `[1, heads, queries, keys]`: rows `[queries, keys]` of a table `[buckets, heads]`. */
function biases(b: GraphBuilder, table: string, rows: ValueInfo): ValueInfo {
  const [queries = 1, keys = 1] = rows.shape;
  return b.shared(`biases ${table} ${rows.name}`, () => {
    const found = b.add('Gather', [b.parameter(table), b.reshape(rows, [queries * keys])], { axis: int(0) });
    const [, heads = 1] = found.shape;
    return b.reshape(b.transpose(found, [1, 0]), [1, heads, queries, keys]);
  });
}

/** Rows of the encoder's table for every pair of tokens. */
function encoderRows(b: GraphBuilder, count: number, buckets: Buckets): ValueInfo {
  const data = new BigInt64Array(room(count * count));
  for (let query = 0; query < count; query++)
    for (let key = 0; key < count; key++) data[query * count + key] = BigInt(bucketOf(query - key, buckets));
  return b.shared(`buckets ${count}`, () => b.constant('/buckets', 'I64', [count, count], data));
}

/** Rows of the decoder's table by how far keys stand before their queries. */
function decoderRows(b: GraphBuilder, before: ValueInfo, places: number, buckets: Buckets): ValueInfo {
  const [queries = 1, keys = 1] = before.shape;
  return b.shared('buckets of the decoder', () => {
    const all = BigInt64Array.from({ length: placesRoom(places) }, (_, distance) =>
      BigInt(bucketOf(distance, buckets)),
    );
    const table = b.constant('/buckets', 'I64', [places], all);
    const rows = b.add('Gather', [table, b.reshape(before, [queries * keys])], { axis: int(0) });
    return b.reshape(rows, [queries, keys]);
  });
}

/** The blocks of a side: what each attends with is `own`, and `other` where it has another. */
interface Stack {
  readonly side: Side;
  readonly depth: number;
  readonly kind: 'self' | 'causal';
  readonly rows: ValueInfo;
  readonly state?: Tokens;
  readonly attention: Omit<DecoderAttention, 'projections' | 'kind'>;
}

function blocks(
  b: GraphBuilder,
  { activation, eps }: T5Config,
  embedded: Tokens,
  { side, depth, kind, rows, state, attention }: Stack,
): Tokens {
  let tokens = embedded;
  for (let index = 0; index < depth; index++) {
    // All blocks use the first one's table, but those that have their own.
    const table = b.has(biasOf(side, index)) ? biasOf(side, index) : biasOf(side, 0);
    const bias = biases(b, table, rows);
    const attending = { ...attention, projections, scale: 1 };
    tokens = b.scope(
      `${side}.block.${index}`,
      () => {
        const own = branch(b, tokens, { layer: 0, eps }, (asking) =>
          ownAttention(b, 'SelfAttention', asking, { ...attending, kind, biases: [bias] }),
        );
        const seen = state
          ? branch(b, own, { layer: 1, eps }, (asking) =>
              otherAttention(b, 'EncDecAttention', asking, state, attending),
            )
          : own;
        return branch(b, seen, { layer: state ? 2 : 1, eps }, ({ value }) =>
          b.scope('DenseReluDense', () => dense(b, value, activation)),
        );
      },
      { title: side === 'encoder' ? 'Encoder layer' : 'Decoder layer' },
    );
  }
  return tokens;
}

const bucketsOf = (b: GraphBuilder, side: Side, farthest: number): Buckets => ({
  count: b.shapeOf(biasOf(side, 0))[0] ?? 1,
  farthest,
  bothWays: side === 'encoder',
});

const wordsOf = (b: GraphBuilder, ids: ValueInfo): Tokens => {
  const [batch = 1, count = 1] = ids.shape;
  const value = wordEmbedding(b, ids, 'shared.weight');
  return { value, batch, count, layout: { special: [], sequence: count } };
};

function encoder(b: GraphBuilder, config: T5Config, context: ModelContext): void {
  const sequences = sequencesOf(context);
  const { ids, padding } = sourceText(b, sequences);
  const tokens = blocks(b, config, wordsOf(b, fromTheFirst(b, ids).ids), {
    side: 'encoder',
    depth: config.depth,
    kind: 'self',
    rows: encoderRows(b, sequences.text, bucketsOf(b, 'encoder', config.farthest)),
    attention: { heads: config.heads, memory: allTokens([padding]) },
  });
  encoded(b, withValue(tokens, b.rmsNorm(tokens.value, 'encoder.final_layer_norm', config.eps)));
}

function decoder(b: GraphBuilder, config: T5Config, context: ModelContext): void {
  const { heads, eps, scaled } = config;
  const [, width = 1] = b.shapeOf('shared.weight');
  const { placed, memory, answer, state, places } = decoding(b, context, width);
  const buckets = bucketsOf(b, 'decoder', config.farthest);
  const tokens = blocks(b, config, wordsOf(b, placed.ids), {
    side: 'decoder',
    depth: config.decoderDepth,
    kind: 'causal',
    rows: decoderRows(b, placed.distances(), places, buckets),
    state,
    attention: { heads, memory },
  });
  answer(tokens, (rows) => {
    const normed = b.rmsNorm(rows, 'decoder.final_layer_norm', eps);
    const sized = scaled ? b.add('Mul', [normed, b.scalar(last(normed.shape) ** -0.5)]) : normed;
    return b.linear(sized, b.has('lm_head.weight') ? 'lm_head' : 'shared', { bias: false });
  });
}

/** T5 (Raffel et al. 2020) and its version 1.1 with gated layers (Shazeer 2020). */
export const t5: Standalone<T5Config> = {
  standalone: true,
  name: 't5',
  row: 'seq2seq',
  title: 'T5',
  task: 'translate',
  library: transformersLibrary,
  modelTypes: ['t5', 'mt5'],
  signature: [
    'shared.weight',
    biasOf('encoder', 0),
    biasOf('decoder', 0),
    'decoder.block.0.layer.1.EncDecAttention.q.weight',
  ],
  assumable: ['activation', 'eps', 'farthest', 'outputs_scaled'],
  tied: { kept: 'shared.weight', copies: /^(?:encoder|decoder)\.embed_tokens\.weight$/ },
  // Files of the first version hold a table that its cross-attention does not read.
  idle: /^decoder\.block\.0\.layer\.1\.EncDecAttention\.relative_attention_bias\.weight$/,
  recognise,
  parts: [
    { name: 'text', build: encoder },
    { name: 'decoder', build: decoder },
  ],
};
