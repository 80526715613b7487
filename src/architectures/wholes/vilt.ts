import { at } from '../../domain/lists';
import type { GraphBuilder } from '../../graph/builder';
import { int, type ValueInfo } from '../../graph/graph';
import { activate, residual, withValue, type Tokens } from '../blocks/layers';
import { mapToTokens, sequence } from '../blocks/maps';
import { projectedAttention } from '../blocks/projectedAttention';
import { resampled } from '../blocks/positions';
import { learnedToken, tokenAt, withClassToken } from '../blocks/specialTokens';
import { paddingMask, textPositions, wordEmbedding } from '../blocks/textTower';
import { shapeOf } from '../decide';
import { stored } from '../evidence';
import { settle, type FoundWhole, type PartContext, type Whole } from '../whole';
import { countedTokens } from './imageToText';
import { room } from '../../graph/limits';

interface ViltConfig {
  readonly depth: number;
  readonly heads: number;
  readonly activation: string;
  readonly eps: number;
  /** Rows and columns of the patches that the table of positions is made for. */
  readonly grid: readonly [number, number];
  readonly patch: readonly [number, number];
}

const at0 = 'vilt.embeddings';
const words = `${at0}.text_embeddings.word_embeddings.weight`;
const places = `${at0}.text_embeddings.position_embeddings.weight`;
const kinds = `${at0}.text_embeddings.token_type_embeddings.weight`;
const modalities = `${at0}.token_type_embeddings.weight`;
const positions = `${at0}.position_embeddings`;
const projection = `${at0}.patch_embeddings.projection`;
/** The classifier's norm has torch's own epsilon. */
const classifierEps = 1e-5;

const pair = (value: unknown): readonly [number, number] => {
  const [rows = 1, columns = rows] = [value].flat().map(Number);
  return [rows, columns];
};

function recognise(found: FoundWhole): ReturnType<Whole<ViltConfig>['recognise']> {
  const [vocabulary = 0] = shapeOf(found.tensors, words);
  const [context = 0] = shapeOf(found.tensors, places);
  const [classes = 0] = shapeOf(found.tensors, 'classifier.3.weight');
  const known = found.backbone.evidence;
  const activation = settle<string>(found, 'activation', {
    config: ['hidden_act'],
    otherwise: stored(String(known['activation']?.value ?? 'gelu'), 'as a plain transformer has it'),
  });
  return {
    label: 'vilt',
    title: found.backbone.title.replace(/^ViT-(.*?), image backbone of .*$/, 'ViLT-$1'),
    evidence: {
      classes: stored(classes, 'classifier.3.weight'),
      vocabulary: stored(vocabulary, words),
      context: stored(context, places),
      resampling: stored('bilinear, corners aligned', 'as Hugging Face transformers does'),
    },
    config: {
      depth: Number(known['depth']?.value),
      heads: Number(known['heads']?.value),
      activation: activation.value,
      eps: Number(known['eps']?.value),
      grid: pair(known['grid']?.value),
      patch: pair(known['patch']?.value),
    },
    reading: { task: 'ask', context },
    lengths: { text: context },
    bounds: { text: { most: context } },
  };
}

/** A row of the table that tells words (0) from patches (1), added to all tokens. */
const ofModality = (b: GraphBuilder, tokens: Tokens, row: number): Tokens =>
  withValue(tokens, b.add('Add', [tokens.value, b.slice(b.parameter(modalities), 0, row, row + 1)]));

/** Words, their kinds and places, normed together (Kim et al. 2021, §3.1). */
function embeddedWords(
  b: GraphBuilder,
  { eps }: ViltConfig,
  [ids, types]: readonly [ids: ValueInfo, types: ValueInfo],
): Tokens {
  const [batch, count] = [at(ids.shape, 0), at(ids.shape, 1)];
  const typed = b.add('Add', [wordEmbedding(b, ids, words), wordEmbedding(b, types, kinds)]);
  const placed = b.add('Add', [typed, textPositions(b, places, { texts: batch, text: count })]);
  const value = b.layerNorm(placed, `${at0}.text_embeddings.LayerNorm`, eps);
  return { value, batch, count, layout: { special: [], sequence: count } };
}

