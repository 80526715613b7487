import type { Writing } from '../../domain/reading';
import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import {
  allTokens,
  fromTheFirst,
  otherAttention,
  ownAttention,
  placedWords,
  separateProjections,
  stateInput,
  type Memory,
  type Placed,
} from '../blocks/decoding';
import { bertProjections } from '../blocks/bert';
import { activate, withValue, type Tokens } from '../blocks/layers';
import { sequence } from '../blocks/maps';
import { decodingOf } from '../blocks/passes';
import { postNorm } from '../blocks/projectedAttention';
import type { TokenMaps } from '../blocks/stages';
import { paddingMask } from '../blocks/textTower';
import { countOf, shapeOf } from '../decide';
import { configOf, stored } from '../evidence';
import {
  backboneTitle,
  headsOfWhole,
  type FoundWhole,
  type PartContext,
  type RecognisedWhole,
  type Whole,
} from '../whole';
import {
  countedTokens,
  decoderActivation,
  decoderAssumable,
  decoderEps,
  type DecoderConfig,
} from './imageToText';

/** What BLIP's texts are written by: those of question and answer have the same widths. */
interface BlipConfig extends Omit<DecoderConfig, 'decoder_scaled'> {
  /** Layers of the question's encoder; none of a captioner. */
  readonly questionDepth: number;
}

const decoderPath = 'text_decoder.bert';
const questionPath = 'text_encoder';
const questionLayer = `${questionPath}.encoder.layer.0.crossattention.self.query.weight`;
const words = `${decoderPath}.embeddings.word_embeddings.weight`;
const places = `${decoderPath}.embeddings.position_embeddings.weight`;

/**
 * Words of the published models: BERT's and two more. Their special tokens are the library's
 * defaults, which a config.json may leave out (transformers, BlipTextConfig).
 */
const publishedWords = 30524;
const publishedTokens = { bos_token_id: 30522, sep_token_id: 102, pad_token_id: 0 };

/** The end of the hyper-parameters that a BERT leaves open: its widths tell the rest. */
function recognise(found: FoundWhole): RecognisedWhole<BlipConfig> {
  const [vocabulary = 0, dim = 0] = shapeOf(found.tensors, words);
  const [context = 0] = shapeOf(found.tensors, places);
  const questionDepth = countOf(found.tensors, `${questionPath}.encoder.layer`);
  const evidence = {
    decoder_depth: stored(
      countOf(found.tensors, `${decoderPath}.encoder.layer`),
      `${decoderPath}.encoder.layer.*`,
    ),
    decoder_dim: stored(dim, words),
    decoder_heads: headsOfWhole(found, 'decoder_heads', dim, {
      config: ['text_config.num_attention_heads'],
      perHead: 64,
    }),
    decoder_activation: decoderActivation(found, ['text_config.hidden_act'], 'gelu'),
    decoder_eps: decoderEps(found, ['text_config.layer_norm_eps'], 1e-12),
    ...(questionDepth > 0 && {
      text_depth: stored(questionDepth, `${questionPath}.encoder.layer.*`),
    }),
    vocabulary: stored(vocabulary, words),
    context: stored(context, places),
  };
  const writing: Writing = {
    positions: context,
    prompt: 'special',
    section: 'text_config',
    end: 'sep_token_id',
    ...(vocabulary === publishedWords && { defaults: publishedTokens }),
  };
  return {
    label: 'blip',
    title: `BLIP ${questionDepth > 0 ? 'for questions' : 'for captions'} around ${backboneTitle(found)}`,
    evidence,
    config: { ...configOf(evidence), questionDepth },
    reading: questionDepth > 0 ? { task: 'ask', context, writing } : { task: 'caption', writing },
    lengths: questionDepth > 0 ? { text: context, decoder: countedTokens } : { text: countedTokens },
    bounds: { text: { most: context }, decoder: { most: context } },
  };
}

const imageState = 'image_embeds';
const questionState = 'question_embeds';
const projections = separateProjections(bertProjections);

function image(b: GraphBuilder, _: BlipConfig, { backbone }: PartContext): void {
  const { tokens } = backbone() as TokenMaps;
  b.output(imageState, sequence(b, tokens), 'state');
  b.output('tokens', sequence(b, tokens), 'tokens');
}

/** What a BERT of BLIP's reads, and how its tokens attend to one another. */
interface Given {
  readonly placed: Placed;
  /** What its cross-attention looks at. */
  readonly state: Tokens;
  readonly memory: Memory;
  readonly kind: 'self' | 'causal';
}

/**
 * BERT's layers with an attention to a state behind each self-attention (Li et al. 2022, fig. 2);
 * parameters below `path`.
 */
