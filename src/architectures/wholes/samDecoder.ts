import { at } from '../../domain/lists';
import type { Grid } from '../../domain/size';
import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { transposedConvolution } from '../blocks/convolution';
import { activate, residual, withValue, type Tokens } from '../blocks/layers';
import { layerNormOfMap, mapToTokens, tokensToMap } from '../blocks/maps';
import { placed, postNorm, projectedAttention } from '../blocks/projectedAttention';
import type { PartContext } from '../whole';
import { placesRoom } from '../../graph/limits';

/** What SAM's prompt encoder and mask decoder are written by. */
export interface SamConfig {
  readonly dim: number;
  readonly heads: number;
  readonly depth: number;
  readonly masks: number;
  readonly activation: string;
  readonly eps: number;
  /** Pixels of a place of the image's map, down and across. */
  readonly patch: readonly [number, number];
  /**
   * What SAM 2 adds (Ravi et al. 2024, §4 and §D.1): a token that tells whether there is an object,
   * finer maps of the image that the masks are drawn on, scores within 0 … 1, and a token behind
   * the corners of a box as behind points.
   */
  readonly isSecond?: boolean;
}

export const decoder = 'mask_decoder.transformer';
/** Where transformers and the authors keep the random directions of places. */
export const directions = {
  transformers: 'shared_image_embedding.positional_embedding',
  /** Of prompts alone; a second copy of the image's, as a rule. */
  prompts: 'prompt_encoder.shared_embedding.positional_embedding',
  original: 'prompt_encoder.pe_layer.positional_encoding_gaussian_matrix',
} as const;

/**
 * Places x, y in 0 … 1 as sines and cosines of random directions (Tancik et al. 2020, "Fourier
 * Features"), `[places, dim]`.
 */
function fourier(b: GraphBuilder, places: ValueInfo, of: 'prompts' | 'transformers'): ValueInfo {
  const own = b.has(directions[of]) ? directions[of] : directions.transformers;
  const name = b.has(directions.original) ? directions.original : own;
  const centred = b.add('Sub', [b.add('Mul', [places, b.scalar(2)]), b.scalar(1)]);
  const angles = b.add('Mul', [b.add('MatMul', [centred, b.parameter(name)]), b.scalar(2 * Math.PI)]);
  return b.concat([b.add('Sin', [angles]), b.add('Cos', [angles])], 1);
}

/** Middle of every place of a grid, x and y in 0 … 1. */
function gridPlaces(b: GraphBuilder, [rows, columns]: readonly [number, number]): ValueInfo {
  const places = Array.from({ length: placesRoom(rows * columns) }, (_, index) => [
    ((index % columns) + 0.5) / columns,
    (Math.floor(index / columns) + 0.5) / rows,
  ]);
  return b.constant('/places', 'F32', [places.length, 2], Float32Array.from(places.flat()));
}

/** Pixels of the input as places in 0 … 1: the middle of a pixel is half of one further. */
function inUnits(b: GraphBuilder, pixels: ValueInfo, [height, width]: readonly [number, number]): ValueInfo {
  const sides = b.constant('/sides', 'F32', [1, 2], Float32Array.of(width, height));
  return b.add('Div', [b.add('Add', [pixels, b.scalar(0.5)]), sides]);
}

/** What prompts are written for. */
interface Prompts {
  readonly count: number;
  readonly points: number;
  readonly boxes: number;
}

/** Numbers of prompts, and of points and boxes of each. */
function promptsOf({ lengths, batch }: PartContext): Prompts {
  const { prompts = 1, boxes = 0, points = 1 } = lengths;
  return { count: batch * prompts, points, boxes };
}

/** 1 for the points of a label, else 0: `[points, 1]`. */
function isLabel(b: GraphBuilder, labels: ValueInfo, label: number): ValueInfo {
  return b.add('Equal', [labels, b.scalar(label)]);
}

