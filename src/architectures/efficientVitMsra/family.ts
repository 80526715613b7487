import { images } from '../blocks/images';
import { distilledAnswer } from '../heads/classifier';
import { at, last } from '../../domain/lists';
import type { GraphBuilder } from '../../graph/builder';
import { int, type ValueInfo } from '../../graph/graph';
import { offsetBiases } from '../blocks/attentionBiases';
import { convNormModule, squeezeGate, type ConvolutionOptions } from '../blocks/convolution';
import { residual } from '../blocks/layers';
import { gridOf, mapToTokens, meanOfMap, tokensToMap } from '../blocks/maps';
import { windowPartition, windowProbe, windowReverse, windowsOf } from '../blocks/windows';
import { parameterSide, splitInThree } from '../blocks/parts';
import { mapStage, stages, type ImageMaps } from '../blocks/stages';
import type { BuildOptions, Family, Found, Recognised } from '../family';
import { configOf, stored } from '../evidence';
import { sizeTitle, type Sizes } from '../sizes';
import { classesOf, imageSizeOf, recognisedFrom, sourcesOf, stageDepths } from '../decide';
import { efficientVitMsraNames } from './names';

/** PyTorch's default, which all batch norms keep. */
const eps = 1e-5;

/**
 * Pixels per position of the first and the last map: four convolutions of the patch embedding
 * halve, then two stages.
 */
const [firstStride, lastStride] = [16, 64];

/** The only activation. */
const activation = 'relu';

/** Sizes of Liu et al. 2023 (EfficientViT, Microsoft, table 1). */
const sizes: Sizes = {
  '1,2,3 64,128': 'M0',
  '1,2,3 128,144': 'M1',
  '1,2,3 128,192': 'M2',
  '1,2,3 128,240': 'M3',
  '1,2,3 128,256': 'M4',
  '1,3,4 192,288': 'M5',
};

interface EfficientVitConfig {
  readonly depth: readonly number[];
  /** Rows and columns of a window, in every stage. */
  readonly window: readonly number[];
}

function recognise(found: Found): Recognised<EfficientVitConfig> | undefined {
  const { tensors } = found;
  const sources = sourcesOf(found);
  const shape = (name: string): readonly number[] => tensors.get(name)?.shape ?? [];
  const depth = stageDepths(tensors);
  const attention = depth.map((_, stage) => `stages.${stage}.blocks.0.mixer.m.attn`);
  const tables = attention.map((path) => shape(`${path}.attention_biases`));
  const window = tables.map(([, offsets = 0]) => Math.sqrt(offsets));
  if (!window.every((side) => Number.isInteger(side) && side > 0)) return undefined;
  const dims = attention.map((path) => shape(`${path}.proj.1.conv.weight`)[0] ?? 0);
  const { imageSize, evidence: sized } = imageSizeOf(sources);
  const settled = {
    depth: stored(depth, 'stages.*.blocks'),
    dim: stored(dims, 'stages.*.blocks.0.mixer.m.attn.proj.1'),
    heads: stored(
      tables.map(([heads = 0]) => heads),
      'stages.*.blocks.0.mixer.m.attn.attention_biases',
    ),
    window: stored(window, 'stages.*.blocks.0.mixer.m.attn.attention_biases'),
    key_dim: stored(
      attention.map((path) => shape(`${path}.dws.0.conv.weight`)[0] ?? 0),
      'stages.*.blocks.0.mixer.m.attn.dws.0',
    ),
    patch: stored(firstStride, 'patch_embed.conv1 … conv4'),
    image_size: sized,
    classes: classesOf(tensors, 'head.linear'),
  };
  return recognisedFrom(sources, {
    label: 'efficientvit_msra',
    title: sizeTitle('EfficientViT', sizes, depth, dims),
    imageSize,
    sizeStep: [lastStride, lastStride],
    pixels: 'imagenet',
    evidence: settled,
    config: configOf(settled),
  });
}

type UnitOptions = ConvolutionOptions & { readonly activation?: string };