function bert(
  b: GraphBuilder,
  path: string,
  depth: number,
  { decoder_heads: heads, decoder_activation: activation, decoder_eps: eps }: BlipConfig,
  { placed, state, memory, kind }: Given,
): Tokens {
  const attention = { heads, projections, memory, kind, layer: 'self' };
  const normed = (x: ValueInfo, branch: ValueInfo, name: string): ValueInfo =>
    postNorm(b, x, branch, `${name}.LayerNorm`, eps);
  let tokens = b.scope(path, () => {
    const embedded = placedWords(b, placed, [
      'embeddings.word_embeddings.weight',
      'embeddings.position_embeddings.weight',
    ]);
    return withValue(embedded, b.layerNorm(embedded.value, 'embeddings.LayerNorm', eps));
  });
  const layer = (): Tokens => {
    const own = ownAttention(b, 'attention', tokens, attention);
    const first = withValue(tokens, normed(tokens.value, own, 'attention.output'));
    const other = otherAttention(b, 'crossattention', first, state, attention);
    const second = normed(first.value, other, 'crossattention.output');
    const wide = activate(b, b.linear(second, 'intermediate.dense'), activation);
    return withValue(tokens, normed(second, b.linear(wide, 'output.dense'), 'output'));
  };
  for (let index = 0; index < depth; index++)
    tokens = b.scope(`${path}.encoder.layer.${index}`, layer, {
      title: kind === 'causal' ? 'Decoder layer' : 'Text layer',
    });
  return tokens;
}

/** Scores of all words, by the table that they are read with or one of the file's own. */
const scoresOfWords =
  (b: GraphBuilder, { decoder_activation: activation, decoder_eps: eps }: BlipConfig) =>
  (rows: ValueInfo): ValueInfo => {
    const head = 'text_decoder.cls.predictions';
    const dense = activate(b, b.linear(rows, `${head}.transform.dense`), activation);
    const normed = b.layerNorm(dense, `${head}.transform.LayerNorm`, eps);
    const own = `${head}.decoder`;
    const table = b.has(`${own}.weight`) ? own : `${decoderPath}.embeddings.word_embeddings`;
    const bias = b.has(`${own}.bias`) ? `${own}.bias` : `${head}.bias`;
    return b.add('Add', [b.linear(normed, table, { bias: false }), b.parameter(bias)]);
  };

/** Tokens of a text, as many as are given. */
const textCount = ({ lengths }: PartContext): number => lengths['text'] ?? countedTokens;

/** What hides the padding of a text. */
const textPadding = (b: GraphBuilder, context: PartContext): ValueInfo =>
  paddingMask(b, b.input('attention_mask', [context.batch, textCount(context)], 'I64'));

function captionDecoder(b: GraphBuilder, config: BlipConfig, context: PartContext): void {
  const state = stateInput(b, imageState, context.imageTokens());
  const { placed, memory, answer } = decodingOf(b, context, {
    ids: 'input_ids',
    count: textCount(context),
    padding: () => [[textPadding(b, context)]],
  });
  const given: Given = { placed, state, memory, kind: 'causal' };
  answer(bert(b, decoderPath, config.decoder_depth, config, given), scoresOfWords(b, config));
}

function question(b: GraphBuilder, config: BlipConfig, context: PartContext): void {
  const state = stateInput(b, imageState, context.imageTokens());
  const placed = fromTheFirst(b, b.input('input_ids', [context.batch, textCount(context)], 'I64'));
  const memory = allTokens([textPadding(b, context)]);
  const given: Given = { placed, state, memory, kind: 'self' };
  const tokens = bert(b, questionPath, config.questionDepth, config, given);
  b.output(questionState, sequence(b, tokens), 'state');
}

function answerDecoder(b: GraphBuilder, config: BlipConfig, context: PartContext): void {
  const { batch, lengths } = context;
  const asked = textCount(context);
  const width = b.shapeOf(`${questionPath}.embeddings.word_embeddings.weight`)[1] ?? 1;
  const layout = { special: [], sequence: asked };
  const state = stateInput(b, questionState, { batch, count: asked, width, layout });
  const { placed, memory, answer } = decodingOf(b, context, {
    ids: 'decoder_input_ids',
    count: lengths['decoder'] ?? countedTokens,
    padding: () => [[], [textPadding(b, context)]],
  });
  const given: Given = { placed, state, memory, kind: 'causal' };
  answer(bert(b, decoderPath, config.decoder_depth, config, given), scoresOfWords(b, config));
}

const common = {
  row: 'caption',
  task: 'caption',
  isTower: true,
  assumable: decoderAssumable,
  recognise,
} as const;

/** BLIP (Li et al. 2022) that answers questions: an image, a question that sees it, an answer. */
export const blipForQuestions: Whole<BlipConfig> = {
  ...common,
  name: 'blip-questions',
  task: 'ask',
  title: 'BLIP for questions',
  signature: [words, places, questionLayer],
  parts: [
    { name: 'image', build: image },
    { name: 'text', build: question },
    { name: 'decoder', build: answerDecoder },
  ],
};

/** BLIP (Li et al. 2022) that describes an image. */
export const blip: Whole<BlipConfig> = {
  ...common,
  name: 'blip',
  title: 'BLIP for captions',
  signature: [words, places, `${decoderPath}.encoder.layer.0.crossattention.self.query.weight`],
  absent: [questionLayer],
  parts: [
    { name: 'image', build: image },
    { name: 'decoder', build: captionDecoder },
  ],
};