/** Points with their labels as tokens `[points, dim]`; −1 stands for none, −10 for a gap. */
function pointTokens(b: GraphBuilder, places: ValueInfo, labels: ValueInfo): ValueInfo {
  const table = (name: string): ValueInfo => b.parameter(`prompt_encoder.${name}.weight`);
  const none = b.add('Where', [
    isLabel(b, labels, -1),
    table('not_a_point_embed'),
    fourier(b, places, 'prompts'),
  ]);
  const known = b.add('Where', [isLabel(b, labels, -10), b.scalar(0), none]);
  return [0, 1].reduce((sum, label) => {
    const own = b.add('Add', [sum, table(`point_embed.${label}`)]);
    return b.add('Where', [isLabel(b, labels, label), own, sum]);
  }, known);
}

/** The tokens of all prompts, `[prompts, tokens, dim]`: points, "no point" beside them, corners. */
function promptTokens(
  b: GraphBuilder,
  prompts: Prompts,
  { dim, isSecond = false }: SamConfig,
  context: PartContext,
): ValueInfo {
  const { count, points, boxes } = prompts;
  const parts: ValueInfo[] = [];
  const shape = [context.batch, count / context.batch] as const;
  if (points > 0) {
    const pixels = b.input('input_points', [...shape, points, 2]);
    const labels = b.input('input_labels', [...shape, points]);
    const padding = boxes > 0 ? 0 : 1;
    const all = count * (points + padding);
    const gap = (value: number, ends: readonly number[]): ValueInfo =>
      b.constant('/no_point', 'F32', ends, new Float32Array(count * (ends[2] ?? 1)).fill(value));
    const rows = b.reshape(pixels, [count, points, 2]);
    const told = b.reshape(labels, [count, points, 1]);
    const padded = padding > 0 ? b.concat([rows, gap(0, [count, 1, 2])], 1) : rows;
    const named = padding > 0 ? b.concat([told, gap(-1, [count, 1, 1])], 1) : told;
    const places = inUnits(b, b.reshape(padded, [all, 2]), context.imageSize);
    const tokens = pointTokens(b, places, b.reshape(named, [all, 1]));
    parts.push(b.reshape(tokens, [count, points + padding, dim]));
  }
  if (boxes > 0) {
    const corners = b.reshape(b.input('input_boxes', [...shape, 4]), [2 * count, 2]);
    const known = b.reshape(fourier(b, inUnits(b, corners, context.imageSize), 'prompts'), [count, 2, dim]);
    const ends = b.concat(
      [2, 3].map((corner) => b.parameter(`prompt_encoder.point_embed.${corner}.weight`, [1, 1, dim])),
      1,
    );
    parts.push(b.add('Add', [known, ends]));
    if (isSecond) {
      const none = b.parameter('prompt_encoder.not_a_point_embed.weight', [1, 1, dim]);
      parts.push(repeated(b, none, count));
    }
  }
  return b.concat(parts, 1);
}

/** The same rows for each of several prompts. */
const repeated = (b: GraphBuilder, rows: ValueInfo, count: number): ValueInfo =>
  count === 1 ? rows : b.concat(Array<ValueInfo>(count).fill(rows), 0);

/** What a layer reads and changes. */
interface TwoSides {
  readonly queries: Tokens;
  readonly image: Tokens;
}

/** What is added to queries and to places of the image in every layer. */
interface Positions {
  readonly queries: ValueInfo;
  readonly image: ValueInfo;
}

/**
 * A layer of the two-way transformer (Kirillov et al. 2023, §A, fig. 14): among the tokens, tokens
 * to image, linear layers, image to tokens.
 */
