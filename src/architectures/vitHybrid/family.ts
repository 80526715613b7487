import { images } from '../blocks/images';
import { at, last } from '../../domain/lists';
import type { Size } from '../../domain/size';
import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { convNorm, convolution, groupNorm, maxPool } from '../blocks/convolution';
import { activate, residual } from '../blocks/layers';
import { gridOf, mapToTokens, sequence } from '../blocks/maps';
import type { ResamplingName } from '../blocks/positions';
import { mapStage, stages, type TokenMaps } from '../blocks/stages';
import { patchEmbedding } from '../blocks/transformer';
import type { BuildOptions, Evidence, Family, Found, Recognised } from '../family';
import { configOf, stored, type ConfigOf } from '../evidence';
import { isotropicEvidence, poolOf, type IsotropicEvidence } from '../groups/isotropicConfig';
import { positionedSize, positionLayout, unseen } from '../groups/patchGrid';
import { normedMaps, throughBlocks } from '../groups/plain';
import { placedTokens } from '../groups/plainEmbedding';
import { encodeResnet, type ResidualConfig } from '../groups/residualNetwork';
import type { TableLayout } from '../groups/tableLayout';
import { tokensAnswer, type Pool } from '../heads/tokens';
import { vitSize } from '../names';
import {
  countOf,
  headsOf,
  headsOfEach,
  recognisedFrom,
  sourcesOf,
  stageDepths,
  type Sources,
  namesIn,
} from '../decide';
import { vitHybridNames } from './names';

type Tensors = Found['tensors'];

/** A convolutional network in front of the transformer: chosen if the parameter `has` is stored. */
interface Backbone {
  readonly has: string;
  readonly title: string;
  /** Its part of a hybrid's name, before that of the transformer. */
  readonly name: (depths: readonly number[]) => string;
  /** Units of every stage. */
  readonly depths: (tensors: Tensors, path: string) => readonly number[];
  /** Pixels per position of its map. */
  readonly stride: (depths: readonly number[]) => number;
  /** Maps `[batch, channels, rows, columns]` of the pixels by its stages; the last one is read. */
  readonly build: (b: GraphBuilder, pixels: ValueInfo, depths: readonly number[]) => readonly ValueInfo[];
}

/** A quarter in the stem, half in every stage but the first. */
const pyramidStride = (depths: readonly number[]): number => 4 * 2 ** Math.max(0, depths.length - 1);

/**
 * Epsilon of the kernels' standardisation and of the norms of groups in Big Transfer (Kolesnikov et
 * al. 2020).
 */
const standard = { standardise: 1e-8, padding: 'same' } as const;
const grouped = { groups: 32, eps: 1e-5 };

function convGroup(b: GraphBuilder, x: ValueInfo, conv: string, norm: string, stride = 1): ValueInfo {
  return groupNorm(b, convolution(b, x, conv, { ...standard, stride }), norm, grouped);
}

const relu = (b: GraphBuilder, x: ValueInfo): ValueInfo => activate(b, x, 'relu');

/** Bottleneck with standardised kernels and norms of groups behind the convolutions. */
function unit(b: GraphBuilder, x: ValueInfo, stride: number): ValueInfo {
  const shortcut = b.has('downsample.conv.weight')
    ? convGroup(b, x, 'downsample.conv', 'downsample.norm', stride)
    : x;
  const narrow = relu(b, convGroup(b, x, 'conv1', 'norm1'));
  const mixed = relu(b, convGroup(b, narrow, 'conv2', 'norm2', stride));
  return relu(b, residual(b, convGroup(b, mixed, 'conv3', 'norm3'), shortcut));
}

/**
 * The residual network of Big Transfer with norms behind the convolutions; the stem alone if there
 * are no stages.
 */
function bigTransfer(b: GraphBuilder, pixels: ValueInfo, depths: readonly number[]): readonly ValueInfo[] {
  const place = b.has('stem.conv.weight') ? 'stem.' : '';
  const stem = relu(b, convGroup(b, pixels, `${place}conv`, `${place}norm`, 2));
  const pooled = maxPool(b, stem, { kernel: 3, stride: 2, padding: 'same' });
  const maps = stages(b, pooled, {
    depths,
    path: ({ stage, index }) => `stages.${stage}.blocks.${index}`,
    block: (x, { stage, index }) => unit(b, x, stage > 0 && index === 0 ? 2 : 1),
    note: { title: 'Residual unit', formula: 'relu(x + convolutions(x))' },
  });
  return maps.length > 0 ? maps : [pooled];
}