/** Convolution and batch norm of a module. */
function unit(b: GraphBuilder, map: ValueInfo, name: string, options: UnitOptions = {}): ValueInfo {
  return convNormModule(b, map, name, { ...options, eps });
}

/** Two 1 × 1 convolutions in a residual connection. */
function feedForward(b: GraphBuilder, map: ValueInfo, name: string): ValueInfo {
  return b.scope(name, () => residual(b, map, unit(b, unit(b, map, 'pw1', { activation }), 'pw2')), {
    title: 'Feed-forward network',
    formula: 'x + W₂ · relu(W₁x)',
  });
}

/** A depthwise convolution and a feed-forward network, each in a residual connection. */
function localMixing(b: GraphBuilder, map: ValueInfo, convolution: string, network: string): ValueInfo {
  return feedForward(b, residual(b, map, unit(b, map, convolution)), network);
}

/** A map `[batch, d, rows, columns]` as the matrix of one head, `[batch, 1, d, rows · columns]`. */
function asMatrix(b: GraphBuilder, map: ValueInfo): ValueInfo {
  const [batch, channels, rows, columns] = map.shape as readonly [number, number, number, number];
  return b.reshape(map, [batch, 1, channels, rows * columns]);
}

interface Head {
  /** Mixed values `[batch, d, rows, columns]`. */
  readonly mixed: ValueInfo;
  /** `[batch, 1, n, n]` */
  readonly map: ValueInfo;
}

/**
 * One head: its queries see their neighbourhood by a depthwise convolution first (Liu et al. 2023,
 * §3.2).
 */
function attentionHead(b: GraphBuilder, features: ValueInfo, index: number, bias: ValueInfo): Head {
  const fused = unit(b, features, `qkvs.${index}`);
  const width = parameterSide(b, `dws.${index}.conv.weight`, 0);
  const sides = [width, width, at(fused.shape, 1) - 2 * width] as const;
  const [asked, key, value] = splitInThree(b, fused, 1, sides);
  const query = b.transpose(asMatrix(b, unit(b, asked, `dws.${index}`)), [0, 1, 3, 2]);
  const products = b.add('MatMul', [query, asMatrix(b, key)], {}, { name: '/scores' });
  const scores = b.add('Add', [b.add('Mul', [products, b.scalar(1 / Math.sqrt(width))]), bias]);
  const map = b.add('Softmax', [scores], { axis: int(-1) });
  const values = b.transpose(asMatrix(b, value), [0, 1, 3, 2]);
  const mixed = b.transpose(b.add('MatMul', [map, values], {}, { name: '/mix' }), [0, 1, 3, 2]);
  return { map, mixed: b.reshape(mixed, value.shape) };
}

/**
 * Cascaded group attention (Liu et al. 2023, EfficientViT §3.2) of a map
 * `[batch, channels, rows, columns]`: each head sees its share of the channels plus what the head
 * before it made. Returns the mixed map and the maps of all heads, which are put together only to
 * be looked at.
 */
function cascadedAttention(
  b: GraphBuilder,
  map: ValueInfo,
): { readonly mixed: ValueInfo; readonly maps: ValueInfo } {
  const heads = parameterSide(b, 'attention_biases', 0);
  const shares = b.split(map, heads, 1);
  const biases = b.split(offsetBiases(b, 'attention_biases', gridOf(map)), heads, 0);
  const made: Head[] = [];
  shares.forEach((share, index) => {
    const before = made.at(-1);
    const features = before ? b.add('Add', [before.mixed, share]) : share;
    made.push(attentionHead(b, features, index, at(biases, index)));
  });
  const all = b.concat(
    made.map(({ mixed }) => mixed),
    1,
  );
  return {
    mixed: unit(b, b.add('Relu', [all]), 'proj.1'),
    maps: b.concat(
      made.map(({ map: own }) => own),
      1,
    ),
  };
}

/**
 * Attention within windows in a residual connection; a map that they do not divide is padded with
 * zeros, which take part.
 */
