import { images } from '../blocks/images';
import { distilledAnswer } from '../heads/classifier';
import { at, last } from '../../domain/lists';
import type { Grid } from '../../domain/size';
import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { biasedAttention, biasedFormula, offsetBiases } from '../blocks/attentionBiases';
import { batchNorm, convNorm, convolution, linearNorm } from '../blocks/convolution';
import { activate, residual, withValue, type Tokens } from '../blocks/layers';
import {
  gridOf,
  gridOfLayout,
  gridSequence,
  gridTokens,
  mapToTokens,
  meanOfTokens,
  sequence,
  tokensToMap,
} from '../blocks/maps';
import { parameterSide, splitInTwo } from '../blocks/parts';
import { stages, tokenStage, type TokenMaps } from '../blocks/stages';
import { mergeHeads, selfProbe, splitHeads } from '../blocks/transformer';
import type { BuildOptions, Evidence, Family, Found, Recognised } from '../family';
import { assumed, configOf, stored } from '../evidence';
import { learnedImageSize, mapOf, requireResolution, resolutionOf } from '../groups/learnedMaps';
import { sizeTitle, type Sizes } from '../sizes';
import { activationOf, classesOf, countOf, recognisedFrom, sideOf, sourcesOf } from '../decide';
import { levitNames } from './names';
import { quantity } from '../../domain/units';

type Tensors = Found['tensors'];

/** Batch norms have PyTorch's default everywhere. */
const eps = 1e-5;

/** Pixels per position behind the stem of all published models but two of timm's. */
const usualStride = 16;

/** Queries of a downsampling are every second row and column (Graham et al. 2021, LeViT §4.3). */
const queryStride = 2;

/** What timm's entry functions set: hard-swish as published, SiLU in its own variants. */
const namedActivations = [
  [/^levit(?:_conv)?_(?:\d+_s8|512|256d|512d)/, 'silu'],
  [/levit/, 'hard_swish'],
] as const;

/** Sizes of Graham et al. 2021 (LeViT, table 2); 512 and those that end in D are timm's. */
const sizes: Sizes = {
  '2,3,4 128': '128S',
  '4,4,4 128': '128',
  '4,4,4 192': '192',
  '4,4,4 256': '256',
  '4,4,4 384': '384',
  '4,4,4 512': '512',
  '4,8,6 256': '256D',
  '4,8,6 512': '512D',
};

/**
 * Blocks with attention of a stage: transformers' names count the MLP after a downsampling as one
 * more.
 */
function depthOf(tensors: Tensors, stage: string): number {
  const all = countOf(tensors, `${stage}.blocks`);
  return tensors.has(`${stage}.blocks.${all - 1}.attn.attention_biases`) ? all : all - 1;
}

/** Hyper-parameters of one stage, as the shapes of its first block show them. */
function measureStage(tensors: Tensors, stage: string) {
  const shape = (name: string): readonly number[] => tensors.get(`${stage}.${name}`)?.shape ?? [];
  const [heads = 0, positions = 0] = shape('blocks.0.attn.attention_biases');
  const [dim = 0, values = 0] = shape('blocks.0.attn.proj.ln.linear.weight');
  const [fused = 0] = shape('blocks.0.attn.qkv.linear.weight');
  const [hidden = 0] = shape('blocks.0.mlp.ln1.linear.weight');
  const [downsampleHeads] = shape('downsample.attn_downsample.attention_biases');
  const keyDim = (fused - values) / 2 / heads;
  return {
    depth: depthOf(tensors, stage),
    dim,
    heads,
    positions,
    keyDim,
    valueRatio: values / heads / keyDim,
    mlpRatio: hidden / dim,
    downsampleHeads,
  };
}

interface LeViTConfig {
  readonly depth: readonly number[];
  readonly activation: string;
  /** Pixels per position behind the stem. */
  readonly patch: number;
  /** Rows and columns of the map behind the stem that the attention biases were learned for. */
  readonly resolution: Grid;
}