/**
 * Residual networks by the units of their stages, also without the last one: as published, a third
 * stage may hold the units of two.
 */
const networks: Readonly<Record<string, string>> = {
  '': 'R',
  '2,2,2': 'R26',
  '2,2,2,2': 'R26',
  '3,4,6': 'R50',
  '3,4,9': 'R50',
  '3,4,6,3': 'R50',
};

/** `R50`; `R(2,3,4)` if nobody published such a network. */
const networkName = (depths: readonly number[]): string =>
  networks[depths.join(',')] ?? `R(${depths.join(',')})`;

/** How timm builds the residual networks of its own hybrids. */
const resnetConfig = (depth: readonly number[]): ResidualConfig => ({
  depth,
  block: 'bottleneck',
  activation: 'relu',
  eps: 1e-5,
  downsample_in_bottleneck: false,
  stem_stride: 2,
  stem_pool: true,
  downsample_in_first_stage: false,
});

/** Convolutions without overlap (MobileCLIP; Vasu et al. 2024): the last one makes the tokens. */
function convolutionalStem(
  b: GraphBuilder,
  pixels: ValueInfo,
  depths: readonly number[],
): readonly ValueInfo[] {
  const map = depths.reduce((map, _, index) => {
    const [, , stride = 1] = b.shapeOf(`${index}.conv.weight`);
    const activation = index < depths.length - 1 ? 'gelu' : undefined;
    return convNorm(b, map, `${index}.conv`, `${index}.bn`, { activation, eps: 1e-5, stride, padding: 0 });
  }, pixels);
  return [map];
}

const path = 'patch_embed.backbone';

/** Convolutions that a stem may begin with. */
const stems = ['conv', 'stem.conv', 'conv1.0', 'conv1', '0.conv'].map((stem) => `${path}.${stem}`);

const backbones: readonly Backbone[] = [
  {
    has: 'conv1.0.weight',
    title: 'ResNet-D',
    name: (depths) => `${networkName(depths)}-D+`,
    depths: (tensors) =>
      [1, 2, 3, 4].map((layer) => countOf(tensors, `${path}.layer${layer}`)).filter((depth) => depth > 0),
    stride: pyramidStride,
    build: (b, pixels, depths) => encodeResnet(b, resnetConfig(depths), pixels),
  },
  {
    has: '0.conv.weight',
    title: 'convolutions',
    name: () => 'MobileCLIP ',
    depths: (tensors) => Array<number>(countOf(tensors, path)).fill(1),
    stride: () => 16,
    build: convolutionalStem,
  },
  ...['stem.conv.weight', 'conv.weight'].map((has): Backbone => ({
    has,
    title: 'BiT ResNet',
    name: (depths) => `${networkName(depths)}+`,
    depths: (tensors) => stageDepths(tensors, `${path}.stages`),
    stride: pyramidStride,
    build: bigTransfer,
  })),
];

/** Heads by a kernel of queries in Flax, else by a config or a published model. */
function headsOfBlocks(sources: Sources, dim: number): Evidence<number> {
  const { dialect, tensors } = sources.found;
  const told = dialect.heads?.(tensors);
  if (told !== undefined) return stored(told, 'blocks.0: query kernel [dim, heads, d]');
  const heads = headsOf(sources, [dim], { config: ['num_heads', 'num_attention_heads'], perHead: 64 });
  return { ...heads, value: at(headsOfEach(heads.value, 1), 0) };
}

/** What is read off names and shapes. */
interface Shapes {
  readonly parts: IsotropicEvidence;
  readonly backbone: Backbone;
  /** Units of every stage of the backbone. */
  readonly depths: readonly number[];
  /** Side of the patches in positions of the backbone's map. */
  readonly patch: number;
  readonly layout: TableLayout;
}