function twoWayLayer(
  b: GraphBuilder,
  { queries, image: pixels }: TwoSides,
  positions: Positions,
  index: number,
  { heads, activation, eps }: SamConfig,
): TwoSides {
  const attend = (name: string, from: Tokens, keys: Tokens, values: Tokens, kind: 'self' | 'cross') =>
    projectedAttention(b, name, { queries: from, keys, values }, { heads, kind });
  // The first layer has no positions yet, and nothing to add its result to.
  const own = index === 0 ? queries : placed(b, queries, positions.queries);
  const mixed = attend('self_attn', own, own, queries, 'self');
  const first = withValue(
    queries,
    index === 0
      ? b.layerNorm(mixed, 'layer_norm1', eps)
      : postNorm(b, queries.value, mixed, 'layer_norm1', eps),
  );
  const asked = placed(b, first, positions.queries);
  const keys = placed(b, pixels, positions.image);
  const looked = attend('cross_attn_token_to_image', asked, keys, pixels, 'cross');
  const seen = postNorm(b, first.value, looked, 'layer_norm2', eps);
  const fed = b.linear(activate(b, b.linear(seen, 'mlp.lin1'), activation), 'mlp.lin2');
  const next = withValue(queries, postNorm(b, seen, fed, 'layer_norm3', eps));
  const back = attend('cross_attn_image_to_token', keys, placed(b, next, positions.queries), next, 'cross');
  return { queries: next, image: withValue(pixels, postNorm(b, pixels.value, back, 'layer_norm4', eps)) };
}

/** Linear layers `proj_in`, `layers.0` …, `proj_out` with a ReLU between them. */
function feedForwards(b: GraphBuilder, rows: ValueInfo): ValueInfo {
  let value = activate(b, b.linear(rows, 'proj_in'), 'relu');
  for (let layer = 0; b.has(`layers.${layer}.weight`); layer++)
    value = activate(b, b.linear(value, `layers.${layer}`), 'relu');
  return b.linear(value, 'proj_out');
}

/** Maps of the image twice and four times as fine as the one that prompts look at. */
interface FineMaps {
  readonly twice: ValueInfo;
  readonly fourTimes: ValueInfo;
}

/** A map four times as fine, an eighth as wide; finer maps of the image are added on the way. */
function enlarged(b: GraphBuilder, map: ValueInfo, fine: FineMaps | undefined): ValueInfo {
  const plus = (x: ValueInfo, own: ValueInfo | undefined): ValueInfo => (own ? residual(b, x, own) : x);
  const twice = plus(transposedConvolution(b, map, 'upscale_conv1', 2), fine?.twice);
  const half = activate(b, layerNormOfMap(b, twice, 'upscale_layer_norm', 1e-6), 'gelu');
  return activate(b, plus(transposedConvolution(b, half, 'upscale_conv2', 2), fine?.fourTimes), 'gelu');
}

/** Prompts and the image's map become masks and how well each may fit. */
export function prompt(b: GraphBuilder, config: SamConfig, context: PartContext): void {
  const { dim, masks } = config;
  const { batch, imageSize } = context;
  const prompts = promptsOf(context);
  const { count } = prompts;
  const grid = [imageSize[0] / config.patch[0], imageSize[1] / config.patch[1]] as const;
  const embeddings = b.input('image_embeddings', [batch, dim, ...grid]);
  const sparse = promptTokens(b, prompts, config, context);
  const { isSecond = false } = config;
  const fine = isSecond ? fineMaps(b, dim, grid, batch) : undefined;
  const own = [...(isSecond ? ['obj_score_token'] : []), 'iou_token', 'mask_tokens'];
  const answers = b.concat(
    own.map((name) => b.parameter(`mask_decoder.${name}.weight`)),
    0,
  );
  const ahead = own.length - 1 + masks;
  const first = repeated(b, b.reshape(answers, [1, ahead, dim]), count);
  const tokens = ahead + at(sparse.shape, 1);
  const asked = b.reshape(b.concat([first, sparse], 1), [count * tokens, dim]);
  const special = [
    ...(isSecond ? ['object'] : []),
    'iou',
    ...Array.from({ length: masks }, (_, index) => `mask${index}`),
  ];
  const dense = b.add('Add', [
    embeddings,
    b.parameter('prompt_encoder.no_mask_embed.weight', [1, dim, 1, 1]),
  ]);
  const layout = { special, queries: tokens - special.length };
  const positions: Positions = {
    queries: asked,
    image: repeated(b, fourier(b, gridPlaces(b, grid), 'transformers'), count),
  };
  let sides: TwoSides = {
    queries: { value: asked, batch: count, count: tokens, layout },
    image: mapToTokens(b, repeated(b, dense, count / batch)),
  };
  for (let layer = 0; layer < config.depth; layer++)
    sides = b.scope(`${decoder}.layers.${layer}`, () => twoWayLayer(b, sides, positions, layer, config), {
      title: 'Two-way layer',
    });
  const last = b.scope(decoder, () => {
    const keys = placed(b, sides.image, positions.image);
    const looked = projectedAttention(
      b,
      'final_attn_token_to_image',
      { queries: placed(b, sides.queries, positions.queries), keys, values: sides.image },
      { heads: config.heads, kind: 'cross' },
    );
    return b.layerNorm(residual(b, sides.queries.value, looked), 'layer_norm_final_attn', 1e-5);
  });
  const drawn = { map: tokensToMap(b, sides.image), fine: fine && eachPrompt(b, fine, count / batch) };
  writeMasks(b, b.reshape(last, [count, tokens, dim]), drawn, config, batch);
}