function recognise(found: Found): Recognised<LeViTConfig> | undefined {
  const { tensors, dialect } = found;
  const sources = sourcesOf(found);
  const paths = Array.from({ length: countOf(tensors, 'stages') }, (_, index) => `stages.${index}`);
  const measured = paths.map((path) => measureStage(tensors, path));
  if (measured.some(({ heads, dim }) => heads === 0 || dim === 0)) return undefined;
  const each = (key: keyof (typeof measured)[number], source: string): Evidence<readonly number[]> =>
    stored(
      measured.flatMap((stage) => stage[key] ?? []),
      source,
    );
  const biases = 'stages.0.blocks.0.attn.attention_biases';
  const stride = 2 ** stemDepth((name) => tensors.has(name));
  const resolution = resolutionOf(sources, sideOf(tensors, biases, 1), stride);
  const { imageSize, evidence: sized } = learnedImageSize(sources, resolution, stride);
  const settled = {
    depth: each('depth', 'stages.*.blocks'),
    dim: each('dim', 'stages.*.blocks.0.attn.proj.ln.linear.weight'),
    heads: each('heads', 'stages.*.blocks.0.attn.attention_biases'),
    downsample_heads: each('downsampleHeads', 'stages.*.downsample.attn_downsample.attention_biases'),
    key_dim: each('keyDim', 'stages.*.blocks.0.attn.qkv.linear.weight'),
    value_ratio: each('valueRatio', 'stages.*.blocks.0.attn.proj.ln.linear.weight'),
    mlp_ratio: each('mlpRatio', 'stages.*.blocks.0.mlp.ln1.linear.weight'),
    patch: stored(stride, 'stem.conv1 …'),
    resolution,
    image_size: sized,
    classes: classesOf(tensors, 'head.linear'),
    activation: activationOf(
      sources,
      dialect.name === 'timm'
        ? assumed('hard_swish', 'as published; not stored in the weights')
        : stored('hard_swish', `fixed in ${dialect.title}`),
      { named: namedActivations },
    ),
  };
  return recognisedFrom(sources, {
    label: 'levit',
    title: [
      sizeTitle('LeViT', sizes, settled.depth.value, settled.dim.value),
      ...(tensors.has('head_dist.linear.weight') ? [' distilled'] : []),
      ...(stride === usualStride ? [] : [`, stem of stride ${stride}`]),
    ].join(''),
    imageSize,
    sizeStep: [stride, stride],
    pixels: 'imagenet',
    evidence: settled,
    config: configOf(settled),
  });
}

/** Convolutions of the stem, each of which halves the map. */
function stemDepth(has: (name: string) => boolean): number {
  let depth = 0;
  while (has(`stem.conv${depth + 1}.linear.weight`)) depth++;
  return depth;
}

/** Convolutions with stride 2 and an activation between them (Graham et al. 2021, §4.1). */
function stem(b: GraphBuilder, pixels: ValueInfo, activation: string): ValueInfo {
  const depth = stemDepth((name) => b.has(name));
  return b.scope(
    'stem',
    () =>
      Array.from({ length: depth }, (_, index) => index + 1).reduce(
        (map, index) =>
          convNorm(b, map, `conv${index}.linear`, `conv${index}.bn`, {
            stride: 2,
            eps,
            ...(index < depth && { activation }),
          }),
        pixels,
      ),
    { title: 'Convolutional stem' },
  );
}

/**
 * A layer without bias and its batch norm: linear, or a 1 × 1 convolution in the variants of timm
 * that keep maps.
 */
function layerNormed(b: GraphBuilder, tokens: Tokens, name: string): Tokens {
  return b.scope(name, () => {
    if (b.shapeOf('linear.weight').length === 2)
      return withValue(tokens, linearNorm(b, tokens.value, 'linear', 'bn', eps));
    return mapToTokens(b, batchNorm(b, convolution(b, tokensToMap(b, tokens), 'linear'), 'bn', eps));
  });
}

/** Two layers with their norms and an activation between them, in a residual connection. */
function mlp(b: GraphBuilder, tokens: Tokens, name: string, activation: string): Tokens {
  return b.scope(
    name,
    () => {
      const hidden = layerNormed(b, tokens, 'ln1');
      const out = layerNormed(b, withValue(hidden, activate(b, hidden.value, activation)), 'ln2');
      return withValue(tokens, residual(b, tokens.value, out.value));
    },
    { title: 'Multi-layer perceptron', formula: 'x + norm(W₂ · act(norm(W₁x)))' },
  );
}

/** Mixed values `[batch · queries, heads · d]` through the activation and the projection. */
function project(b: GraphBuilder, mixed: ValueInfo, queries: Tokens, activation: string): Tokens {
  return layerNormed(b, withValue(queries, activate(b, mixed, activation)), 'proj.ln');
}

/**
 * Self-attention whose values may be wider than its keys, with biases per offset (Graham et al.
 * 2021, §4.2).
 */
function attention(b: GraphBuilder, tokens: Tokens, activation: string): Tokens {
  const layer = b.scopePath;
  const heads = parameterSide(b, 'attn.attention_biases', 0);
  return b.scope(
    'attn',
    () => {
      const fused = layerNormed(b, tokens, 'qkv').value;
      const mixed = biasedAttention(b, fused, tokens, {
        values: parameterSide(b, 'proj.ln.linear.weight', 1) / heads,
        probe: selfProbe(tokens, layer),
      });
      return project(b, mixed, tokens, activation);
    },
    { title: `Multi-head self-attention, ${quantity(heads, 'head')}`, formula: biasedFormula },
  );
}