/** The hyper-parameters, in the order in which people see them. */
function evidenceOf(
  sources: Sources,
  { parts, backbone, depths, patch, layout }: Shapes,
  imageSize: Evidence<Size>,
) {
  const { tensors, dialect } = sources.found;
  const pools: readonly [Pool, ...Pool[]] = tensors.has('fc_norm.weight') ? ['avg'] : ['token', 'avg'];
  return {
    ...parts,
    backbone: stored(backbone.title, `${path}.${backbone.has}`),
    ...(depths.length > 0 && { convolutional_depth: stored(depths, path) }),
    patch: stored(patch, 'patch_embed.proj.weight'),
    heads: headsOfBlocks(sources, parts.dim.value),
    image_size: imageSize,
    grid: layout.grid,
    position_slots: layout.slots,
    resampling: stored<ResamplingName>(dialect.resampling[0], `as ${dialect.title} does`),
    norm_order: stored<'pre'>('pre', 'as every hybrid has it'),
    pool: poolOf(sources, pools, pools[0] === 'avg' ? 'fc_norm' : 'cls_token'),
  };
}

/**
 * What a hybrid is built by: the hyper-parameters, and the network in front with the units of its
 * stages.
 */
type HybridConfig = Omit<
  ConfigOf<ReturnType<typeof evidenceOf>>,
  'backbone' | 'convolutional_depth' | 'patch'
> & {
  readonly backbone: Backbone;
  readonly depths: readonly number[];
  readonly patch: number;
};

function recognise(found: Found): Recognised<HybridConfig> | undefined {
  const { tensors } = found;
  const sources = sourcesOf(found);
  const backbone = backbones.find(({ has }) => tensors.has(`${path}.${has}`));
  const parts = isotropicEvidence(sources);
  if (!backbone || !parts) return undefined;
  const depths = backbone.depths(tensors, path);
  const patch = tensors.get('patch_embed.proj.weight')?.shape[2] ?? 1;
  const step = backbone.stride(depths) * patch;
  const measures = {
    positions: tensors.get('pos_embed')?.shape.at(-2) ?? 0,
    classToken: tensors.has('cls_token'),
    distillationToken: false,
    registers: 0,
    patch: [step, step],
  } as const;
  const layout = positionLayout({ found, measures }, namesIn(sources));
  if (!layout) return undefined;
  const { size, source } = positionedSize({ found, measures }, layout);
  const shapes = { parts, backbone, depths, patch, layout };
  const settled = evidenceOf(sources, shapes, { value: size, source, assumed: layout.grid.assumed });
  const { depth, dim } = parts;
  // Steiner et al. 2021 call the one without stages R+Ti/16: the pooling behind its convolution is
  // not counted.
  const named = depths.length > 0 ? step : step / 2;
  return recognisedFrom(sources, {
    label: 'vit-hybrid',
    title: backbone.name(depths) + vitSize(depth.value, dim.value, named),
    config: { ...configOf(settled), backbone, depths, patch },
    evidence: settled,
    imageSize: size,
    sizeStep: [step, step],
    pixels: backbone.title === 'BiT ResNet' ? 'half' : 'imagenet',
    warnings: [...layout.warnings, ...unseen(found, measures.patch)],
  });
}

/**
 * Writes the convolutional network, whose map is cut into patches or read position by position, and
 * the transformer over it.
 */
function build(b: GraphBuilder, config: HybridConfig, options: BuildOptions): TokenMaps {
  const { backbone, depths, patch, eps } = config;
  const { imageSize, batch } = options;
  const pixels = images(b, [batch, ...imageSize], ...stems);
  const front = b.scope(path, () => backbone.build(b, pixels, depths), { title: backbone.title });
  const map = last(front);
  const cut = b.scope(
    'patch_embed',
    () =>
      b.has('proj.weight')
        ? patchEmbedding(b, map, [patch, patch])
        : { patches: sequence(b, mapToTokens(b, map)), grid: gridOf(map) },
    { title: 'Patch embedding' },
  );
  const blocks = throughBlocks(b, placedTokens(b, cut, config, batch), config);
  return {
    ...normedMaps(b, blocks, eps, options),
    front: front.map((each) => mapStage(each, imageSize)),
  };
}

/**
 * Hybrids (Dosovitskiy et al. 2021, §3.1): the transformer reads the map of a convolutional network
 * instead of pixels.
 */
export const vitHybrid: Family<HybridConfig, TokenMaps> = {
  name: 'vit-hybrid',
  title: 'Hybrid Vision Transformer',
  names: vitHybridNames,
  assumable: ['heads', 'grid', 'pool', 'activation', 'eps'],
  recognise,
  build,
  head: tokensAnswer,
};
