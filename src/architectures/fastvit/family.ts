import { images } from '../blocks/images';
import { answer } from '../heads/classifier';
import { at, last } from '../../domain/lists';
import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { batchNorm, convolution, squeezeGate } from '../blocks/convolution';
import { activate, residual, withValue } from '../blocks/layers';
import { layerNormOfMap, layerScaleOfMap, mapToTokens, meanOfMap, tokensToMap } from '../blocks/maps';
import { branch, reparameterised, sumOf } from '../blocks/reparameterised';
import { mapStage, stages, type ImageMaps } from '../blocks/stages';
import { selfAttention } from '../blocks/transformer';
import type { BuildOptions, Evidence, Family, Found, Recognised } from '../family';
import { assumed, configOf, stored } from '../evidence';
import { sizeOf, sizeTitle, type Sizes } from '../sizes';
import {
  activationOf,
  classesOf,
  countOf,
  decide,
  imageSizeOf,
  recognisedFrom,
  sourcesOf,
  type Sources,
} from '../decide';
import { fastVitNames } from './names';

type Tensors = Found['tensors'];

/** Epsilon of all norms: PyTorch's default, which timm gives the norms over channels, too. */
const eps = 1e-5;

/** Channels per head, which FastViT fixes. */
const headWidth = 32;

/**
 * Sizes of Vasu et al. 2023 (FastViT) and 2024 (the encoders of MobileCLIP) with attention, and
 * without by the MLPs' ratio.
 */
const sizes: Readonly<Record<string, Sizes>> = {
  attention: {
    '2,2,6,2 64': 'SA12',
    '4,4,12,4 64': 'SA24',
    '6,6,18,6 64': 'SA36',
    '6,6,18,6 76': 'MA36',
    '2,6,10,2 64': 'MCi0',
    '4,12,20,4 64': 'MCi1',
    '4,12,24,4 80': 'MCi2',
    '2,12,24,4,2 96': 'MCi3',
    '2,12,24,4,4 128': 'MCi4',
  },
  3: { '2,2,4,2 48': 'T8', '2,2,6,2 64': 'T12' },
  4: { '2,2,6,2 64': 'S12' },
};

/** Dimension of every stage, and of those with attention; 0 if a stage has none. */
function dimsOf(tensors: Tensors): readonly (readonly [dim: number, attention: number])[] {
  return Array.from({ length: countOf(tensors, 'stages') }, (_, stage) => {
    const block = `stages.${stage}.blocks.0`;
    const dim = tensors.get(`${block}.mlp.fc2.weight`)?.shape[0] ?? 0;
    return [dim, tensors.has(`${block}.token_mixer.qkv.weight`) ? dim : 0] as const;
  });
}

/** Of a network without a name: by the projection that MobileCLIP alone has, else by its sizes. */
function likelyActivation({ found }: Sources, size: string | undefined): Evidence<boolean> {
  const projection = found.ownTensors().find(({ name }) => name === 'head.proj');
  if (projection)
    return stored(true, `${projection.name}: the projection of MobileCLIP, whose encoders have one`);
  return size?.startsWith('MC')
    ? assumed(true, `as in the encoder ${size} of MobileCLIP, whose sizes these are`)
    : assumed(false, 'as in FastViT; the encoders of MobileCLIP have one');
}

/**
 * Whether the large convolution of a downsampling has an activation: the encoders of MobileCLIP do,
 * FastViT by its authors' mistake has not.
 */
function downsampleActivation(sources: Sources, size: string | undefined): Evidence<boolean> {
  return decide(sources, 'downsample_activation', {
    config: ['lkc_use_act'],
    named: [
      [/^fastvit_mci/, true],
      [/^fastvit_/, false],
    ],
    otherwise: likelyActivation(sources, size),
    is: (value) => typeof value === 'boolean',
    needed: 'true or false',
  });
}

/** Heads of the stages with attention, of these widths; one number stands for all of them. */
const headsEvidence = (sources: Sources, widths: readonly number[]): Evidence<number | readonly number[]> =>
  decide<number | readonly number[]>(sources, 'heads', {
    otherwise: stored(
      widths.map((dim) => dim / headWidth),
      `${headWidth} channels per head, which FastViT fixes`,
    ),
    is: (value) => {
      const heads = [value].flat().map(Number);
      const fits = (width: number, each: number | undefined): boolean =>
        each !== undefined && width % each === 0;
      return heads.length === 1
        ? widths.every((width) => fits(width, heads[0]))
        : heads.length === widths.length && widths.every((width, index) => fits(width, heads[index]));
    },
    needed: `numbers that divide the widths ${widths.join(', ')}`,
  });

