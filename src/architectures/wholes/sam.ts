import { at } from '../../domain/lists';
import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { transposedConvolution } from '../blocks/convolution';
import { activate, residual, withValue, type Tokens } from '../blocks/layers';
import { layerNormOfMap, mapToTokens, tokensToMap } from '../blocks/maps';
import { placed, postNorm, projectedAttention } from '../blocks/projectedAttention';
import type { ImageMaps } from '../blocks/stages';
import { countOf, shapeOf } from '../decide';
import type { Rename } from '../dialect';
import { stored } from '../evidence';
import { settle, type FoundWhole, type PartContext, type Whole } from '../whole';

/** What SAM's prompt encoder and mask decoder are written by. */
interface SamConfig {
  readonly dim: number;
  readonly heads: number;
  readonly depth: number;
  readonly masks: number;
  readonly activation: string;
  readonly eps: number;
  /** Pixels of a patch, down and across. */
  readonly patch: readonly [number, number];
}

const decoder = 'mask_decoder.transformer';
/** Where transformers and the authors keep the random directions of places. */
const directions = {
  transformers: 'shared_image_embedding.positional_embedding',
  original: 'prompt_encoder.pe_layer.positional_encoding_gaussian_matrix',
} as const;

function recognise(found: FoundWhole) {
  if (found.backbone.architecture !== 'sam') return undefined;
  const [masks = 0, dim = 0] = shapeOf(found.tensors, 'mask_decoder.mask_tokens.weight');
  const [rows = 0, columns = rows] = [found.backbone.evidence['patch']?.value ?? 0].flat().map(Number);
  const heads = settle<number>(found, 'decoder_heads', {
    config: ['mask_decoder_config.num_attention_heads'],
    otherwise: stored(8, 'as published (Kirillov et al. 2023)'),
    is: (value) => typeof value === 'number' && value > 0 && dim % value === 0,
    needed: `a number that divides the width ${dim}`,
  });
  const depth = countOf(found.tensors, `${decoder}.layers`);
  const activation = settle<string>(found, 'decoder_activation', {
    config: ['mask_decoder_config.hidden_act'],
    otherwise: stored('relu', 'as published'),
  });
  const eps = settle<number>(found, 'decoder_eps', {
    config: ['mask_decoder_config.layer_norm_eps'],
    otherwise: stored(
      found.tensors.has(directions.original) ? 1e-5 : 1e-6,
      found.tensors.has(directions.original) ? 'default of PyTorch' : 'default of Hugging Face transformers',
    ),
  });
  return {
    label: 'sam',
    title: found.backbone.title.replace(/ image encoder/, ''),
    evidence: {
      decoder_depth: stored(depth, `${decoder}.layers.*`),
      decoder_dim: stored(dim, 'mask_decoder.mask_tokens.weight'),
      decoder_heads: heads,
      decoder_activation: activation,
      decoder_eps: eps,
      masks: stored(masks - 1, 'mask_decoder.mask_tokens.weight, less the one for a single answer'),
    },
    config: {
      dim,
      heads: heads.value,
      depth,
      masks,
      activation: activation.value,
      eps: eps.value,
      patch: [rows, columns] as const,
    },
    reading: { task: 'segment', rule: 'prompts' } as const,
    lengths: { prompts: 1, points: 1, boxes: 0 },
    bounds: { points: { least: 0, most: 64 }, boxes: { least: 0, most: 1 } },
  };
}

/** The image encoder, whose map all prompts of an image share. */
function image(b: GraphBuilder, _: SamConfig, context: PartContext): void {
  const { map } = context.backbone() as ImageMaps;
  b.output('image_embeddings', map, 'state');
}

/**
 * Places x, y in 0 … 1 as sines and cosines of random directions (Tancik et al. 2020, "Fourier
 * Features"), `[places, dim]`.
 */
function fourier(b: GraphBuilder, places: ValueInfo): ValueInfo {
  const name = b.has(directions.original) ? directions.original : directions.transformers;
  const centred = b.add('Sub', [b.add('Mul', [places, b.scalar(2)]), b.scalar(1)]);
  const angles = b.add('Mul', [b.add('MatMul', [centred, b.parameter(name)]), b.scalar(2 * Math.PI)]);
  return b.concat([b.add('Sin', [angles]), b.add('Cos', [angles])], 1);
}

