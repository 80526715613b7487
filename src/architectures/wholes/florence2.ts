import { last } from '../../domain/lists';
import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { stateInput, type StateShape } from '../blocks/decoding';
import type { Tokens } from '../blocks/layers';
import { gridOf, mapToTokens, sequence } from '../blocks/maps';
import { decodingOf } from '../blocks/passes';
import { asSequence } from '../blocks/projectedAttention';
import { shapeOf } from '../decide';
import { transposed, type Rename } from '../dialect';
import { configOf, stored } from '../evidence';
import { backboneTitle, type FoundWhole, type PartContext, type RecognisedWhole, type Whole } from '../whole';
import { atPlaces, decoderLayers, encoderLayers, bartEvidence, wordsOf, type BartConfig } from './bart';
import { mapOf, seenAs } from './detectors';
import { countedTokens } from './imageToText';
import { countedText, encoderState, placesOf, sequenceEps } from './sequences';

const projection = 'image_projection';
const positions = 'image_position_embed';
const frames = 'visual_temporal_embed.pos_idx_to_embed';
const firstLayer = 'model.encoder.layers.0';
const imageState = 'image_features';

/** Rows of the tables of positions in front of the first token's (BART). */
const offset = 2;

/**
 * What the processor asks for the names of tasks (transformers, Florence2Processor): the sentences
 * that the model was trained on (Xiao et al. 2023).
 */
const questions: Readonly<Record<string, string>> = {
  '<OCR>': 'What is the text in the image?',
  '<OCR_WITH_REGION>': 'What is the text in the image, with regions?',
  '<CAPTION>': 'What does the image describe?',
  '<DETAILED_CAPTION>': 'Describe in detail what is shown in the image.',
  '<MORE_DETAILED_CAPTION>': 'Describe with a paragraph what is shown in the image.',
  '<OD>': 'Locate the objects with category name in the image.',
  '<DENSE_REGION_CAPTION>': 'Locate the objects in the image, with their descriptions.',
  '<REGION_PROPOSAL>': 'Locate the region proposals in the image.',
  '<CAPTION_TO_PHRASE_GROUNDING>': 'Locate the phrases in the caption: {input}',
  '<REFERRING_EXPRESSION_SEGMENTATION>': 'Locate {input} in the image with mask',
  '<REGION_TO_SEGMENTATION>': 'What is the polygon mask of region {input}',
  '<OPEN_VOCABULARY_DETECTION>': 'Locate {input} in the image.',
  '<REGION_TO_CATEGORY>': 'What is the region {input}?',
  '<REGION_TO_DESCRIPTION>': 'What does the region {input} describe?',
  '<REGION_TO_OCR>': 'What text is in the region {input}?',
};

/** Whether the tower attends over as many groups of channels as heads, as published ones do. */
function hasGroupsLikeHeads({ found }: FoundWhole): boolean {
  const vision = found.checkpoint.sidecars.config?.['vision_config'];
  const { num_groups: groups, num_heads: heads } = (vision ?? {}) as Readonly<Record<string, unknown>>;
  return groups === undefined || JSON.stringify(groups) === JSON.stringify(heads);
}

function recognise(found: FoundWhole): RecognisedWhole<BartConfig> | undefined {
  if (!hasGroupsLikeHeads(found)) return undefined;
  const { tensors } = found;
  const [places = 0] = shapeOf(tensors, 'model.encoder.embed_positions.weight');
  const evidence = {
    ...bartEvidence(found, { activation: 'gelu', scaled: false }, 'text_config.'),
    context: stored(places - offset, 'model.encoder.embed_positions.weight'),
  };
  const { context } = evidence;
  const seen = seenAs(found, 'florence2');
  return {
    ...seen,
    label: 'florence2',
    title: `Florence-2 around ${backboneTitle(found)}`,
    evidence: { ...evidence, ...seen.evidence },
    config: { ...configOf(evidence), offset },
    reading: {
      task: 'ask',
      context: context.value,
      writing: { positions: context.value, prompt: 'bare' },
      questions,
    },
    lengths: { text: Math.min(countedText, context.value), decoder: countedTokens },
    bounds: { text: { most: context.value }, decoder: { most: context.value } },
  };
}

/** Learned positions of rows and columns beside one another, columns first, `[places, dim]`. */
function placesOfMap(b: GraphBuilder, [rows, columns]: readonly [number, number]): ValueInfo {
  const side = (name: string, count: number, shape: readonly number[]): ValueInfo => {
    const table = b.parameter(`${positions}.${name}_embeddings.weight`);
    const used = b.reshape(b.slice(table, 0, 0, count), [...shape, last(table.shape)]);
    return b.add('Expand', [used, b.indices([rows, columns, last(table.shape)])]);
  };
  const both = b.concat([side('column', columns, [1, columns]), side('row', rows, [rows, 1])], 2);
  return b.reshape(both, [rows * columns, last(both.shape)]);
}