/** Heads of every stage, 0 without attention. */
function headsByStage(attention: readonly number[], heads: readonly number[]): readonly number[] {
  let next = 0;
  return attention.map((dim) => (dim === 0 ? 0 : at(heads, heads.length === 1 ? 0 : next++)));
}

interface FastViTConfig {
  readonly depth: readonly number[];
  /** Of every stage, 0 without attention. */
  readonly heads: readonly number[];
  readonly activation: string;
  /** Whether the large convolution of a downsampling has an activation. */
  readonly downsample_activation: boolean;
}

function recognise(found: Found): Recognised<FastViTConfig> {
  const { tensors } = found;
  const sources = sourcesOf(found);
  const dims = dimsOf(tensors);
  const attention = dims.map(([, dim]) => dim);
  const attentive = attention.filter((dim) => dim > 0);
  const widths = dims.map(([dim]) => dim);
  const depth = dims.map((_, stage) => countOf(tensors, `stages.${stage}.blocks`));
  const hidden = tensors.get('stages.0.blocks.0.mlp.fc1.weight')?.shape[0] ?? 0;
  const mixing = attentive.length > 0 ? 'attention' : String(hidden / (widths[0] ?? 0));
  const { imageSize, evidence: sized } = imageSizeOf(sources, [256, 256]);
  const fused = tensors.has('stem.0.reparam_conv.weight');
  // The stem takes 4 × 4 pixels, every stage but the first halves.
  const stride = 4 * 2 ** (dims.length - 1);
  const heads = attentive.length > 0 ? headsEvidence(sources, attentive) : undefined;
  const settled = {
    depth: stored(depth, 'stages.*.blocks'),
    dim: stored(widths, 'stages.*.blocks.0.mlp.fc2.weight'),
    ...(heads && { heads }),
    patch: stored(4, 'stem.0, stem.1'),
    image_size: sized,
    classes: classesOf(tensors, 'head.fc'),
    downsample_activation: downsampleActivation(sources, sizeOf(sizes[mixing] ?? {}, depth, widths)),
    activation: activationOf(sources, stored('gelu', "FastViT's in timm")),
  };
  return recognisedFrom(sources, {
    label: 'fastvit',
    title: `${sizeTitle('FastViT', sizes[mixing] ?? {}, depth, widths)}${fused ? ', re-parameterised' : ''}`,
    imageSize,
    sizeStep: [stride, stride],
    pixels: 'imagenet',
    evidence: settled,
    config: { ...configOf(settled), heads: headsByStage(attention, [heads?.value ?? []].flat()) },
  });
}

/** Squeeze and excitation if it is stored. */
function excited(b: GraphBuilder, map: ValueInfo): ValueInfo {
  if (!b.has('se.fc1.weight')) return map;
  const names = { reduce: 'fc1', expand: 'fc2', activation: 'relu', gate: 'sigmoid' };
  const gate = b.scope('se', () => squeezeGate(b, map, names), { title: 'Squeeze and excitation' });
  return b.add('Mul', [map, gate]);
}

/**
 * MobileOne's block as a module of its own, with squeeze and excitation and an activation behind
 * it.
 */
function mobileOneUnit(
  b: GraphBuilder,
  map: ValueInfo,
  name: string,
  activation: string,
  stride = 1,
): ValueInfo {
  return b.scope(name, () => activate(b, excited(b, reparameterised(b, map, stride)), activation), {
    title: 'MobileOne block',
  });
}

/**
 * A large and a small convolution side by side (Ding et al. 2022, RepLKNet), or the one they were
 * folded into.
 */
function largeKernel(b: GraphBuilder, map: ValueInfo): ValueInfo {
  if (b.has('reparam_conv.weight')) return convolution(b, map, 'reparam_conv', { stride: 2 });
  const small = b.has('small_conv.conv.weight') ? branch(b, map, 'small_conv', 2) : undefined;
  return sumOf(b, map, [branch(b, map, 'large_conv', 2), small]);
}

/** The downsampling before a stage. */
function downsample(b: GraphBuilder, map: ValueInfo, config: FastViTConfig): ValueInfo {
  const { activation, downsample_activation: activates } = config;
  return b.scope(
    'downsample',
    () => {
      const large = b.scope('proj.0', () => excited(b, largeKernel(b, map)), { title: 'Large convolution' });
      const active = activates ? activate(b, large, activation) : large;
      return mobileOneUnit(b, active, 'proj.1', activation);
    },
    { title: 'Downsampling' },
  );
}

/**
 * Conditional positions (Chu et al. 2023): the map plus a depthwise convolution of it, if one is
 * stored.
 */
