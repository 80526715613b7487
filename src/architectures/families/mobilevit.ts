import { ParameterError, type GraphBuilder } from '../../graph/builder';
import { int, type ValueInfo } from '../../graph/graph';
import type { Probe } from '../../protocol/probes';
import { convNorm, convolution, groupNorm } from '../blocks/convolution';
import { answer, gridOf, meanOfMap, resizedMap, type Grid } from '../blocks/maps';
import { mapOfPhases, mapOfPhaseTokens, phasesOfMap, phaseTokens } from '../blocks/phases';
import { mapMlp } from '../blocks/pointwise';
import { activations, mlp, residual, selfAttention, withValue, type Tokens } from '../blocks/transformer';
import type { BuildOptions, ConfigValue, Evidence, Evidences, Family, Figures, Recognised } from '../family';
import { assumed, numberOf, numbersOf, stored, wordOf } from '../figures';
import { classesOf, countOf, decide, imageSizeOf, recognisedFrom, sourcesOf, type Sources } from '../sources';

type MapRecord = Partial<Omit<Probe, 'value' | 'heads'>>;

/** Epsilon of the batch norms in both libraries, whatever the blocks' is. */
const batchEps = 1e-5;

/** What differs from library to library beside names. */
interface Library {
  /** What a map of one of the interleaved sequences onto itself is. */
  readonly record: (patch: number) => MapRecord;
  /** Whether each of the interleaved sequences has a record of its own for its context scores, or they are rows of one. */
  readonly contexts: 'apart' | 'together';
  /** What becomes of the last row and column of an odd map before MobileViTv2 cuts it into patches. */
  readonly odd: 'resized' | 'cropped';
}

const libraries: Readonly<Record<string, Library>> = {
  timm: {
    record: (patch) => ({ kind: 'self', window: { size: patch, phases: [patch, patch] } }),
    contexts: 'apart',
    odd: 'resized',
  },
  transformers: {
    record: (patch) => ({ kind: 'window', window: { stride: patch } }),
    contexts: 'together',
    odd: 'cropped',
  },
};

/** What all blocks need to know beside their parameters. */
interface Settings {
  readonly library: Library;
  readonly patch: number;
  readonly eps: number;
  readonly activation: string;
  readonly heads: number;
}

