import { dtypes } from '../../checkpoint/tensors';
import { at, largest } from '../../domain/lists';
import type { GraphBuilder } from '../../graph/builder';
import { int, type ValueInfo } from '../../graph/graph';
import { phraseEnds } from '../../text/prompts';
import { bertEmbedding, bertLayers } from '../blocks/bert';
import { cellCentres, deformableAttention, tableOf } from '../blocks/deformableAttention';
import { branched, detrEps, detrMlp, type DetrLayer } from '../blocks/detrLayers';
import { fusedAttention, scaledResidual } from '../blocks/fusedAttention';
import { withValue, type Tokens } from '../blocks/layers';
import { phraseMask, type PhraseMask } from '../blocks/phrases';
import {
  asSequence,
  feedForward,
  linearLayers,
  placed,
  postNorm,
  projectedAttention,
} from '../blocks/projectedAttention';
import { sineOfPlaces } from '../blocks/sinePositions';
import { paddingMask, textLengths } from '../blocks/textTower';
import { shapeOf } from '../decide';
import { assumed, configOf, stored, type ConfigOf } from '../evidence';
import type { Evidence } from '../family';
import { settle, type FoundWhole, type PartContext, type Whole } from '../whole';
import {
  bestRows,
  boxLogits,
  chosenRows,
  deformableEncoderLayer,
  levelMaps,
  placedPyramid,
  pointsOf,
  proposals,
  type PlacedPyramid,
} from './deformableParts';
import {
  activationOf,
  ofFile,
  queryLayout,
  repeated,
  seenAs,
  sideOf,
  titleAround,
  transformerAssumable,
  transformerOf,
} from './detectors';
import { normedStages } from './maskFormer';
import { textAssumable, textTowerOf } from './textTowers';
import { room } from '../../graph/limits';

const backbonePath = 'model.backbone.conv_encoder.model';
const bert = 'model.text_backbone';
const queryTable = 'model.query_position_embeddings.weight';
const encoderOutput = 'model.enc_output.weight';
const learnedPoints = 'model.reference_points.weight';
const encoderBias = 'model.encoder_output_class_embed.bias';

/** How many boxes are asked for: rows of a table, else what nothing stores. */
function queriesOf(found: FoundWhole): Evidence<number> {
  const table = [queryTable, learnedPoints].find((name) => found.tensors.has(name));
  if (table !== undefined) return sideOf(found, table, 0);
  return settle<number>(found, 'queries', {
    config: ['num_queries'],
    otherwise: assumed(900, 'as published (Liu et al. 2023); not stored'),
    is: (value) => typeof value === 'number' && Number.isInteger(value) && value > 0,
    needed: 'a number above 0',
  });
}

/** A number of config.json, else as published. */
const publishedNumber = (found: FoundWhole, key: string, config: string, value: number): Evidence<number> =>
  settle<number>(found, key, {
    config: [config],
    otherwise: stored(value, 'as published (Liu et al. 2023)'),
    is: (each) => typeof each === 'number' && each > 0,
    needed: 'a number above 0',
  });

/** How BERT takes the mask of phrases: it hides what is outside of them, or adds 1 inside. */
const maskKinds = ['hides', 'adds'] as const;
type MaskKind = (typeof maskKinds)[number];

/**
 * Phrases are hidden from one another, as models are trained and as transformers runs them by
 * default. Its "eager" attention adds the mask's ones and zeros to the scores instead. The ids of
 * ends are fixed in its code: a vocabulary without them has no phrases, and with a mask that hides
 * no word would see another.
 */
function maskKindOf(found: FoundWhole): Evidence<MaskKind> {
  const [words = 0] = shapeOf(found.tensors, `${bert}.embeddings.word_embeddings.weight`);
  const hasEnds = words > largest(phraseEnds);
  return settle<MaskKind>(found, 'phrase_mask', {
    config: [],
    otherwise: hasEnds
      ? stored<MaskKind>('hides', 'as published (Liu et al. 2023, §3.4)')
      : assumed<MaskKind>('adds', `no ids that end phrases among ${words} words: as “eager” attention does`),
    is: (value) => maskKinds.some((kind) => kind === value),
    needed: maskKinds.join(' or '),
  });
}