/** The finer maps that the image's part hands on. */
function fineMaps(b: GraphBuilder, dim: number, [rows, columns]: Grid, batch: number): FineMaps {
  return {
    fourTimes: b.input('high_resolution_0', [batch, dim / 8, 4 * rows, 4 * columns]),
    twice: b.input('high_resolution_1', [batch, dim / 4, 2 * rows, 2 * columns]),
  };
}

/** The same for each of several prompts of an image. */
const eachPrompt = (b: GraphBuilder, { twice, fourTimes }: FineMaps, count: number): FineMaps => ({
  twice: repeated(b, twice, count),
  fourTimes: repeated(b, fourTimes, count),
});

/** Masks `[images, prompts, masks, rows, columns]` and scores of their fit, but the single one. */
function writeMasks(
  b: GraphBuilder,
  tokens: ValueInfo,
  { map, fine: finer }: { readonly map: ValueInfo; readonly fine: FineMaps | undefined },
  { dim, masks, isSecond = false }: SamConfig,
  batch: number,
): void {
  const count = at(tokens.shape, 0);
  const iou = isSecond ? 1 : 0;
  const tokenRows = (index: number): ValueInfo =>
    b.reshape(b.slice(tokens, 1, index, index + 1), [count, dim]);
  b.scope('mask_decoder', () => {
    const fine = enlarged(b, map, finer);
    const [, width = 0, rows = 0, columns = 0] = fine.shape;
    const weights = Array.from({ length: masks }, (_, index) => {
      const own = b.scope(`output_hypernetworks_mlps.${index}`, () =>
        feedForwards(b, tokenRows(iou + 1 + index)),
      );
      return b.reshape(own, [count, 1, width]);
    });
    const flat = b.reshape(fine, [count, width, rows * columns]);
    const all = b.add('MatMul', [b.concat(weights, 1), flat], {}, { name: '/masks' });
    const several = b.slice(all, 1, 1, masks);
    const found = b.reshape(several, [batch, count / batch, masks - 1, rows, columns]);
    const raw = b.scope('iou_prediction_head', () => feedForwards(b, tokenRows(iou)));
    const fits = isSecond ? b.add('Sigmoid', [raw]) : raw;
    b.output('pred_masks', found, 'masks');
    const scores = b.reshape(b.slice(fits, 1, 1, masks), [batch, count / batch, masks - 1]);
    b.output('iou_scores', scores, 'logits');
    if (!isSecond) return;
    const object = b.scope('pred_obj_score_head', () => feedForwards(b, tokenRows(0)));
    b.output('object_score_logits', b.reshape(object, [batch, count / batch, 1]), 'state');
  });
}