/** Patches with the class token before them, and the places of a table that is resized for them. */
function embeddedPatches(b: GraphBuilder, { grid, patch }: ViltConfig, pixels: ValueInfo): Tokens {
  const map = b.conv2d(pixels, projection, { stride: patch });
  const patches = mapToTokens(b, map);
  const batch = patches.batch;
  const tokens = withClassToken(b, learnedToken(b, `${at0}.cls_token`, batch), patches);
  const table = b.parameter(positions);
  const rows = at(table.shape, 1);
  const own = [at(map.shape, 2), at(map.shape, 3)] as const;
  const resized = resampled(b, b.slice(table, 1, 1, rows), grid, own, 'bilinear, corners aligned');
  const all = b.concat([b.slice(table, 1, 0, 1), resized], 1);
  const placed = b.add('Add', [sequence(b, tokens), all]);
  return withValue(tokens, b.reshape(placed, [batch * tokens.count, at(table.shape, 2)]));
}

/** A pre-norm layer of words and patches. */
function viltLayer(
  b: GraphBuilder,
  tokens: Tokens,
  { heads, activation, eps }: ViltConfig,
  mask: ValueInfo,
): Tokens {
  const normed = withValue(tokens, b.layerNorm(tokens.value, 'layernorm_before', eps));
  const mixed = projectedAttention(
    b,
    'attention',
    { queries: normed, keys: normed },
    {
      heads,
      kind: 'self',
      bias: mask,
      layer: 'attention',
      names: ['attention.query', 'attention.key', 'attention.value', 'output.dense'],
    },
  );
  const attended = residual(b, tokens.value, mixed);
  const wide = b.linear(b.layerNorm(attended, 'layernorm_after', eps), 'intermediate.dense');
  return withValue(tokens, residual(b, attended, b.linear(activate(b, wide, activation), 'output.dense')));
}

function build(b: GraphBuilder, config: ViltConfig, { imageSize, batch, lengths }: PartContext): void {
  const count = lengths['text'] ?? countedTokens;
  const channels = at(b.shapeOf(`${projection}.weight`), 1);
  const pixels = b.input('pixel_values', [batch, channels, ...imageSize]);
  const ids = b.input('input_ids', [batch, count], 'I64');
  const types = b.input('token_type_ids', [batch, count], 'I64');
  const mask = b.input('attention_mask', [batch, count], 'I64');
  const text = ofModality(b, embeddedWords(b, config, [ids, types]), 0);
  const image = ofModality(b, embeddedPatches(b, config, pixels), 1);
  const all = count + image.count;
  const together = b.concat([sequence(b, text), sequence(b, image)], 1);
  const ones = b.constant(
    '/seen',
    'I64',
    [batch, image.count],
    new BigInt64Array(room(batch * image.count)).fill(1n),
  );
  const hidden = paddingMask(b, b.add('Concat', [mask, ones], { axis: int(1) }));
  let tokens: Tokens = {
    value: b.reshape(together, [batch * all, at(together.shape, 2)]),
    batch,
    count: all,
    layout: { ...image.layout, sequence: count, sequenceFirst: true },
  };
  for (let index = 0; index < config.depth; index++)
    tokens = b.scope(`vilt.encoder.layer.${index}`, () => viltLayer(b, tokens, config, hidden), {
      title: 'Layer of words and patches',
    });
  const normed = withValue(tokens, b.layerNorm(tokens.value, 'vilt.layernorm', config.eps));
  const pooled = b.add('Tanh', [b.linear(tokenAt(b, normed, 0), 'vilt.pooler.dense')]);
  const wide = b.layerNorm(b.linear(pooled, 'classifier.0'), 'classifier.1', classifierEps);
  b.output('logits', b.linear(activate(b, wide, 'gelu'), 'classifier.3'), 'replies');
}

/** ViLT (Kim et al. 2021) that answers questions: words and patches in one transformer. */
export const vilt: Whole<ViltConfig> = {
  name: 'vilt',
  row: 'vqa',
  title: 'ViLT',
  task: 'ask',
  isTower: true,
  signature: [words, modalities, 'classifier.0.weight', 'classifier.1.weight', 'classifier.3.weight'],
  masksPixels: true,
  assumable: [],
  recognise,
  parts: [{ name: 'whole', build }],
};