function evidenceOf(found: FoundWhole) {
  const { tensors } = found;
  const levels = sideOf(found, 'model.level_embed', 0);
  const own = transformerOf(found, { dim: sideOf(found, 'model.level_embed', 1) });
  const twoStage = tensors.has(encoderOutput);
  return {
    ...own,
    queries: queriesOf(found),
    levels,
    points: pointsOf(
      found,
      'model.encoder.layers.0.deformable_layer.self_attn',
      own.heads.value,
      levels.value,
    ),
    decoder_points: pointsOf(
      found,
      'model.decoder.layers.0.encoder_attn',
      own.decoder_heads.value,
      levels.value,
    ),
    two_stage: stored(twoStage, twoStage ? ofFile(found, encoderOutput) : 'no output of the encoder'),
    activation: activationOf(found, 'Liu et al. 2023'),
    temperature: publishedNumber(found, 'temperature', 'positional_embedding_temperature', 20),
    most_tokens: publishedNumber(found, 'most_tokens', 'max_text_len', 256),
    phrase_mask: maskKindOf(found),
  };
}

type GroundingConfig = ConfigOf<ReturnType<typeof evidenceOf>> &
  Pick<ReturnType<typeof textTowerOf>, 'tower'>;

function recognise(found: FoundWhole): ReturnType<Whole<GroundingConfig>['recognise']> {
  const evidence = evidenceOf(found);
  const text = textTowerOf(found, {
    table: `${bert}.embeddings.word_embeddings.weight`,
    layers: `${bert}.encoder.layer`,
    projection: 'model.text_projection',
    masked: true,
    activation: 'gelu',
    eps: 1e-12,
    perHead: 64,
  });
  const isMm = found.tensors.has(encoderBias);
  const seen = seenAs(found, isMm ? 'mm-grounding-dino' : 'grounding-dino');
  const context = Math.min(evidence.most_tokens.value, text.evidence.context.value);
  return {
    ...seen,
    label: isMm ? 'mm-grounding-dino' : 'grounding_dino',
    title: titleAround(isMm ? 'MM Grounding DINO' : 'Grounding DINO', found),
    evidence: { ...evidence, ...text.evidence, ...seen.evidence },
    config: { ...configOf(evidence), tower: text.tower },
    reading: { task: 'detect', rule: 'phrases', texts: { context, padding: 'longest' } },
    sizeStep: [1, 1],
    lengths: { texts: 1, text: context },
    bounds: { text: { most: context } },
  };
}

/** Words as the encoder and the decoder read them. */
interface Words extends PhraseMask {
  readonly tokens: Tokens;
  /** 1 where a token is none of the padding, `[texts, text]`. */
  readonly given: ValueInfo;
  /** Added to scores of padding, `[texts, 1, 1, text]`. */
  readonly hidden: ValueInfo;
}

/** BERT, in which phrases do not see one another (Liu et al. 2023, §3.4). */
function readWords(
  b: GraphBuilder,
  { tower, phrase_mask }: GroundingConfig,
  { lengths }: PartContext,
): Words {
  const shape = textLengths(lengths);
  const ids = b.input('input_ids', [shape.texts, shape.text], 'I64');
  const given = b.input('attention_mask', [shape.texts, shape.text], 'I64');
  const phrases = b.scope('model.phrases', () => phraseMask(b, ids, phraseEnds));
  const mask = phrase_mask === 'hides' ? phrases.mask : phrases.seen;
  const tokens = b.scope(bert, () =>
    bertLayers(b, bertEmbedding(b, ids, shape, tower.eps, phrases.places), tower, [mask]),
  );
  return {
    ...phrases,
    tokens: withValue(tokens, b.linear(tokens.value, 'model.text_projection')),
    given,
    hidden: paddingMask(b, given),
  };
}

