import { images } from '../blocks/images';
import { answer } from '../heads/classifier';
import { at, last } from '../../domain/lists';
import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { biasedAttention, biasedFormula } from '../blocks/attentionBiases';
import { convNormModule, type ConvolutionOptions } from '../blocks/convolution';
import { activate, maybeNorm, residual, withValue, type Tokens } from '../blocks/layers';
import { gridOfLayout, mapToTokens, meanOfMap, tokensToMap } from '../blocks/maps';
import { parameterSide } from '../blocks/parts';
import { neck } from '../blocks/neck';
import { mapStage, stages, type ImageMaps } from '../blocks/stages';
import { windowPartition, windowProbe, windowReverse, windowsOf } from '../blocks/windows';
import type { BuildOptions, ConfigValue, Evidence, Family, Found, Recognised } from '../family';
import { assumed, configOf, stored } from '../evidence';
import { sizeTitle, type Sizes } from '../sizes';
import {
  activationOf,
  classesOf,
  decide,
  imageSizeOf,
  recognisedFrom,
  sourcesOf,
  stageDepths,
  type Sources,
} from '../decide';
import { tinyVitNames } from './names';

/** PyTorch's default of batch norms and layer norms. */
const eps = 1e-5;

/**
 * Pixels per position before the last stage: the patch embedding takes 4 × 4 of them, every stage
 * but the first halves.
 */
const strideBefore = (stage: number): number => 4 * 2 ** stage;

/** Sizes of Wu et al. 2022 (TinyViT, §3.3), by millions of parameters. */
const sizes: Sizes = { '2,2,6,2 64,128,160': '5M', '2,2,6,2 64,128,256': '11M', '2,2,6,2 96': '21M' };

interface TinyViTConfig {
  readonly depth: readonly number[];
  /** Rows and columns of a window in every stage but the first, which has no attention. */
  readonly window: readonly number[];
  readonly activation: string;
  /** Stride of the merging before every stage but the first. */
  readonly merge_strides: readonly number[];
}

/** The neck of SAM behind the stages; the norm and classifier beside it are not read then. */
const neckWeight = 'neck.0.weight';

/** Widths before which MobileSAM's code keeps the map as large as it is. */
const kept: ReadonlySet<number> = new Set([320, 448, 576]);

/** MobileSAM's image size, as SAM's. */
const samSide = 1024;

/**
 * Strides of the mergings: 2 in TinyViT; MobileSAM's code has 1 before stages of three widths, the
 * last ones of the published sizes.
 */
function mergeStrides(sources: Sources, dims: readonly number[]): Evidence<readonly number[]> {
  const widths = dims.slice(1);
  const strides = widths.map((width) => (kept.has(width) ? 1 : 2));
  const isSam = sources.found.tensors.has(neckWeight);
  const ofSam = strides.includes(1)
    ? stored<readonly number[]>(strides, "MobileSAM's of these widths")
    : assumed<readonly number[]>(strides, 'MobileSAM keeps the last map as large only at published widths');
  return decide(sources, 'merge_strides', {
    otherwise: isSam
      ? ofSam
      : stored<readonly number[]>(
          widths.map(() => 2),
          "TinyViT's",
        ),
    is: (value) =>
      [value].flat().length === widths.length && [value].flat().every((each) => each === 1 || each === 2),
    needed: `1 or 2 before each of ${widths.length} stages`,
  });
}

/**
 * A value for each stage with attention that the tables settle; the user may repeat it, and write
 * one for the first stage, which has none.
 */
function tableValue(sources: Sources, key: string, values: readonly number[]): Evidence<readonly number[]> {
  const same = (value: ConfigValue): boolean => {
    const each = [value].flat();
    const attentive = each.length === values.length + 1 ? each.slice(1) : each;
    return attentive.join() === values.join();
  };
  const { source } = decide(sources, key, {
    otherwise: stored<readonly number[]>(values, 'stages.*.blocks.0.attn.attention_biases'),
    is: same,
    needed: values.join(', '),
  });
  return stored(values, source);
}

