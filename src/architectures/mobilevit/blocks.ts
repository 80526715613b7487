import type { Grid } from '../../domain/size';
import type { GraphBuilder } from '../../graph/builder';
import { int, type ValueInfo } from '../../graph/graph';
import type { Probe } from '../../domain/probes';
import { convNorm, convolution, groupNorm } from '../blocks/convolution';
import { residual, withValue, type Tokens } from '../blocks/layers';
import { gridOf, resizedMap } from '../blocks/maps';
import { splitInThree } from '../blocks/parts';
import { mapOfPhases, mapOfPhaseTokens, phasesOfMap, phaseTokens } from '../blocks/phases';
import { mapMlp } from '../blocks/pointwise';
import { mlp, selfAttention } from '../blocks/transformer';

type MapRecord = Partial<Omit<Probe, 'value' | 'heads'>>;

/** Epsilon of the batch norms in both libraries, whatever the blocks' is. */
const batchEps = 1e-5;

/** What differs from library to library beside names. */
export interface Library {
  /** What a map of one of the interleaved sequences onto itself is. */
  readonly record: (patch: number) => MapRecord;
  /**
   * Whether each of the interleaved sequences has a record of its own for its context scores, or
   * they are rows of one.
   */
  readonly contexts: 'apart' | 'together';
  /**
   * What becomes of the last row and column of an odd map before MobileViTv2 cuts it into patches.
   */
  readonly odd: 'resized' | 'cropped';
}

/** timm follows CVNets, where the models come from. */
const cvnets: Library = {
  record: (patch) => ({ kind: 'self', window: { size: patch, phases: [patch, patch] } }),
  contexts: 'apart',
  odd: 'resized',
};

const transformers: Library = {
  record: (patch) => ({ kind: 'window', window: { stride: patch } }),
  contexts: 'together',
  odd: 'cropped',
};

/** The library by the name of its dialect. */
export const libraryOf = (dialect: string): Library => (dialect === 'transformers' ? transformers : cvnets);

/** What all blocks read beside their parameters. */
export interface BlockConfig {
  readonly library: Library;
  readonly patch: number;
  readonly eps: number;
  readonly activation: string;
  readonly heads: number;
}

/** Convolution, batch norm and an activation if one is named, under timm's names. */
export const unit = (
  b: GraphBuilder,
  x: ValueInfo,
  name: string,
  options: { readonly activation?: string; readonly stride?: number; readonly dilation?: number } = {},
): ValueInfo => convNorm(b, x, `${name}.conv`, `${name}.bn`, { eps: batchEps, ...options });

/** How a stage's first block steps over the map. */
interface Step {
  readonly stride: number;
  readonly dilation: number;
}

/**
 * Steps of the stages: once the map is as small as the output stride allows, kernels widen instead
 * (Chen et al. 2017, DeepLab v3 §3.1).
 */
export function stepsOf(stages: number, outputStride: number): readonly Step[] {
  let reached = 2;
  let dilation = 1;
  return Array.from({ length: stages }, (_, stage) => {
    if (stage === 0) return { stride: 1, dilation: 1 };
    if (reached < outputStride) {
      reached *= 2;
      return { stride: 2, dilation: 1 };
    }
    dilation *= 2;
    return { stride: 1, dilation: dilation / 2 };
  });
}

/**
 * Inverted residual (Sandler et al. 2018, §3.3): expand, depthwise convolution, reduce; with a
 * shortcut if nothing changes its shape.
 */
function invertedResidual(b: GraphBuilder, x: ValueInfo, { activation }: BlockConfig, step: Step): ValueInfo {
  const wide = unit(b, unit(b, x, 'conv1_1x1', { activation }), 'conv2_kxk', { activation, ...step });
  const narrow = unit(b, wide, 'conv3_1x1');
  return step.stride === 1 && narrow.shape[1] === x.shape[1] ? residual(b, x, narrow) : narrow;
}

/** Sides of the map in whole patches, rounded up. */
const wholePatches = (grid: Grid, patch: number): Grid => [
  Math.ceil(grid[0] / patch) * patch,
  Math.ceil(grid[1] / patch) * patch,
];

/** The blocks of one transformer, each in its scope. */
function transformer<T>(b: GraphBuilder, x: T, block: (x: T, layer: string) => T): T {
  let state = x;
  for (let index = 0; b.has(`transformer.${index}.norm1.weight`); index++)
    state = b.scope(`transformer.${index}`, () => block(state, b.scopePath), { title: 'Transformer block' });
  return state;
}

/** Pre-norm transformer block over the tokens of every sequence (Vaswani et al. 2017). */
function selfBlock(b: GraphBuilder, tokens: Tokens, layer: string, settings: BlockConfig): Tokens {
  const { eps, heads, activation, library, patch } = settings;
  const normed = withValue(tokens, b.layerNorm(tokens.value, 'norm1', eps));
  const record = library.record(patch);
  const mixed = residual(b, tokens.value, selfAttention(b, normed, 'attn', layer, { heads, eps, record }));
  const hidden = mlp(b, b.layerNorm(mixed, 'norm2', eps), 'mlp', { activation, eps });
  return withValue(tokens, residual(b, mixed, hidden));
}

/**
 * MobileViT block (Mehta & Rastegari 2022, §3.1): local convolutions, a transformer over each of
 * the interleaved sequences of pixels, and a convolution that fuses both with the input. A map with
 * an odd side is resized for the transformer and back.
 */