const attentionNames = ['query', 'key', 'value', 'out_proj'] as const;

/** Self-attention of words inside their phrases, norms behind the branches. */
function enhanced(b: GraphBuilder, words: Words, dim: number, layer: DetrLayer): Tokens {
  const { tokens, places, mask } = words;
  const rows = b.reshape(b.add('Cast', [places], { to: int(dtypes.F32.onnx) }), [at(places.shape, 0), 1]);
  const positions = b.shared('places of words', () => sineOfPlaces(b, rows, dim, { rowsFirst: false }));
  const here = placed(b, tokens, positions);
  const mixed = projectedAttention(
    b,
    'self_attn',
    { queries: here, keys: here, values: tokens },
    { heads: layer.heads, kind: 'self', bias: mask, names: attentionNames },
  );
  const attended = postNorm(b, tokens.value, mixed, 'layer_norm_before', detrEps);
  const fed = feedForward(b, attended, layer.activation);
  return withValue(tokens, postNorm(b, attended, fed, 'layer_norm_after', detrEps));
}

/** Image and words, each normed and given of the other (Liu et al. 2023, §3.2, figure 3). */
function fused(b: GraphBuilder, image: Tokens, { tokens, hidden }: Words, heads: number) {
  const normed = {
    image: withValue(image, b.layerNorm(image.value, 'layer_norm_vision', detrEps)),
    text: withValue(tokens, b.layerNorm(tokens.value, 'layer_norm_text', detrEps)),
  };
  const told = fusedAttention(b, 'attn', { ...normed, hidden }, heads);
  return {
    image: scaledResidual(b, normed.image, told.image, 'vision_param'),
    text: scaledResidual(b, normed.text, told.text, 'text_param'),
  };
}

/** The encoder: fusion, words among themselves, and places of the image around their own. */
function encode(
  b: GraphBuilder,
  { pyramid, positions }: PlacedPyramid,
  words: Words,
  { depth, heads, activation, dim }: GroundingConfig,
): { readonly image: Tokens; readonly words: Words } {
  const { grids, tokens } = pyramid;
  const references = tableOf(b, 'model.encoder.places', cellCentres(grids), 2, tokens.batch);
  const layer = { heads, activation, order: 'post', sampling: { heads, grids } } as const;
  const half = { ...layer, heads: heads / 2 };
  let [image, text] = [tokens, words];
  for (let index = 0; index < depth; index++)
    b.scope(
      `model.encoder.layers.${index}`,
      () => {
        const both = b.scope('fusion_layer', () => fused(b, image, text, half.heads));
        text = { ...text, tokens: both.text };
        text = { ...text, tokens: b.scope('text_enhancer_layer', () => enhanced(b, text, dim, half)) };
        image = b.scope('deformable_layer', () =>
          deformableEncoderLayer(b, both.image, { positions, references }, layer),
        );
        return image;
      },
      { title: 'Encoder layer' },
    );
  return { image, words: text };
}

/**
 * How much each row is of each token: their product, −∞ for padding and beyond the words (Liu et
 * al. 2023, §3.3); with a bias and 1/√d in MM Grounding DINO. `[batch · rows, tokens]`
 */
function likeness(b: GraphBuilder, rows: ValueInfo, words: Words, bias: string): ValueInfo {
  const { tokens, given } = words;
  const { batch, count } = tokens;
  const dim = at(rows.shape, 1);
  // Scaled before the product, which learned queries enter as rows: it is no linear layer of
  // theirs.
  const scaled = b.add('Mul', [rows, b.scalar(b.has(bias) ? 1 / Math.sqrt(dim) : 1)]);
  const keys = b.transpose(b.reshape(tokens.value, [batch, count, dim]), [0, 2, 1]);
  const products = b.add('MatMul', [asSequence(b, scaled, batch), keys]);
  const scores = b.has(bias) ? b.add('Add', [products, b.parameter(bias, [1])]) : products;
  const isGiven = b.shared('words are given', () =>
    b.reshape(b.add('Cast', [given], { to: int(dtypes.BOOL.onnx) }), [batch, 1, count]),
  );
  return b.add('Where', [isGiven, scores, b.scalar(-Infinity)]);
}