function mixer(b: GraphBuilder, map: ValueInfo, window: number, layer: string): ValueInfo {
  return b.scope(
    'mixer.m.attn',
    () => {
      const windows = windowsOf(gridOf(map), window);
      const windowed = windowPartition(b, mapToTokens(b, map), windows);
      const { mixed, maps } = cascadedAttention(b, tokensToMap(b, windowed));
      b.probe(maps, windowProbe(windows, layer));
      return residual(b, map, tokensToMap(b, windowReverse(b, mapToTokens(b, mixed), windows)));
    },
    {
      title: `Cascaded group attention, windows of ${window} × ${window}`,
      formula: 'softmax(QₕKₕᵀ/√d + B)·Vₕ of xₕ + the head before',
    },
  );
}

/** Attention between two local mixings (Liu et al. 2023, §3.1: the sandwich layout). */
function block(b: GraphBuilder, map: ValueInfo, window: number): ValueInfo {
  const layer = b.scopePath;
  const mixed = mixer(b, localMixing(b, map, 'dw0.m', 'ffn0.m'), window, layer);
  return localMixing(b, mixed, 'dw1.m', 'ffn1.m');
}

/**
 * An inverted bottleneck with squeeze and excitation halves the map, local mixings before and after
 * it.
 */
function downsample(b: GraphBuilder, map: ValueInfo): ValueInfo {
  const before = localMixing(b, map, 'res1.0.m', 'res1.1.m');
  const merged = b.scope(
    'patchmerge',
    () => {
      const wide = unit(b, before, 'conv1', { activation });
      const strided = unit(b, wide, 'conv2', { stride: 2, activation });
      const gate = b.scope(
        'se',
        () => squeezeGate(b, strided, { reduce: 'fc1', expand: 'fc2', activation, gate: 'sigmoid' }),
        { title: 'Squeeze and excitation' },
      );
      return unit(b, b.add('Mul', [strided, gate]), 'conv3');
    },
    { title: 'Patch merging' },
  );
  return localMixing(b, merged, 'res2.0.m', 'res2.1.m');
}

/** The map before the blocks of a stage: downsampled, if the stage has parameters for that. */
const entered = (b: GraphBuilder, map: ValueInfo): ValueInfo =>
  b.has('downsample.patchmerge.conv1.conv.weight')
    ? b.scope('downsample', () => downsample(b, map), { title: 'Downsampling' })
    : map;

/** Four strided convolutions and the stages (Liu et al. 2023, §3.3). */
function build(
  b: GraphBuilder,
  { depth, window }: EfficientVitConfig,
  { imageSize, batch }: BuildOptions,
): ImageMaps {
  const pixels = images(b, [batch, ...imageSize], 'patch_embed.conv1.conv');
  const convolutions = [1, 2, 3, 4] as const;
  const embedded = b.scope(
    'patch_embed',
    () =>
      convolutions.reduce(
        (map, index) => unit(b, map, `conv${index}`, { stride: 2, ...(index < 4 && { activation }) }),
        pixels,
      ),
    { title: 'Convolutional patch embedding' },
  );
  const maps = stages(b, embedded, {
    depths: depth,
    module: (stage) => ({ path: `stages.${stage}` }),
    enter: (map) => entered(b, map),
    path: ({ index }) => `blocks.${index}`,
    block: (map, { stage }) => block(b, map, at(window, stage)),
    note: { title: 'EfficientViT block' },
  });
  return { stages: maps.map((map) => mapStage(map, imageSize)), map: last(maps) };
}

/**
 * EfficientViT of Microsoft Research (Liu et al. 2023): one attention between feed-forward
 * networks, whose heads see different channels.
 */
export const efficientVitMsra: Family<EfficientVitConfig, ImageMaps> = {
  name: 'efficientvit_msra',
  title: 'EfficientViT (Microsoft)',
  names: efficientVitMsraNames,
  assumable: [],
  recognise,
  build,
  head: (b, { map }) => distilledAnswer(b, meanOfMap(b, map), map, eps),
};