function withPositions(b: GraphBuilder, map: ValueInfo): ValueInfo {
  if (b.has('pos_emb.reparam_conv.weight')) return convolution(b, map, 'pos_emb.reparam_conv');
  return b.has('pos_emb.pos_enc.weight') ? residual(b, convolution(b, map, 'pos_emb.pos_enc'), map) : map;
}

/**
 * RepMixer (Vasu et al. 2023, FastViT §3.2): x + s · (mixer(x) − norm(x)), or the one convolution
 * that was folded from it.
 */
function repMixer(b: GraphBuilder, map: ValueInfo): ValueInfo {
  return b.scope(
    'token_mixer',
    () => {
      if (b.has('reparam_conv.weight')) return convolution(b, map, 'reparam_conv');
      const mixed = b.scope('mixer', () => reparameterised(b, map));
      const normed = b.scope('norm', () => reparameterised(b, map));
      return residual(b, map, layerScaleOfMap(b, b.add('Sub', [mixed, normed]), 'layer_scale'));
    },
    { title: 'RepMixer', formula: 'x + s · (conv(x) − norm(x))' },
  );
}

/** A depthwise convolution, then two 1 × 1 ones. */
function convolutionalMlp(b: GraphBuilder, map: ValueInfo, activation: string): ValueInfo {
  return b.scope(
    'mlp',
    () => {
      const hidden = convolution(b, branch(b, map, 'conv', 1), 'fc1');
      return convolution(b, activate(b, hidden, activation), 'fc2');
    },
    { title: 'Convolutional MLP', formula: 'W₂ · act(W₁ · conv(x))' },
  );
}

/** Self-attention over all positions of the map, in a residual connection. */
function attended(b: GraphBuilder, map: ValueInfo, heads: number): ValueInfo {
  const isBatchNorm = b.has('norm.running_mean');
  const normed = isBatchNorm ? batchNorm(b, map, 'norm', eps) : layerNormOfMap(b, map, 'norm', eps);
  const tokens = mapToTokens(b, normed);
  const mixed = selfAttention(b, tokens, 'token_mixer', b.scopePath, { heads, eps });
  return residual(b, map, layerScaleOfMap(b, tokensToMap(b, withValue(tokens, mixed)), 'layer_scale_1'));
}

/** A block with `heads` of attention, or with RepMixer if there are none. */
function block(b: GraphBuilder, map: ValueInfo, heads: number, activation: string): ValueInfo {
  const mixed = heads > 0 ? attended(b, map, heads) : repMixer(b, map);
  const fed = convolutionalMlp(b, mixed, activation);
  return residual(b, mixed, layerScaleOfMap(b, fed, heads > 0 ? 'layer_scale_2' : 'layer_scale'));
}

/**
 * The map before the blocks of a stage: downsampled and with positions, if their parameters are
 * stored.
 */
function entered(b: GraphBuilder, map: ValueInfo, config: FastViTConfig): ValueInfo {
  const kernels = ['conv_kxk.0.conv', 'reparam_conv'];
  const smaller = kernels.some((name) => b.has(`downsample.proj.1.${name}.weight`));
  return withPositions(b, smaller ? downsample(b, map, config) : map);
}

/** The stem, the stages and a last convolution (Vasu et al. 2023, FastViT §3). */
function build(b: GraphBuilder, config: FastViTConfig, { imageSize, batch }: BuildOptions): ImageMaps {
  const { depth, heads, activation } = config;
  const pixels = images(b, [batch, ...imageSize], 'stem.0.conv_kxk.0.conv', 'stem.0.reparam_conv');
  const stem = [2, 2, 1].reduce(
    (map, stride, index) => mobileOneUnit(b, map, `stem.${index}`, activation, stride),
    pixels,
  );
  const maps = stages(b, stem, {
    depths: depth,
    module: (stage) => ({ path: `stages.${stage}` }),
    enter: (map) => entered(b, map, config),
    path: ({ index }) => `blocks.${index}`,
    block: (map, { stage }) => block(b, map, at(heads, stage), activation),
    note: ({ stage }) => ({ title: at(heads, stage) > 0 ? 'Attention block' : 'RepMixer block' }),
  });
  return {
    stages: maps.map((map) => mapStage(map, imageSize)),
    map: mobileOneUnit(b, last(maps), 'final_conv', activation),
  };
}

/**
 * FastViT (Vasu et al. 2023) and the image encoders of MobileCLIP: convolutions that fold into one
 * another, attention in the last stages.
 */
export const fastVit: Family<FastViTConfig, ImageMaps> = {
  name: 'fastvit',
  title: 'FastViT',
  names: fastVitNames,
  assumable: ['heads', 'activation', 'downsample_activation'],
  recognise,
  build,
  head: (b, { map }) => answer(b, meanOfMap(b, map), map, 'head.fc'),
};