/** Convolution, batch norm and an activation where one is named, under timm's names. */
const unit = (
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

/** Steps of the stages: once the map is as small as the output stride says, kernels widen instead (Chen et al. 2017, DeepLab v3 §3.1). */
function stepsOf(stages: number, outputStride: number): readonly Step[] {
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

/** Inverted residual (Sandler et al. 2018, §3.3): expand, depthwise convolution, reduce; with a shortcut where nothing changes its shape. */
function invertedResidual(b: GraphBuilder, x: ValueInfo, { activation }: Settings, step: Step): ValueInfo {
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
function selfBlock(b: GraphBuilder, tokens: Tokens, layer: string, settings: Settings): Tokens {
  const { eps, heads, activation, library, patch } = settings;
  const normed = withValue(tokens, b.layerNorm(tokens.value, 'norm1', eps));
  const record = library.record(patch);
  const mixed = residual(b, tokens.value, selfAttention(b, normed, 'attn', layer, { heads, eps, record }));
  const hidden = mlp(b, b.layerNorm(mixed, 'norm2', eps), 'mlp', { activation, eps });
  return withValue(tokens, residual(b, mixed, hidden));
}

/**
 * MobileViT block (Mehta & Rastegari 2022, §3.1): local convolutions, a transformer over each of the interleaved sequences of pixels, and a
 * convolution that fuses both with the input. A map with an odd side is resized for the transformer and back.
 */
function mobileBlock(b: GraphBuilder, x: ValueInfo, settings: Settings): ValueInfo {
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
 * Separable attention (Mehta & Rastegari 2022, MobileViTv2 §3.1) over `[batch, dim, sequences, n]`: one score per token says how much of its
 * key goes into the context, which every value is multiplied by.
 */
function separableAttention(
  b: GraphBuilder,
  x: ValueInfo,
  grid: Grid,
  layer: string,
  { library, patch }: Settings,
): ValueInfo {
  const [batch, dim, sequences, length] = x.shape as readonly [number, number, number, number];
  const [query, key, value] = b.split(convolution(b, x, 'qkv_proj'), [1, dim, dim], 1);
  const together = library.contexts === 'together';
  const shape = together ? [batch, 1, sequences, length] : [batch * sequences, 1, 1, length];
  const scores = b.reshape(b.add('Softmax', [query!], { axis: int(-1) }), shape);
  const keys = { special: [], grid };
  b.probe(
    scores,
    together
      ? { layer, kind: 'pool', queries: { special: [], queries: sequences }, keys }
      : { ...library.record(patch), layer, kind: 'pool', queries: { special: ['context'] }, keys },
  );
  const weighted = b.add('Mul', [key!, b.reshape(scores, [batch, 1, sequences, length])]);
  const context = b.add('ReduceSum', [weighted, b.indices([3])], { keepdims: int(1) });
  return convolution(b, b.add('Mul', [b.add('Relu', [value!]), context]), 'out_proj');
}

function separableBlock(
  b: GraphBuilder,
  x: ValueInfo,
  grid: Grid,
  layer: string,
  settings: Settings,
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

/** MobileViTv2 block (Mehta & Rastegari 2022, MobileViTv2 §3): as MobileViT's, with separable attention and without fusion. */
function separableMobileBlock(b: GraphBuilder, x: ValueInfo, settings: Settings): ValueInfo {
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
const blocks = [
  { has: 'transformer.0.attn.qkv_proj.weight', title: 'MobileViTv2 block', build: separableMobileBlock },
  { has: 'conv_1x1.weight', title: 'MobileViT block', build: mobileBlock },
  { has: 'conv2_kxk.conv.weight', title: 'Inverted residual', build: invertedResidual },
] as const;

/** Sizes at which the last map holds less than one patch, where it is cropped to whole ones. */
function requirePatches(figures: Figures, { odd }: Library, imageSize: readonly [number, number]): void {
  const least = numberOf(figures, 'output_stride') * numberOf(figures, 'patch');
  if (odd === 'resized' || figures['heads'] || imageSize.every((side) => side > least / 2)) return;
  const nearest = imageSize.map((side) => Math.max(side, least));
  throw new Error(
    `image size ${imageSize.join(' × ')} found; the last map must hold a patch, which takes more than ${least / 2} pixels. The nearest size is ${nearest.join(' × ')}.`,
  );
}

/** The last map `[batch, channels, rows, columns]` before the last convolution. */
function encode(
  b: GraphBuilder,
  figures: Figures,
  pixels: ValueInfo,
  settings: Omit<Settings, 'heads'>,
): ValueInfo {
  const counts = numbersOf(figures, 'blocks');
  const heads = figures['heads'] ? [...numbersOf(figures, 'heads')] : [];
  let map = unit(b, pixels, 'stem', { activation: settings.activation, stride: 2 });
  for (const [stage, first] of stepsOf(counts.length, numberOf(figures, 'output_stride')).entries())
    for (let index = 0; index < counts[stage]!; index++) {
      const path = `stages.${stage}.${index}`;
      const kind = blocks.find(({ has }) => b.has(`${path}.${has}`));
      if (!kind) throw new ParameterError(path, 'no kind of block that a MobileViT has');
      const attends = b.has(`${path}.transformer.0.norm1.weight`);
      const own = { ...settings, heads: (attends && heads.shift()) || 1 };
      const step = index === 0 ? first : { stride: 1, dilation: 1 };
      map = b.scope(path, () => kind.build(b, map, own, step), { title: kind.title });
    }
  return map;
}

function build(b: GraphBuilder, { figures }: Recognised, { imageSize, batch }: BuildOptions): void {
  const library = libraries[wordOf(figures, 'library')]!;
  requirePatches(figures, library, imageSize);
  const activation = wordOf(figures, 'activation');
  const pixels = b.input('pixel_values', [batch, numberOf(figures, 'channels'), ...imageSize]);
  const map = encode(b, figures, pixels, {
    library,
    activation,
    patch: numberOf(figures, 'patch'),
    eps: numberOf(figures, 'eps'),
  });
  const last = b.has('final_conv.conv.weight') ? unit(b, map, 'final_conv', { activation }) : map;
  answer(b, meanOfMap(b, last), last, 'head.fc');
}

/** Letters of MobileViT's published sizes by the widths of its first transformer. */
const sizes: Readonly<Record<number, string>> = { 64: 'XXS', 96: 'XS', 144: 'S' };

/** `MobileViT-XS`, `MobileViTv2-1.0` (the multiplier of its widths). */
function titleOf(separable: boolean, dims: readonly number[]): string {
  return separable
    ? `MobileViTv2-${(dims[0]! / 128).toFixed(2)}`
    : `MobileViT-${sizes[dims[0]!] ?? dims.join('/')}`;
}

/** One number of heads for all stages, or one for each, which must divide the widths. */
function headsFigure(sources: Sources, dims: readonly number[]): Evidence {
  const each = (value: ConfigValue): readonly number[] => {
    const heads = [value].flat().map(Number);
    return heads.length === 1 ? dims.map(() => heads[0]!) : heads;
  };
  const evidence = decide(sources, 'heads', {
    config: ['num_attention_heads'],
    published: ({ heads }) => heads,
    otherwise: assumed(4, 'as all published models have; not stored in the weights'),
    is: (value) =>
      each(value).length === dims.length &&
      each(value).every((heads, stage) => heads > 0 && dims[stage]! % heads === 0),
    needed: `a number that divides the widths ${dims.join(', ')}`,
  });
  return { ...evidence, value: each(evidence.value) };
}

const isWhole = (value: ConfigValue): boolean =>
  typeof value === 'number' && Number.isInteger(value) && value > 0;

/** What weights do not tell. */
function settingsOf(sources: Sources): Figures {
  const { dialect, tensors } = sources.evidences;
  const segments = [...tensors.keys()].some((name) => name.startsWith('beside.segmentation_head.'));
  const published = sources.published.length > 0 ? stored(2, 'as published') : undefined;
  return {
    library: stored(dialect.name, `${dialect.title} names of the tensors`),
    patch: decide(sources, 'patch', {
      config: ['patch_size'],
      otherwise: published ?? assumed(2, 'as all published models have; not stored in the weights'),
      is: isWhole,
      needed: 'a whole number',
    }),
    output_stride: decide(sources, 'output_stride', {
      config: ['output_stride'],
      otherwise: segments
        ? assumed(16, 'as the published models with a segmentation head have')
        : stored(32, 'classifiers halve the map in every stage'),
      is: (value) => [8, 16, 32].includes(Number(value)),
      needed: '8, 16 or 32',
    }),
    activation: decide(sources, 'activation', {
      config: ['hidden_act'],
      otherwise: stored('silu', `default of ${dialect.title}`),
      is: (value) => Object.hasOwn(activations, String(value)),
      needed: `one of ${Object.keys(activations).join(', ')}`,
    }),
    eps: decide(sources, 'eps', {
      config: ['layer_norm_eps'],
      otherwise: stored(dialect.eps, `default of ${dialect.title}`),
    }),
  };
}

function recognise(evidences: Evidences): Recognised | undefined {
  const { tensors } = evidences;
  const counts = Array.from({ length: countOf(tensors, 'stages') }, (_, stage) =>
    countOf(tensors, `stages.${stage}`),
  );
  const paths = counts
    .map((_, stage) => `stages.${stage}.1`)
    .filter((path) => tensors.has(`${path}.conv_1x1.weight`));
  const channels = tensors.get('stem.conv.weight')?.shape[1];
  const [first] = paths;
  if (first === undefined || channels === undefined) return undefined;
  const sources = sourcesOf(evidences);
  const dims = paths.map((path) => tensors.get(`${path}.conv_1x1.weight`)!.shape[0]!);
  const separable = tensors.has(`${first}.transformer.0.attn.qkv_proj.weight`);
  const { imageSize, figure } = imageSizeOf(sources, [256, 256]);
  return recognisedFrom(sources, {
    label: separable ? 'mobilevitv2' : 'mobilevit',
    title: titleOf(separable, dims),
    figures: {
      blocks: stored(counts, 'stages.*'),
      dims: stored(dims, `${first}.conv_1x1.weight`),
      depths: stored(
        paths.map((path) => countOf(tensors, `${path}.transformer`)),
        `${first}.transformer.*`,
      ),
      ...(!separable && { heads: headsFigure(sources, dims) }),
      ...settingsOf(sources),
      channels: stored(channels, 'stem.conv.weight'),
      classes: classesOf(tensors, 'head.fc'),
      image_size: figure,
    },
    imageSize,
    sizeStep: [32, 32],
    pixels: 'unit',
  });
}

/** MobileViT (Mehta & Rastegari 2022) and MobileViTv2: convolutions, and transformers over interleaved sequences of a map's pixels. */
export const mobileVit: Family = {
  name: 'mobilevit',
  title: 'MobileViT',
  assumable: ['heads', 'patch', 'output_stride', 'activation', 'eps'],
  recognise,
  build,
};
