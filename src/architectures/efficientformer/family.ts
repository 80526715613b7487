import { images } from '../blocks/images';
import { distilledAnswer } from '../heads/classifier';
import { at, last } from '../../domain/lists';
import type { Grid, Size } from '../../domain/size';
import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { biasedAttention, biasedFormula } from '../blocks/attentionBiases';
import {
  averagePool,
  batchNorm,
  convNorm,
  convNormModule,
  convolution,
  type ConvolutionOptions,
} from '../blocks/convolution';
import { layerScale, maybeNorm, residual, withValue, type Tokens } from '../blocks/layers';
import { mapAttention } from '../blocks/mapAttention';
import { layerScaleOfMap, mapToTokens, meanOfMap, meanOfTokens, sequence, tokensToMap } from '../blocks/maps';
import { parameterSide } from '../blocks/parts';
import { mapStage, stages, type ImageMaps } from '../blocks/stages';
import { mlp, selfProbe } from '../blocks/transformer';
import type { BuildOptions, Evidence, Family, Found, Recognised } from '../family';
import { configOf, stored } from '../evidence';
import { learnedImageSize, mapOf, requireResolution, resolutionOf } from '../groups/learnedMaps';
import { sizeTitle, type Sizes } from '../sizes';
import { activationOf, classesOf, countOf, decide, recognisedFrom, sourcesOf, type Sources } from '../decide';
import { efficientFormerNames } from './names';

type Tensors = Found['tensors'];

/** PyTorch's default of batch norms and layer norms. */
const eps = 1e-5;

/**
 * Pixels per position of the last map: the stem takes 4 × 4, each of the three other stages halves.
 */
const lastStride = 32;

/** Sizes of both versions (Li et al. 2022, 2023). */
const sizes: Readonly<Record<'EfficientFormer' | 'EfficientFormerV2', Sizes>> = {
  EfficientFormer: { '3,2,6,4 48': 'L1', '4,4,12,6 64': 'L3', '6,6,18,8 96': 'L7' },
  EfficientFormerV2: { '2,2,6,4 32': 'S0', '3,3,9,6 32': 'S1', '4,4,12,8 32': 'S2', '5,5,15,10 40': 'L' },
};

/**
 * Indices of the blocks of a stage that hold parameters: the first version counts the flattening
 * before attention as one more.
 */
function blocksOf(tensors: Tensors, stage: number): readonly number[] {
  const path = `stages.${stage}.blocks`;
  const all = Array.from({ length: countOf(tensors, path) }, (_, index) => index);
  const names = [...tensors.keys()];
  return all.filter((index) => names.some((name) => name.startsWith(`${path}.${index}.`)));
}

interface EfficientFormerConfig {
  /** Indices in the names of every stage's blocks, by what each of them ends with. */
  readonly blocks: readonly (readonly number[])[];
  readonly stem_activation: string;
  readonly activation: string;
  /** Side of the windows that the first version pools; the second pools none. */
  readonly pool_size?: number;
  /** Rows and columns of the last map that the attention biases were learned for. */
  readonly resolution: Grid;
}

function recognise(found: Found): Recognised<EfficientFormerConfig> | undefined {
  const { tensors } = found;
  const sources = sourcesOf(found);
  const blocks = Array.from({ length: countOf(tensors, 'stages') }, (_, stage) => blocksOf(tensors, stage));
  const shape = (name: string): readonly number[] => tensors.get(name)?.shape ?? [];
  const tables = blocks.flatMap((indices, stage) => {
    const table = indices
      .map((index) => shape(`stages.${stage}.blocks.${index}.token_mixer.attention_biases`))
      .find(({ length }) => length === 2);
    return table ? [table] : [];
  });
  const ends = ['ls2.gamma', 'mlp.fc2.conv.weight'];
  const written = blocks.map((indices, stage) =>
    indices.filter((index) => ends.some((end) => tensors.has(`stages.${stage}.blocks.${index}.${end}`))),
  );
  const positions = tables.at(-1)?.[1];
  if (positions === undefined) return undefined;
  const second = tensors.has('stem.conv1.conv.weight');
  const resolution = resolutionOf(sources, positions, lastStride);
  const { imageSize, evidence: sized } = learnedImageSize(sources, resolution, lastStride);
  const fc = second ? 'mlp.fc2.conv.weight' : 'mlp.fc2.weight';
  const depths = blocks.map(({ length }) => length);
  const [width = 0] = shape('norm.weight');
  const dims = blocks.map((_, stage) => shape(`stages.${stage}.blocks.0.${fc}`)[0] ?? width);
  const version = second ? 'EfficientFormerV2' : 'EfficientFormer';
  const settled = {
    depth: stored(depths, 'stages.*.blocks'),
    dim: stored(dims, `stages.*.blocks.0.${fc}`),
    heads: stored(
      tables.map(([heads = 0]) => heads),
      'stages.*.blocks.*.token_mixer.attention_biases',
    ),
    patch: stored(4, 'stem.conv1, stem.conv2'),
    resolution,
    image_size: sized,
    classes: classesOf(tensors, 'head'),
    activation: activationOf(sources, stored('gelu', "EfficientFormer's in timm")),
    ...(!second && { pool_size: poolSizeOf(sources) }),
  };
  return recognisedFrom(sources, {
    label: second ? 'efficientformer_v2' : 'efficientformer',
    title: sizeTitle(version, sizes[version], depths, dims),
    imageSize,
    sizeStep: [lastStride, lastStride],
    pixels: 'imagenet',
    evidence: settled,
    config: { ...configOf(settled), blocks: written, stem_activation: second ? 'gelu' : 'relu' },
  });
}

