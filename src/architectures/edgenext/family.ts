import { images } from '../blocks/images';
import { answer } from '../heads/classifier';
import { at, last } from '../../domain/lists';
import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { convolution } from '../blocks/convolution';
import { crossCovarianceAttention, withFourierPositions } from '../blocks/crossCovariance';
import { layerScale, maybeNorm, residual, withValue } from '../blocks/layers';
import { mapNorm, mapToTokens, meanOfMap, tokensToMap } from '../blocks/maps';
import { parameterSide } from '../blocks/parts';
import { mapStage, stages, type ImageMaps } from '../blocks/stages';
import { mlp } from '../blocks/transformer';
import type { BuildOptions, Family, Found, Recognised } from '../family';
import { configOf, stored } from '../evidence';
import { sizeTitle, type Sizes } from '../sizes';
import { activationOf, classesOf, imageSizeOf, recognisedFrom, sourcesOf, stageDepths } from '../decide';
import { edgeNextNames } from './names';

/** Epsilon of all norms, which timm's constructor fixes. */
const eps = 1e-6;

/**
 * Pixels per position of the last map: the stem takes 4 × 4, each of the three other stages halves.
 */
const lastStride = 32;

/** Sizes of Maaz et al. 2022 (EdgeNeXt, table 1); RW is timm's own. */
const sizes: Sizes = {
  '2,2,6,2 24': 'XXS',
  '3,3,9,3 32': 'XS',
  '3,3,9,3 48,96,160': 'S',
  '3,3,9,3 48,96,192': 'S-RW',
  '3,3,9,3 80': 'B',
};

interface EdgeNeXtConfig {
  readonly depth: readonly number[];
  readonly activation: string;
  /** Whether a stage begins with a strided convolution; if not, its first block strides. */
  readonly downsamples: readonly boolean[];
}

function recognise(found: Found): Recognised<EdgeNeXtConfig> {
  const { tensors } = found;
  const sources = sourcesOf(found);
  const depth = stageDepths(tensors);
  const shape = (name: string): readonly number[] => tensors.get(name)?.shape ?? [];
  const heads = depth.flatMap((blocks, stage) => {
    const [first] = shape(`stages.${stage}.blocks.${blocks - 1}.xca.temperature`);
    return first === undefined ? [] : [first];
  });
  const dims = depth.map((_, stage) => shape(`stages.${stage}.blocks.0.mlp.fc2.weight`)[0] ?? 0);
  const { imageSize, evidence: sized } = imageSizeOf(sources, [256, 256]);
  const settled = {
    depth: stored(depth, 'stages.*.blocks'),
    dim: stored(dims, 'stages.*.blocks.0.mlp.fc2.weight'),
    heads: stored(heads, 'stages.*.blocks.*.xca.temperature'),
    kernel: stored(
      depth.map((_, stage) => shape(`stages.${stage}.blocks.0.conv_dw.weight`)[2] ?? 0),
      'stages.*.blocks.0.conv_dw.weight',
    ),
    mlp_ratio: stored(
      dims.map((dim, stage) => (shape(`stages.${stage}.blocks.0.mlp.fc1.weight`)[0] ?? 0) / dim),
      'stages.*.blocks.0.mlp.fc1.weight',
    ),
    patch: stored(4, 'stem.0'),
    image_size: sized,
    classes: classesOf(tensors, 'head.fc'),
    activation: activationOf(sources, stored('gelu', "EdgeNeXt's in timm")),
  };
  return recognisedFrom(sources, {
    label: 'edgenext',
    title: sizeTitle('EdgeNeXt', sizes, depth, dims),
    imageSize,
    sizeStep: [lastStride, lastStride],
    pixels: 'imagenet',
    evidence: settled,
    config: {
      ...configOf(settled),
      downsamples: depth.map((_, stage) => tensors.has(`stages.${stage}.downsample.1.weight`)),
    },
  });
}

/** Norm, MLP and layer scale of every position, as a map. */
function pointwise(b: GraphBuilder, map: ValueInfo, activation: string): ValueInfo {
  const tokens = mapToTokens(b, map);
  const fed = mlp(b, maybeNorm(b, tokens.value, 'norm', eps), 'mlp', { activation, eps });
  return tokensToMap(b, withValue(tokens, layerScale(b, fed, 'gamma')));
}

/**
 * A ConvNeXt block (Liu et al. 2022); if it changes the map's size or width, the residual
 * connection starts behind its convolution.
 */