/** Every second row and column of the tokens. */
function subsampled(b: GraphBuilder, tokens: Tokens): Tokens {
  const [rows, columns] = gridOfLayout(tokens.layout);
  const every = (x: ValueInfo, axis: number): ValueInfo =>
    b.add('Slice', [
      x,
      b.indices([0]),
      b.indices([at(x.shape, axis)]),
      b.indices([axis]),
      b.indices([queryStride]),
    ]);
  const value = every(every(gridSequence(b, tokens), 1), 2);
  const grid = mapOf([rows, columns], queryStride);
  return gridTokens(
    b.reshape(value, [tokens.batch * grid[0] * grid[1], at(tokens.value.shape, 1)]),
    tokens.batch,
    grid,
  );
}

/**
 * Attention of every second row and column to all positions, which makes the next stage's smaller
 * map (Graham et al. 2021, §4.3).
 */
function attentionDownsampling(b: GraphBuilder, tokens: Tokens, activation: string): Tokens {
  const heads = parameterSide(b, 'attention_biases', 0);
  const queries = subsampled(b, tokens);
  const query = splitHeads(b, layerNormed(b, queries, 'q.ln').value, tokens.batch, heads);
  const fused = splitHeads(b, layerNormed(b, tokens, 'kv').value, tokens.batch, heads);
  const width = at(query.shape, 3);
  const [key, value] = splitInTwo(b, fused, 3, [width, at(fused.shape, 3) - width]);
  const mixed = b.attention(query, key, value, {
    bias: offsetBiases(b, 'attention_biases', gridOfLayout(tokens.layout), queryStride),
    probe: {
      layer: b.scopePath,
      kind: 'reduced',
      queries: queries.layout,
      keys: tokens.layout,
      query_stride: queryStride,
    },
  });
  return project(b, mergeHeads(b, mixed), queries, activation);
}

/** The downsampling before a stage and the MLP that follows it. */
function downsample(
  b: GraphBuilder,
  tokens: Tokens,
  stage: number,
  { depth, activation }: LeViTConfig,
): Tokens {
  const smaller = b.scope(
    `stages.${stage}.downsample.attn_downsample`,
    () => attentionDownsampling(b, tokens, activation),
    { title: 'Downsampling attention', formula: biasedFormula },
  );
  const own = `stages.${stage}.downsample.mlp`;
  return mlp(
    b,
    smaller,
    b.has(`${own}.ln1.linear.weight`) ? own : `stages.${stage - 1}.blocks.${at(depth, stage - 1)}.mlp`,
    activation,
  );
}

/** A block: attention and MLP, each in a residual connection. */
function block(b: GraphBuilder, tokens: Tokens, activation: string): Tokens {
  const mixed = residual(b, tokens.value, attention(b, tokens, activation).value);
  return mlp(b, withValue(tokens, mixed), 'mlp', activation);
}

/** The stem and the stages, the smaller maps made by attention (Graham et al. 2021, §4). */
function build(b: GraphBuilder, config: LeViTConfig, { imageSize, batch }: BuildOptions): TokenMaps {
  const { activation, patch, resolution } = config;
  const map = stem(b, images(b, [batch, ...imageSize], 'stem.conv1.linear'), activation);
  requireResolution(gridOf(map), resolution, imageSize, patch);
  const ends = stages(b, mapToTokens(b, map), {
    depths: config.depth,
    enter: (tokens, stage) => (stage > 0 ? downsample(b, tokens, stage, config) : tokens),
    path: ({ stage, index }) => `stages.${stage}.blocks.${index}`,
    block: (tokens) => block(b, tokens, activation),
    note: { title: 'LeViT block' },
  });
  return { stages: ends.map((tokens) => tokenStage(tokens, imageSize)), tokens: last(ends) };
}

/** The mean of all tokens, and the heads; variants of timm keep maps. */
function head(b: GraphBuilder, { tokens }: TokenMaps): void {
  const keepsMaps = b.shapeOf('stages.0.blocks.0.attn.qkv.linear.weight').length === 4;
  const all = keepsMaps ? tokensToMap(b, tokens) : sequence(b, tokens);
  distilledAnswer(b, meanOfTokens(b, tokens), all, eps);
}

/**
 * LeViT (Graham et al. 2021): a convolutional stem, then attention with biases per offset on maps
 * that shrink by attention.
 */
export const levit: Family<LeViTConfig, TokenMaps> = {
  name: 'levit',
  title: 'LeViT',
  names: levitNames,
  assumable: ['activation', 'resolution'],
  recognise,
  build,
  head,
};