/** Middle of every place of a grid, x and y in 0 … 1. */
function gridPlaces(b: GraphBuilder, [rows, columns]: readonly [number, number]): ValueInfo {
  const places = Array.from({ length: rows * columns }, (_, index) => [
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
  const none = b.add('Where', [isLabel(b, labels, -1), table('not_a_point_embed'), fourier(b, places)]);
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
  { dim }: SamConfig,
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
    const known = b.reshape(fourier(b, inUnits(b, corners, context.imageSize)), [count, 2, dim]);
    const ends = b.concat(
      [2, 3].map((corner) => b.parameter(`prompt_encoder.point_embed.${corner}.weight`, [1, 1, dim])),
      1,
    );
    parts.push(b.add('Add', [known, ends]));
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

/** A map four times as fine, an eighth as wide. */
function enlarged(b: GraphBuilder, map: ValueInfo): ValueInfo {
  const half = layerNormOfMap(
    b,
    transposedConvolution(b, map, 'upscale_conv1', 2),
    'upscale_layer_norm',
    1e-6,
  );
  return activate(b, transposedConvolution(b, activate(b, half, 'gelu'), 'upscale_conv2', 2), 'gelu');
}

/** Prompts and the image's map become masks and how well each may fit. */
function prompt(b: GraphBuilder, config: SamConfig, context: PartContext): void {
  const { dim, masks } = config;
  const { batch, imageSize } = context;
  const prompts = promptsOf(context);
  const { count } = prompts;
  const grid = [imageSize[0] / config.patch[0], imageSize[1] / config.patch[1]] as const;
  const embeddings = b.input('image_embeddings', [batch, dim, ...grid]);
  const sparse = promptTokens(b, prompts, config, context);
  const answers = b.concat(
    ['iou_token', 'mask_tokens'].map((name) => b.parameter(`mask_decoder.${name}.weight`)),
    0,
  );
  const first = repeated(b, b.reshape(answers, [1, masks + 1, dim]), count);
  const tokens = masks + 1 + at(sparse.shape, 1);
  const asked = b.reshape(b.concat([first, sparse], 1), [count * tokens, dim]);
  const special = ['iou', ...Array.from({ length: masks }, (_, index) => `mask${index}`)];
  const dense = b.add('Add', [
    embeddings,
    b.parameter('prompt_encoder.no_mask_embed.weight', [1, dim, 1, 1]),
  ]);
  const layout = { special, queries: tokens - special.length };
  const positions: Positions = {
    queries: asked,
    image: repeated(b, fourier(b, gridPlaces(b, grid)), count),
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
  writeMasks(b, b.reshape(last, [count, tokens, dim]), tokensToMap(b, sides.image), config, batch);
}

/** Masks `[images, prompts, masks, rows, columns]` and scores of their fit, but the single one. */
function writeMasks(
  b: GraphBuilder,
  tokens: ValueInfo,
  map: ValueInfo,
  { dim, masks }: SamConfig,
  batch: number,
): void {
  const count = at(tokens.shape, 0);
  const tokenRows = (index: number): ValueInfo =>
    b.reshape(b.slice(tokens, 1, index, index + 1), [count, dim]);
  b.scope('mask_decoder', () => {
    const fine = enlarged(b, map);
    const [, width = 0, rows = 0, columns = 0] = fine.shape;
    const weights = Array.from({ length: masks }, (_, index) => {
      const own = b.scope(`output_hypernetworks_mlps.${index}`, () => feedForwards(b, tokenRows(index + 1)));
      return b.reshape(own, [count, 1, width]);
    });
    const flat = b.reshape(fine, [count, width, rows * columns]);
    const all = b.add('MatMul', [b.concat(weights, 1), flat], {}, { name: '/masks' });
    const several = b.slice(all, 1, 1, masks);
    const found = b.reshape(several, [batch, count / batch, masks - 1, rows, columns]);
    const fits = b.scope('iou_prediction_head', () => feedForwards(b, tokenRows(0)));
    b.output('pred_masks', found, 'masks');
    const scores = b.reshape(b.slice(fits, 1, 1, masks), [batch, count / batch, masks - 1]);
    b.output('iou_scores', scores, 'logits');
  });
}

const parts: Whole<SamConfig>['parts'] = [
  { name: 'image', build: image },
  { name: 'prompt', build: prompt },
];

/**
 * What a mask as prompt and corners of boxes are read by, which not every prompt has, and a second
 * copy of the directions.
 */
const idle = /^prompt_encoder\.(?:mask_embed\.|shared_embedding\.|point_embed\.[23]\.)/;

/** Segment Anything (Kirillov et al. 2023) as transformers names it. */
export const sam: Whole<SamConfig> = {
  name: 'sam',
  title: 'Segment Anything',
  task: 'segment',
  signature: [
    directions.transformers,
    'mask_decoder.mask_tokens.weight',
    'mask_decoder.iou_prediction_head.proj_in.weight',
    'prompt_encoder.not_a_point_embed.weight',
  ],
  hasNoBias: (path) => /(?:iou_token|mask_tokens|_embed(?:\.\d)?)$/.test(path),
  isTower: true,
  assumable: ['decoder_heads', 'decoder_activation', 'decoder_eps'],
  idle,
  recognise,
  parts,
};

const mlps = '(mask_decoder\\.(?:output_hypernetworks_mlps\\.\\d+|iou_prediction_head))';
const originalNames: readonly Rename[] = [
  [/^prompt_encoder\.point_embeddings\.(\d+)\.weight$/, 'prompt_encoder.point_embed.$1.weight'],
  [/^prompt_encoder\.mask_downscaling\.(.+)$/, 'prompt_encoder.mask_embed.$1'],
  [/^(mask_decoder\.transformer\.layers\.\d+)\.norm(\d)\.(weight|bias)$/, '$1.layer_norm$2.$3'],
  [/^mask_decoder\.transformer\.norm_final_attn\.(weight|bias)$/, `${decoder}.layer_norm_final_attn.$1`],
  [/^mask_decoder\.output_upscaling\.0\.(weight|bias)$/, 'mask_decoder.upscale_conv1.$1'],
  [/^mask_decoder\.output_upscaling\.1\.(weight|bias)$/, 'mask_decoder.upscale_layer_norm.$1'],
  [/^mask_decoder\.output_upscaling\.3\.(weight|bias)$/, 'mask_decoder.upscale_conv2.$1'],
  [new RegExp(`^${mlps}\\.layers\\.0\\.(weight|bias)$`), '$1.proj_in.$2'],
  [new RegExp(`^${mlps}\\.layers\\.1\\.(weight|bias)$`), '$1.layers.0.$2'],
  [new RegExp(`^${mlps}\\.layers\\.2\\.(weight|bias)$`), '$1.proj_out.$2'],
];

/** The same as its authors name it (facebookresearch/segment-anything). */
export const samOriginal: Whole<SamConfig> = {
  ...sam,
  name: 'sam-original',
  row: 'sam',
  signature: [
    directions.original,
    'mask_decoder.mask_tokens.weight',
    'mask_decoder.iou_prediction_head.proj_out.weight',
    'mask_decoder.upscale_conv1.weight',
  ],
  renames: originalNames,
};