/** What the decoder starts with. */
interface Start {
  readonly queries: ValueInfo;
  readonly references: ValueInfo;
}

/** Queries at the encoder's places that are most like any word (Liu et al. 2023, §3.3). */
function chosenStart(
  b: GraphBuilder,
  { pyramid: { grids } }: PlacedPyramid,
  { image, words }: { readonly image: Tokens; readonly words: Words },
  { queries }: GroundingConfig,
): Start {
  const { batch } = image;
  const [boxes, counts] = proposals(grids);
  const kept = b.add('Mul', [image.value, tableOf(b, 'model.proposals.counts', counts, 1, batch)]);
  const states = b.layerNorm(b.linear(kept, 'model.enc_output'), 'model.enc_output_norm', detrEps);
  const scores = likeness(b, states, words, encoderBias);
  const told = b.add('Add', [
    linearLayers(b, states, 'model.encoder_output_bbox_embed'),
    tableOf(b, 'model.proposals', boxes, 4, batch),
  ]);
  const most = b.add('ReduceMax', [scores, b.indices([2])], { keepdims: int(0) });
  const best = bestRows(b, most, Math.min(queries, image.count));
  return {
    queries: b.has(queryTable) ? repeated(b, b.parameter(queryTable), batch) : chosenRows(b, states, best),
    references: b.add('Sigmoid', [chosenRows(b, told, best)]),
  };
}

/** Learned queries and boxes. */
const learnedStart = (b: GraphBuilder, batch: number): Start => ({
  queries: repeated(b, b.parameter(queryTable), batch),
  references: b.add('Sigmoid', [repeated(b, b.parameter(learnedPoints), batch)]),
});

/** What a decoder layer reads beside its queries. */
interface Around {
  readonly image: Tokens;
  readonly words: Words;
  readonly positions: ValueInfo;
  readonly references: ValueInfo;
}

/** A decoder layer: queries among themselves, at the words, at places of the image. */
function decoderLayer(
  b: GraphBuilder,
  queries: Tokens,
  { image, words, positions, references }: Around,
  layer: DetrLayer & { readonly grids: PlacedPyramid['pyramid']['grids'] },
): Tokens {
  const { heads, order, grids } = layer;
  const how = { heads, names: attentionNames } as const;
  const among = branched(b, queries.value, 'self_attn_layer_norm', order, (x) => {
    const values = withValue(queries, x);
    const here = placed(b, values, positions);
    return projectedAttention(
      b,
      'self_attn',
      { queries: here, keys: here, values },
      { ...how, kind: 'self' },
    );
  });
  const read = branched(b, among, 'encoder_attn_text_layer_norm', order, (x) => {
    const asked = placed(b, withValue(queries, x), positions);
    const attended = { queries: asked, keys: words.tokens };
    return projectedAttention(b, 'encoder_attn_text', attended, {
      ...how,
      kind: 'cross',
      bias: words.hidden,
    });
  });
  const seen = branched(b, read, 'encoder_attn_layer_norm', order, (x) => {
    const asked = placed(b, withValue(queries, x), positions);
    return deformableAttention(b, 'encoder_attn', { queries: asked, image, references }, { heads, grids });
  });
  return withValue(queries, detrMlp(b, seen, layer));
}

/** The box head of a layer: its own, at the top or at the decoder, or the one that all share. */
const boxHeadIn = (b: GraphBuilder, layer: number): string =>
  [`bbox_embed.${layer}`, `model.decoder.bbox_embed.${layer}`].find((name) =>
    b.has(`${name}.layers.0.weight`),
  ) ?? 'bbox_embed.0';