const poolSizeOf = (sources: Sources): Evidence<number> =>
  decide(sources, 'pool_size', {
    config: ['pool_size'],
    otherwise: stored(3, "EfficientFormer's in timm"),
    is: (value) => typeof value === 'number' && value > 0,
    needed: 'a number above 0',
  });

type UnitOptions = ConvolutionOptions & { readonly activation?: string };

/**
 * Convolution and batch norm: `name.conv` and `name.bn` in the second version, `conv1` and `norm1`
 * side by side in the first.
 */
function unit(b: GraphBuilder, map: ValueInfo, name: string, options: UnitOptions = {}): ValueInfo {
  if (b.has(`${name}.conv.weight`)) return convNormModule(b, map, name, { ...options, eps });
  return convNorm(b, map, name, name.replace(/(?:conv|fc)(\d*)$/, 'norm$1'), { ...options, eps });
}

/** Self-attention on the last map, among tokens (Li et al. 2022, EfficientFormer §4.1). */
function tokenAttention(b: GraphBuilder, tokens: Tokens, layer: string): ValueInfo {
  return b.scope(
    'token_mixer',
    () => {
      const heads = parameterSide(b, 'attention_biases', 0);
      const mixed = biasedAttention(b, b.linear(tokens.value, 'qkv'), tokens, {
        values: parameterSide(b, 'proj.weight', 1) / heads,
        probe: selfProbe(tokens, layer),
      });
      return b.linear(mixed, 'proj');
    },
    { title: 'Multi-head self-attention', formula: biasedFormula },
  );
}

/** A transformer block of the first version. */
function tokenBlock(b: GraphBuilder, map: ValueInfo, activation: string): ValueInfo {
  const tokens = mapToTokens(b, map);
  const normed = withValue(tokens, maybeNorm(b, tokens.value, 'norm1', eps));
  const attended = tokenAttention(b, normed, b.scopePath);
  const mixed = residual(b, tokens.value, layerScale(b, attended, 'ls1'));
  const fed = mlp(b, maybeNorm(b, mixed, 'norm2', eps), 'mlp', { activation, eps });
  return tokensToMap(b, withValue(tokens, residual(b, mixed, layerScale(b, fed, 'ls2'))));
}

/** Mean of the neighbours without the position itself, as in PoolFormer (Yu et al. 2022, §3.2). */
function pooling(b: GraphBuilder, map: ValueInfo, kernel: number): ValueInfo {
  const mean = averagePool(b, map, { kernel, stride: 1, padding: kernel >> 1, countPadding: false });
  return b.add('Sub', [mean, map]);
}

/** Talking-heads attention of a block: on every second row and column if the map is large. */
function talkingAttention(b: GraphBuilder, map: ValueInfo, activation: string): ValueInfo {
  const layer = b.scopePath;
  return b.scope(
    'token_mixer',
    () => {
      const strided = b.has('stride_conv.conv.weight') ? unit(b, map, 'stride_conv', { stride: 2 }) : map;
      const query = mapToTokens(b, unit(b, strided, 'q'));
      return mapAttention(b, strided, layer, { query, stride: 1, activation, eps });
    },
    { title: 'Talking-heads attention', formula: `W_w·softmax(W_l·(QKᵀ/√d + B)) · V + conv(V)` },
  );
}

/**
 * Attention whose queries are every second row and column, beside a strided convolution (Li et al.
 * 2023, §3.3).
 */
function downsample(b: GraphBuilder, map: ValueInfo, activation: string): ValueInfo {
  const convolved = unit(b, map, 'conv', { stride: 2 });
  if (!b.has('attn.attention_biases')) return convolved;
  const layer = b.scopePath;
  const attended = b.scope(
    'attn',
    () => {
      const local = convolution(b, map, 'q.local', { stride: 2 });
      const pooled = averagePool(b, map, { kernel: 1, stride: 2 });
      const query = mapToTokens(b, unit(b, b.add('Add', [local, pooled]), 'q.proj'));
      return mapAttention(b, map, layer, { query, stride: 2, activation, eps });
    },
    { title: 'Downsampling attention', formula: biasedFormula },
  );
  return b.add('Add', [attended, convolved]);
}