/**
 * The image's places with their positions and those of the first frame, behind the mean of them
 * all, in the width of the words (Xiao et al. 2023, §4.1).
 */
function image(b: GraphBuilder, _: BartConfig, { backbone, batch }: PartContext): void {
  const map = mapOf(b, last(backbone().stages));
  const places = asSequence(b, mapToTokens(b, map).value, batch);
  const frame = b.slice(b.parameter(frames), 0, 0, 1);
  const placed = b.add('Add', [b.add('Add', [places, placesOfMap(b, gridOf(map))]), frame]);
  const mean = b.add('ReduceMean', [placed, b.indices([1])]);
  const all = b.concat([mean, placed], 1);
  const [, count = 1, width = 1] = all.shape;
  const projected = b.linear(b.reshape(all, [batch * count, width]), projection, { bias: false });
  const normed = b.layerNorm(projected, 'image_proj_norm', sequenceEps);
  b.output(imageState, asSequence(b, normed, batch), 'state');
}

/** How the image's tokens lie: the mean of all places first. */
function imageShape(b: GraphBuilder, { imageTokens }: PartContext): StateShape {
  const { batch, count, layout } = imageTokens();
  const [width = 1] = b.shapeOf(`${projection}.weight`);
  return { batch, count: count + 1, width, layout: { ...layout, special: ['mean'] } };
}

const textCount = ({ lengths }: PartContext): number => lengths['text'] ?? countedText;

/** The encoder's tokens: the image's in front of the words. */
function togetherShape(b: GraphBuilder, context: PartContext): StateShape {
  const seen = imageShape(b, context);
  const text = textCount(context);
  return { ...seen, count: seen.count + text, layout: { ...seen.layout, sequence: text } };
}

/** The image and the words go through BART's encoder as one sequence, none of it padding. */
function text(b: GraphBuilder, config: BartConfig, context: PartContext): void {
  const { batch } = context;
  const seen = stateInput(b, imageState, imageShape(b, context));
  const ids = b.input('input_ids', [batch, textCount(context)], 'I64');
  const { count, width, layout } = togetherShape(b, context);
  const words = asSequence(b, wordsOf(b, 'encoder', ids, config), batch);
  const value = b.reshape(b.concat([sequence(b, seen), words], 1), [batch * count, width]);
  const together: Tokens = { value, batch, count, layout };
  const rows = (table: ValueInfo, first = 0): ValueInfo => {
    const used = b.slice(table, 0, first, first + count);
    return batch === 1 ? used : b.concat(Array<ValueInfo>(batch).fill(used), 0);
  };
  const placed = atPlaces(b, 'encoder', together, rows, { ...config, places: count });
  b.output(encoderState, sequence(b, encoderLayers(b, placed, config, [])), 'state');
}

function decoder(b: GraphBuilder, config: BartConfig, context: PartContext): void {
  const state = stateInput(b, encoderState, togetherShape(b, context));
  const count = context.lengths['decoder'] ?? countedTokens;
  const own = decodingOf(b, context, { ids: 'decoder_input_ids', count });
  const places = placesOf(context, { batch: context.batch, text: textCount(context), decoder: count });
  decoderLayers(b, config, { ...own, state, places });
}

/** From both repositories' names to those of BART, and of what it reads the image through. */
const renames: readonly Rename[] = [
  [/^model\.language_model\./, 'model.'],
  [/^model\.multi_modal_projector\./, ''],
  [/^language_model\.(model\..+|lm_head\.weight|final_logits_bias)$/, '$1'],
  [/^image_projection$/, `${projection}.weight`, transposed],
  [/^image_pos_embed\./, `${positions}.`],
];

/** Florence-2 (Xiao et al. 2023): BART writes what is asked of an image, read as its words. */
export const florence2: Whole<BartConfig> = {
  name: 'florence2',
  row: 'caption',
  title: 'Florence-2',
  task: 'ask',
  signature: [
    `${projection}.weight`,
    `${positions}.row_embeddings.weight`,
    frames,
    `${firstLayer}.self_attn.q_proj.weight`,
    'model.decoder.layers.0.encoder_attn.q_proj.weight',
  ],
  renames,
  assumable: ['heads', 'decoder_heads', 'activation', 'words_scaled'],
  hasNoBias: (path) =>
    path === projection || /(?:lm_head|embed_positions|embed_tokens|shared|_embeddings)$/.test(path),
  // The table of the words again, which files may hold for each side.
  idle: /^(?:model\.(?:encoder|decoder)\.embed_tokens|lm_head)\.weight$/,
  recognise,
  parts: [
    { name: 'image', build: image },
    { name: 'text', build: text },
    { name: 'decoder', build: decoder },
  ],
};