function convolutionBlock(b: GraphBuilder, map: ValueInfo, stride: number, activation: string): ValueInfo {
  const local = convolution(b, map, 'conv_dw', { stride });
  const same = stride === 1 && local.shape[1] === map.shape[1];
  return residual(b, same ? map : local, pointwise(b, local, activation));
}

/**
 * Groups of channels through a depthwise convolution each, every one added to the next (Gao et al.
 * 2019, Res2Net); the last stays as it is.
 */
function multiScale(b: GraphBuilder, map: ValueInfo, count: number): ValueInfo {
  const width = parameterSide(b, 'convs.0.weight', 0);
  const sizes = [...Array<number>(count).fill(width), at(map.shape, 1) - count * width];
  const groups = b.split(map, sizes, 1);
  const scales: ValueInfo[] = [];
  for (let index = 0; index < count; index++) {
    const before = scales.at(-1);
    const own = at(groups, index);
    const group = before ? b.add('Add', [before, own]) : own;
    scales.push(convolution(b, group, `convs.${index}`));
  }
  return b.concat([...scales, last(groups)], 1);
}

/**
 * Split depth-wise transpose attention (Maaz et al. 2022, EdgeNeXt §3.1): convolutions at several
 * scales, then attention between channels.
 */
function attentionBlock(b: GraphBuilder, map: ValueInfo, activation: string): ValueInfo {
  let scales = 0;
  while (b.has(`convs.${scales}.weight`)) scales++;
  const tokens = mapToTokens(b, withFourierPositions(b, multiScale(b, map, scales), 'pos_embd'));
  const normed = withValue(tokens, maybeNorm(b, tokens.value, 'norm_xca', eps));
  const attended = crossCovarianceAttention(b, normed, 'xca', b.scopePath);
  const mixed = residual(b, tokens.value, layerScale(b, attended, 'gamma_xca'));
  return residual(b, map, pointwise(b, tokensToMap(b, withValue(tokens, mixed)), activation));
}

const downsampled = (b: GraphBuilder, map: ValueInfo): ValueInfo =>
  b.scope('downsample', () => convolution(b, mapNorm(b, map, '0', eps), '1', { stride: 2, padding: 0 }), {
    title: 'Downsampling',
  });

/** A block by what it holds. */
const block = (b: GraphBuilder, map: ValueInfo, stride: number, activation: string): ValueInfo =>
  b.has('xca.temperature')
    ? attentionBlock(b, map, activation)
    : convolutionBlock(b, map, stride, activation);

/** 4 × 4 patches, or larger ones that overlap. */
function stem(b: GraphBuilder, pixels: ValueInfo): ValueInfo {
  const side = parameterSide(b, '0.weight', 2);
  const padding = side === 4 ? 0 : side >> 1;
  return mapNorm(b, convolution(b, pixels, '0', { stride: 4, padding }), '1', eps);
}

/** The stem, the stages and a norm, if there is one (Maaz et al. 2022, §3). */
function build(
  b: GraphBuilder,
  { depth, activation, downsamples }: EdgeNeXtConfig,
  { imageSize, batch }: BuildOptions,
): ImageMaps {
  const pixels = images(b, [batch, ...imageSize], 'stem.0');
  const embedded = b.scope('stem', () => stem(b, pixels), { title: 'Patch embedding' });
  const maps = stages(b, embedded, {
    depths: depth,
    module: (stage) => ({ path: `stages.${stage}` }),
    enter: (map, stage) => (at(downsamples, stage) ? downsampled(b, map) : map),
    path: ({ index }) => `blocks.${index}`,
    block: (map, { stage, index }) => {
      const strides = stage > 0 && index === 0 && !at(downsamples, stage);
      return block(b, map, strides ? 2 : 1, activation);
    },
    note: ({ index }) => ({
      title: b.has(`blocks.${index}.xca.temperature`)
        ? 'Split depth-wise transpose attention'
        : 'ConvNeXt block',
    }),
  });
  return {
    stages: maps.map((map) => mapStage(map, imageSize)),
    map: mapNorm(b, last(maps), 'norm_pre', eps),
  };
}

function head(b: GraphBuilder, { map }: ImageMaps): void {
  answer(b, maybeNorm(b, meanOfMap(b, map), 'head.norm', eps), map, 'head.fc');
}

/**
 * EdgeNeXt (Maaz et al. 2022): ConvNeXt blocks, and attention between channels in the last block of
 * a stage.
 */
export const edgeNext: Family<EdgeNeXtConfig, ImageMaps> = {
  name: 'edgenext',
  title: 'EdgeNeXt',
  names: edgeNextNames,
  assumable: ['activation'],
  recognise,
  build,
  head,
};