function recognise(found: Found): Recognised<TinyViTConfig> | undefined {
  const { tensors } = found;
  const sources = sourcesOf(found);
  const depth = stageDepths(tensors);
  const shape = (name: string): readonly number[] => tensors.get(name)?.shape ?? [];
  const attentive = depth.slice(1).map((_, index) => `stages.${index + 1}.blocks.0`);
  const tables = attentive.map((path) => shape(`${path}.attn.attention_biases`));
  const window = tables.map(([, offsets = 0]) => Math.sqrt(offsets));
  if (window.length === 0 || !window.every((side) => Number.isInteger(side) && side > 0)) return undefined;
  const dims = [
    shape('stages.0.blocks.0.conv3.conv.weight')[0] ?? 0,
    ...attentive.map((path) => shape(`${path}.attn.proj.weight`)[0] ?? 0),
  ];
  // Published models have windows that divide the maps of their own size: 7 at 224, 12 at 384, 16
  // at 512.
  const merging = mergeStrides(sources, dims);
  const step = merging.value.reduce((stride, each) => stride * each, strideBefore(0));
  const hasNeck = tensors.has(neckWeight);
  const usual = hasNeck ? samSide : last(window) * step;
  const { imageSize, evidence: sized } = imageSizeOf(sources, [usual, usual]);
  const settled = {
    depth: stored(depth, 'stages.*.blocks'),
    dim: stored(dims, 'stages.*.blocks.0'),
    heads: tableValue(
      sources,
      'heads',
      tables.map(([heads = 0]) => heads),
    ),
    window: tableValue(sources, 'window', window),
    merge_strides: merging,
    mlp_ratio: stored(
      attentive.map((path, index) => (shape(`${path}.mlp.fc1.weight`)[0] ?? 0) / at(dims, index + 1)),
      'stages.*.blocks.0.mlp.fc1.weight; the first stage has none',
    ),
    patch: stored(4, 'patch_embed.conv1, patch_embed.conv2'),
    image_size: sized,
    classes: hasNeck ? stored(0, 'the neck; a classifier is not read') : classesOf(tensors, 'head.fc'),
    activation: activationOf(sources, stored('gelu', "TinyViT's in timm")),
  };
  return recognisedFrom(sources, {
    label: 'tiny_vit',
    title: `${sizeTitle('TinyViT', sizes, depth, dims)}${hasNeck ? " with SAM's neck" : ''}`,
    imageSize,
    sizeStep: [step, step],
    pixels: 'imagenet',
    evidence: settled,
    config: configOf(settled),
  });
}

/** Convolution and batch norm of a module. */
function unit(
  b: GraphBuilder,
  map: ValueInfo,
  name: string,
  options: ConvolutionOptions & { readonly activation?: string } = {},
): ValueInfo {
  return convNormModule(b, map, name, { ...options, eps });
}

/**
 * Three convolutions, the middle one depthwise (Sandler et al. 2018): a block of the first stage,
 * or the merging before another.
 */
function bottleneck(b: GraphBuilder, map: ValueInfo, activation: string, stride = 1): ValueInfo {
  const wide = unit(b, map, 'conv1', { activation });
  return unit(b, unit(b, wide, 'conv2', { stride, activation }), 'conv3');
}

const convolutionBlock = (b: GraphBuilder, map: ValueInfo, activation: string): ValueInfo =>
  activate(b, residual(b, bottleneck(b, map, activation), map), activation);

/**
 * Attention within windows (Wu et al. 2022, TinyViT §3.2): a map that they do not divide is padded
 * with zeros, which take part.
 */