function build(b: GraphBuilder, config: GroundingConfig, context: PartContext): void {
  const { batch } = context;
  // Words are read first: the order of the library's own pass.
  const words = readWords(b, config, context);
  const stages = normedStages(b, context.backbone(), backbonePath);
  const levels = levelMaps(b, stages, 'model.input_proj_vision', config);
  const memory = placedPyramid(b, levels, { normalise: true, temperature: config.temperature });
  const { grids } = memory.pyramid;
  const encoded = encode(b, memory, words, config);
  const start = config.two_stage ? chosenStart(b, memory, encoded, config) : learnedStart(b, batch);
  const count = at(start.queries.shape, 0) / batch;
  if (config.two_stage) {
    const scored = likeness(b, start.queries, words, encoderBias);
    b.output('encoder_logits', scored, 'state');
  }
  let queries: Tokens = { value: start.queries, batch, count, layout: queryLayout(count) };
  let { references } = start;
  const layer = { heads: config.decoder_heads, activation: config.activation, order: 'post', grids } as const;
  for (let index = 0; index < config.decoder_depth; index++) {
    const sines = sineOfPlaces(b, references, config.dim / 2);
    const positions = linearLayers(b, sines, 'model.decoder.reference_points_head');
    queries = b.scope(
      `model.decoder.layers.${index}`,
      () => decoderLayer(b, queries, { ...encoded, positions, references }, layer),
      { title: 'Decoder layer' },
    );
    const isLast = index === config.decoder_depth - 1;
    const suffix = isLast ? '' : `.${index}`;
    // The library reads words and boxes off every layer, the last of which are the answer.
    const normed = b.layerNorm(queries.value, 'model.decoder.layer_norm', detrEps);
    const scores = likeness(b, normed, encoded.words, `class_embed.${index}.bias`);
    const head = boxHeadIn(b, index);
    const boxes = b.add('Sigmoid', [boxLogits(b, normed, head, references)]);
    b.output(`logits${suffix}`, padded(b, scores, config.most_tokens), isLast ? 'logits' : 'state');
    b.output(`pred_boxes${suffix}`, asSequence(b, boxes, batch), isLast ? 'boxes' : 'state');
    references = b.add('Sigmoid', [boxLogits(b, queries.value, head, references)]);
  }
  b.output('next_reference_points', asSequence(b, references, batch), 'state');
}

/** Scores of tokens, and −∞ for as many more as a text may have. */
function padded(b: GraphBuilder, scores: ValueInfo, most: number): ValueInfo {
  const [batch = 1, rows = 0, count = 0] = scores.shape;
  if (count >= most) return scores;
  const none = new Float32Array(room(batch * rows * (most - count))).fill(-Infinity);
  return b.concat([scores, b.constant('/no_words', 'F32', [batch, rows, most - count], none)], 2);
}

/**
 * Grounding DINO (Liu et al. 2023): a detector that finds what the phrases of a text say, image and
 * words joined at every layer of its encoder; and MM Grounding DINO (Zhao et al. 2024).
 */
export const groundingDino: Whole<GroundingConfig> = {
  name: 'grounding-dino',
  row: 'detr',
  title: 'Grounding DINO',
  task: 'detect',
  signature: [
    'model.level_embed',
    'model.input_proj_vision.0.0.weight',
    'model.encoder.layers.0.fusion_layer.attn.vision_proj.weight',
    'model.decoder.layers.0.encoder_attn_text.query.weight',
    `${bert}.embeddings.word_embeddings.weight`,
  ],
  masksPixels: true,
  assumable: [
    ...transformerAssumable,
    ...textAssumable,
    'queries',
    'temperature',
    'most_tokens',
    'phrase_mask',
  ],
  // Swin's last norm and BERT's pooler answer nothing here.
  idle: /^model\.(?:backbone\.conv_encoder\.model\.swin\.layernorm|text_backbone\.pooler)\./,
  recognise,
  parts: [{ name: 'whole', build }],
};