function mobileBlock(b: GraphBuilder, x: ValueInfo, settings: BlockConfig): ValueInfo {
  const { patch, activation, eps } = settings;
  const local = convolution(b, unit(b, x, 'conv_kxk', { activation }), 'conv_1x1');
  const whole = wholePatches(gridOf(local), patch);
  const start = phaseTokens(b, resizedMap(b, local, whole), patch);
  const last = transformer(b, start, (tokens, layer) => selfBlock(b, tokens, layer, settings));
  const normed = withValue(last, b.layerNorm(last.value, 'norm', eps));
  const map = resizedMap(b, mapOfPhaseTokens(b, normed, patch, whole), gridOf(local));
  const projected = unit(b, map, 'conv_proj', { activation });
  return b.has('conv_fusion.conv.weight')
    ? unit(b, b.concat([x, projected], 1), 'conv_fusion', { activation })
    : projected;
}

/**
 * Separable attention (Mehta & Rastegari 2022, MobileViTv2 §3.1) over `[batch, dim, sequences, n]`:
 * one score per token weighs its key in the context, which every value is multiplied by.
 */
function separableAttention(
  b: GraphBuilder,
  x: ValueInfo,
  grid: Grid,
  layer: string,
  { library, patch }: BlockConfig,
): ValueInfo {
  const [batch, dim, sequences, length] = x.shape as readonly [number, number, number, number];
  const [query, key, value] = splitInThree(b, convolution(b, x, 'qkv_proj'), 1, [1, dim, dim]);
  const together = library.contexts === 'together';
  const shape = together ? [batch, 1, sequences, length] : [batch * sequences, 1, 1, length];
  const scores = b.reshape(b.add('Softmax', [query], { axis: int(-1) }), shape);
  const keys = { special: [], grid };
  b.probe(
    scores,
    together
      ? { layer, kind: 'pool', queries: { special: [], queries: sequences }, keys }
      : { ...library.record(patch), layer, kind: 'pool', queries: { special: ['context'] }, keys },
  );
  const weighted = b.add('Mul', [key, b.reshape(scores, [batch, 1, sequences, length])]);
  const context = b.add('ReduceSum', [weighted, b.indices([3])], { keepdims: int(1) });
  return convolution(b, b.add('Mul', [b.add('Relu', [value]), context]), 'out_proj');
}

function separableBlock(
  b: GraphBuilder,
  x: ValueInfo,
  grid: Grid,
  layer: string,
  settings: BlockConfig,
): ValueInfo {
  const norm = (value: ValueInfo, name: string): ValueInfo =>
    groupNorm(b, value, name, { groups: 1, eps: settings.eps });
  const normed = norm(x, 'norm1');
  const mixed = b.scope('attn', () => separableAttention(b, normed, grid, layer, settings), {
    title: 'Separable self-attention',
    formula: 'relu(V) · Σ softmax(q)·K',
  });
  const state = residual(b, x, mixed);
  return residual(b, state, mapMlp(b, norm(state, 'norm2'), 'mlp', settings.activation));
}

/** The map without what reaches beyond `grid` at the bottom and right. */
const cropped = (b: GraphBuilder, map: ValueInfo, grid: Grid): ValueInfo =>
  grid.reduce(
    (part, side, axis) => (part.shape[axis + 2] === side ? part : b.slice(part, axis + 2, 0, side)),
    map,
  );

/** The map with zeros at the bottom and right up to `grid`. */
function padded(b: GraphBuilder, map: ValueInfo, grid: Grid): ValueInfo {
  const [rows, columns] = gridOf(map);
  if (rows === grid[0] && columns === grid[1]) return map;
  return b.add('Pad', [map, b.indices([0, 0, 0, 0, 0, 0, grid[0] - rows, grid[1] - columns])]);
}

/**
 * MobileViTv2 block (Mehta & Rastegari 2022, MobileViTv2 §3): as MobileViT's, with separable
 * attention and without fusion.
 */
function separableMobileBlock(b: GraphBuilder, x: ValueInfo, settings: BlockConfig): ValueInfo {
  const { patch, activation, eps, library } = settings;
  const whole = wholePatches(gridOf(x), patch);
  const even = library.odd === 'resized' ? resizedMap(b, x, whole, { alignCorners: true }) : x;
  const local = convolution(b, unit(b, even, 'conv_kxk', { activation }), 'conv_1x1');
  const [rows, columns] = gridOf(local);
  const patches = [Math.floor(rows / patch), Math.floor(columns / patch)] as const;
  const grid = [patches[0] * patch, patches[1] * patch] as const;
  const start = phasesOfMap(b, cropped(b, local, grid), patch);
  const last = transformer(b, start, (value, layer) => separableBlock(b, value, patches, layer, settings));
  const map = mapOfPhases(b, groupNorm(b, last, 'norm', { groups: 1, eps }), patch, grid);
  return unit(b, padded(b, map, [rows, columns]), 'conv_proj');
}

/** Kinds of blocks by a parameter that only they have. */
export const mobileVitBlocks = [
  { has: 'transformer.0.attn.qkv_proj.weight', title: 'MobileViTv2 block', build: separableMobileBlock },
  { has: 'conv_1x1.weight', title: 'MobileViT block', build: mobileBlock },
  { has: 'conv2_kxk.conv.weight', title: 'Inverted residual', build: invertedResidual },
] as const;