function windowAttention(b: GraphBuilder, tokens: Tokens, window: number, layer: string): ValueInfo {
  return b.scope(
    'attn',
    () => {
      const heads = parameterSide(b, 'attention_biases', 0);
      const values = parameterSide(b, 'proj.weight', 1) / heads;
      const windows = windowsOf(gridOfLayout(tokens.layout), window);
      const windowed = windowPartition(b, tokens, windows);
      const normed = maybeNorm(b, windowed.value, 'norm', eps);
      const mixed = biasedAttention(b, b.linear(normed, 'qkv'), windowed, {
        values,
        probe: windowProbe(windows, layer),
      });
      return windowReverse(b, withValue(windowed, b.linear(mixed, 'proj')), windows).value;
    },
    { title: `Window attention, ${window} × ${window}`, formula: biasedFormula },
  );
}

function mlp(b: GraphBuilder, x: ValueInfo, activation: string): ValueInfo {
  return b.scope(
    'mlp',
    () => b.linear(activate(b, b.linear(maybeNorm(b, x, 'norm', eps), 'fc1'), activation), 'fc2'),
    { title: 'Multi-layer perceptron', formula: 'W₂ · act(W₁ · norm(x) + b₁) + b₂' },
  );
}

/** Window attention, a depthwise convolution across the windows, and an MLP. */
function attentionBlock(b: GraphBuilder, map: ValueInfo, window: number, activation: string): ValueInfo {
  const tokens = mapToTokens(b, map);
  const mixed = withValue(tokens, residual(b, tokens.value, windowAttention(b, tokens, window, b.scopePath)));
  const local = mapToTokens(b, unit(b, tokensToMap(b, mixed), 'local_conv'));
  return tokensToMap(b, withValue(local, residual(b, local.value, mlp(b, local.value, activation))));
}

/** The map before the blocks of a stage: merged, if the stage has parameters for that. */
const entered = (b: GraphBuilder, map: ValueInfo, activation: string, stride: number): ValueInfo =>
  b.has('downsample.conv1.conv.weight')
    ? b.scope('downsample', () => bottleneck(b, map, activation, stride), { title: 'Patch merging' })
    : map;

/**
 * The patch embedding and the stages, with attention in all but the first (Wu et al. 2022, §3.3).
 */
function build(
  b: GraphBuilder,
  { depth, window, activation, merge_strides: strides }: TinyViTConfig,
  { imageSize, batch }: BuildOptions,
): ImageMaps {
  const pixels = images(b, [batch, ...imageSize], 'patch_embed.conv1.conv');
  const embedded = b.scope(
    'patch_embed',
    () => unit(b, unit(b, pixels, 'conv1', { stride: 2, activation }), 'conv2', { stride: 2 }),
    { title: 'Patch embedding' },
  );
  const maps = stages(b, embedded, {
    depths: depth,
    module: (stage) => ({ path: `stages.${stage}` }),
    enter: (map, stage) => entered(b, map, activation, strides[stage - 1] ?? 2),
    path: ({ index }) => `blocks.${index}`,
    block: (map, { stage }) =>
      b.has('attn.attention_biases')
        ? attentionBlock(b, map, at(window, stage - 1), activation)
        : convolutionBlock(b, map, activation),
    note: ({ index }) => ({
      title: b.has(`blocks.${index}.attn.attention_biases`) ? 'TinyViT block' : 'Inverted bottleneck',
    }),
  });
  const end = last(maps);
  return {
    stages: maps.map((map) => mapStage(map, imageSize)),
    map: b.has(neckWeight) ? neck(b, end) : end,
  };
}

function head(b: GraphBuilder, { map }: ImageMaps): void {
  if (b.has(neckWeight)) return answer(b, meanOfMap(b, map), map, 'neck.classifier');
  answer(b, maybeNorm(b, meanOfMap(b, map), 'head.norm', eps), map, 'head.fc');
}

/**
 * TinyViT (Wu et al. 2022): inverted bottlenecks, then window attention without shifts, with biases
 * per offset.
 */
export const tinyVit: Family<TinyViTConfig, ImageMaps> = {
  name: 'tiny_vit',
  title: 'TinyViT',
  names: tinyVitNames,
  assumable: ['heads', 'window', 'merge_strides', 'activation'],
  recognise,
  build,
  head,
};