/** 1 × 1 convolutions with norms, a depthwise one between them in the second version. */
function convolutionalMlp(b: GraphBuilder, map: ValueInfo, activation: string): ValueInfo {
  return b.scope(
    'mlp',
    () => {
      const hidden = unit(b, map, 'fc1', { activation });
      const local = b.has('mid.conv.weight') ? unit(b, hidden, 'mid', { activation }) : hidden;
      return unit(b, local, 'fc2');
    },
    { title: 'Convolutional MLP', formula: 'norm(W₂ · act(norm(W₁x)))' },
  );
}

/**
 * Mixing of a block's positions: attention, pooling in the first version, nothing in the second,
 * whose MLPs have convolutions that mix.
 */
function mixedMap(b: GraphBuilder, map: ValueInfo, config: EfficientFormerConfig): ValueInfo {
  const attends = b.has('token_mixer.q.conv.weight');
  const { pool_size: poolSize, activation } = config;
  if (!attends && poolSize === undefined) return map;
  const mixed =
    poolSize === undefined || attends ? talkingAttention(b, map, activation) : pooling(b, map, poolSize);
  return residual(b, map, layerScaleOfMap(b, mixed, 'ls1'));
}

function block(b: GraphBuilder, map: ValueInfo, config: EfficientFormerConfig): ValueInfo {
  if (b.has('token_mixer.qkv.weight')) return tokenBlock(b, map, config.activation);
  const mixed = mixedMap(b, map, config);
  const fed = convolutionalMlp(b, mixed, config.activation);
  return residual(b, mixed, layerScaleOfMap(b, fed, 'ls2'));
}

/** The map before the blocks of a stage: downsampled, if the stage has parameters for that. */
function entered(b: GraphBuilder, map: ValueInfo, activation: string): ValueInfo {
  const downsampled = ['downsample.conv.weight', 'downsample.conv.conv.weight'].some((name) => b.has(name));
  return downsampled
    ? b.scope('downsample', () => downsample(b, map, activation), { title: 'Downsampling' })
    : map;
}

/**
 * Refuses sizes whose maps are not those of the biases; a map that is halved for attention must be
 * twice as large as after it.
 */
function requireSize(b: GraphBuilder, [rows, columns]: Grid, imageSize: Size): void {
  requireResolution(mapOf(imageSize, lastStride), [rows, columns], imageSize, lastStride);
  if (b.has('stem.conv1.conv.weight'))
    requireResolution(mapOf(imageSize, lastStride / 2), [2 * rows, 2 * columns], imageSize, lastStride / 2);
}

/** The stem and the stages (Li et al. 2022, §4; 2023, §3). */
function build(
  b: GraphBuilder,
  config: EfficientFormerConfig,
  { imageSize, batch }: BuildOptions,
): ImageMaps {
  requireSize(b, config.resolution, imageSize);
  const pixels = images(b, [batch, ...imageSize], 'stem.conv1', 'stem.conv1.conv');
  const options = { stride: 2, activation: config.stem_activation };
  const embedded = b.scope('stem', () => unit(b, unit(b, pixels, 'conv1', options), 'conv2', options), {
    title: 'Convolutional stem',
  });
  const maps = stages(b, embedded, {
    depths: config.blocks.map(({ length }) => length),
    module: (stage) => ({ path: `stages.${stage}` }),
    enter: (map) => entered(b, map, config.activation),
    path: ({ stage, index }) => `blocks.${at(at(config.blocks, stage), index)}`,
    block: (map) => block(b, map, config),
    note: { title: 'EfficientFormer block' },
  });
  return { stages: maps.map((map) => mapStage(map, imageSize)), map: last(maps) };
}

/**
 * The last norm, the mean over all positions, and the heads; the first version keeps tokens, the
 * second a map.
 */
function head(b: GraphBuilder, { map }: ImageMaps): void {
  if (b.has('norm.running_mean')) {
    const normed = batchNorm(b, map, 'norm', eps);
    distilledAnswer(b, meanOfMap(b, normed), normed, eps);
    return;
  }
  const tokens = mapToTokens(b, map);
  const normed = withValue(tokens, maybeNorm(b, tokens.value, 'norm', eps));
  const all = sequence(b, normed);
  distilledAnswer(b, meanOfTokens(b, normed), all, eps);
}

/**
 * EfficientFormer (Li et al. 2022) and EfficientFormerV2 (Li et al. 2023): pooling or convolutions
 * on large maps, attention on small ones.
 */
export const efficientFormer: Family<EfficientFormerConfig, ImageMaps> = {
  name: 'efficientformer',
  title: 'EfficientFormer',
  names: efficientFormerNames,
  assumable: ['activation', 'pool_size', 'resolution'],
  recognise,
  build,
  head,
};
