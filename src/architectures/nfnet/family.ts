import { images } from '../blocks/images';
import { at, last, sum } from '../../domain/lists';
import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { channelAttention } from '../blocks/channelAttention';
import { averagePool, convolution, maxPool } from '../blocks/convolution';
import { activate, residual } from '../blocks/layers';
import { meanOfMap } from '../blocks/maps';
import { mapStage, stages, type ImageMaps } from '../blocks/stages';
import { activationOf, decide } from '../decide';
import { assumed, stored } from '../evidence';
import type { BuildOptions, ConfigValue, Family, Found } from '../family';
import { measureStages, stagedConfig, type MeasuredStages, type SettledBy } from '../groups/stagedConfig';
import { flag } from '../groups/valueKinds';
import { answer } from '../heads/classifier';
import { nfNetNames } from './names';

/** Epsilon of the kernels' standardisation, and α of every residual (Brock et al. 2021, §2). */
const standardise = 1e-5;
const alpha = 0.2;
/** What makes up for the variance that a gate takes away (§4). */
const attentionGain = 2;

/** γ: what keeps the variance behind an activation (Brock et al. 2021, table 7; timm's digits). */
const gammas: Readonly<Record<string, number>> = {
  gelu: 1.7015043497085571,
  relu: 1.7139588594436646,
  relu6: 1.7131484746932983,
  silu: 1.7881293296813965,
  elu: 1.2716004848480225,
  leaky_relu: 1.70590341091156,
  selu: 1.0008515119552612,
  tanh: 1.5939117670059204,
};

/** NF-ResNet begins with 7 × 7 and a maximum, NF-RegNet with 3 × 3, NFNet with four of 3 × 3. */
function kindOf({ tensors }: Found): 'NF-ResNet' | 'NF-RegNet' | 'NFNet' {
  const side = tensors.get('stem.conv.weight')?.shape[2];
  return side === undefined ? 'NFNet' : side === 3 ? 'NF-RegNet' : 'NF-ResNet';
}

/** What the weights do not tell: the activation, and where its γ stands. */
function settingsOf(found: Found, { sources }: MeasuredStages) {
  const kind = kindOf(found);
  const usual = { 'NF-ResNet': 'relu', 'NF-RegNet': 'silu', NFNet: 'gelu' }[kind];
  // DeepMind's own files learn a factor per residual; timm's models of the same name have none.
  const isOwn = found.tensors.has('stages.0.0.skipinit_gain');
  const why = 'DeepMind’s models, which have a factor per residual, compute as in JAX, others as timm';
  const original = decide(sources, 'as_in_jax', {
    ...flag,
    named: [
      [/^dm_/, true],
      [/^(?:eca_|test_)?nfnet|^nf_/, false],
    ],
    otherwise: assumed(isOwn, why),
  });
  const is = (value: ConfigValue): boolean => Object.hasOwn(gammas, String(value));
  const activation = activationOf(sources, assumed(usual, `as in ${kind}s; no weight tells`), {
    named: [
      [/^(?:eca_)?nfnet_l|^test_nfnet|^nf_regnet/, 'silu'],
      [/^nf_/, 'relu'],
      [/nfnet_f/, 'gelu'],
    ],
  });
  if (!is(activation.value))
    throw new Error(`activation: ${activation.value} found; one of ${Object.keys(gammas).join(', ')} needed`);
  return { activation, as_in_jax: original };
}

function recognise(found: Found) {
  const { tensors } = found;
  const measured = measureStages(found, 'stages.*.*', 'conv3.weight');
  // Three convolutions in the stem, or no gains, are nobody's published network.
  if (!measured || (tensors.has('stem.conv1.gain') && !tensors.has('stem.conv4.gain'))) return undefined;
  const { depths, dims } = measured;
  const kind = kindOf(found);
  const named = depths.map((depth, stage) => depth / at([1, 2, 6, 3], stage));
  const size = named.every((each) => each === named[0]) ? `-F${at(named, 0) - 1}` : undefined;
  const wide = dims[2] === 1536 && tensors.get('stages.0.0.conv2.weight')?.shape[1] === 128;
  const light = size?.replace('F', 'L');
  return stagedConfig(measured, {
    label: 'nfnet',
    title:
      kind === 'NFNet'
        ? `NFNet${(wide ? size : dims[2] === 1536 ? light : undefined) ?? ` with ${depths.join(' + ')} blocks`}`
        : kind === 'NF-ResNet'
          ? `NF-ResNet-${2 + 3 * sum(depths)}`
          : `NF-RegNet with ${depths.join(' + ')} blocks`,
    head: 'head.fc',
    stride: 32,
    shapes: { group_width: stored(measured.each('conv2.weight', 1).value, 'stages.*.0.conv2.weight') },
    settings: settingsOf(found, measured),
  });
}

type NfNetConfig = SettledBy<typeof recognise>;

/** Convolution and activation; γ stands in one of them. */
function layersOf({ activation, as_in_jax: original }: NfNetConfig) {
  const gamma = at([gammas[activation] ?? 1], 0);
  return {
    convolve: (b: GraphBuilder, x: ValueInfo, name: string, stride = 1): ValueInfo =>
      convolution(b, x, name, {
        standardise,
        gain: original ? 1 : gamma,
        stride,
        ...(original && { padding: 'same' }),
      }),
    act: (b: GraphBuilder, x: ValueInfo): ValueInfo => {
      const active = activate(b, x, activation);
      return original ? b.add('Mul', [active, b.scalar(gamma)]) : active;
    },
  };
}

type Layers = ReturnType<typeof layersOf>;

/** One convolution, and for a ResNet a maximum, or four, two of them strided. */
function stem(b: GraphBuilder, pixels: ValueInfo, { convolve, act }: Layers): ValueInfo {
  if (!b.has('stem.conv.weight'))
    return [2, 1, 1, 2].reduce(
      (x, stride, index) => convolve(b, index === 0 ? x : act(b, x), `stem.conv${index + 1}`, stride),
      pixels,
    );
  const map = convolve(b, pixels, 'stem.conv', 2);
  const pools = b.shapeOf('stem.conv.weight')[2] !== 3;
  return pools ? maxPool(b, map, { kernel: 3, stride: 2, padding: 1 }) : map;
}

const scaled = (b: GraphBuilder, x: ValueInfo, factor: number): ValueInfo =>
  factor === 1 ? x : b.add('Mul', [x, b.scalar(factor)]);

/** A gate and what makes up for it; x itself without one. */
const gated = (b: GraphBuilder, x: ValueInfo, name: string): ValueInfo => {
  const weighed = channelAttention(b, x, name);
  return weighed === x ? x : scaled(b, weighed, attentionGain);
};

/** The branch of a block: convolutions of which each reads an activation. */
function branchOf(b: GraphBuilder, before: ValueInfo, stride: number, { convolve, act }: Layers): ValueInfo {
  const narrow = convolve(b, before, 'conv1');
  const mixed = convolve(b, act(b, narrow), 'conv2', stride);
  const more = b.has('conv2b.weight') ? convolve(b, act(b, mixed), 'conv2b') : mixed;
  const wide = convolve(b, act(b, gated(b, more, 'attn')), 'conv3');
  const weighed = gated(b, wide, 'attn_last');
  return b.has('skipinit_gain') ? b.add('Mul', [weighed, b.parameter('skipinit_gain', [])]) : weighed;
}

/** x + α · f(act(x) · β), β the inverse of the deviation that x is expected to have (§2). */
function block(b: GraphBuilder, x: ValueInfo, stride: number, beta: number, layers: Layers): ValueInfo {
  const before = scaled(b, layers.act(b, x), beta);
  const mean =
    stride === 1 ? before : averagePool(b, before, { kernel: 2, stride, ceil: true, countPadding: false });
  const shortcut = b.has('downsample.conv.weight') ? layers.convolve(b, mean, 'downsample.conv') : x;
  return residual(b, scaled(b, branchOf(b, before, stride, layers), alpha), shortcut);
}

function build(b: GraphBuilder, config: NfNetConfig, { imageSize, batch }: BuildOptions): ImageMaps {
  const { depth } = config;
  const layers = layersOf(config);
  const pixels = images(b, [batch, ...imageSize], 'stem.conv', 'stem.conv1');
  const halves = b.has('stem.conv.weight') && b.shapeOf('stem.conv.weight')[2] === 3;
  // A stage's first block reads what the stage before added up, the others what they did.
  const variance = (stage: number, index: number): number =>
    index > 0 ? 1 + index * alpha ** 2 : stage === 0 ? 1 : 1 + at(depth, stage - 1) * alpha ** 2;
  const maps = stages(b, stem(b, pixels, layers), {
    depths: depth,
    path: ({ stage, index }) => `stages.${stage}.${index}`,
    block: (x, { stage, index }) => {
      const stride = index === 0 && (stage > 0 || halves) ? 2 : 1;
      return block(b, x, stride, 1 / Math.sqrt(variance(stage, index)), layers);
    },
    note: { title: 'Residual block without norms', formula: 'x + α · f(β · act(x))' },
  });
  const end = b.has('final_conv.weight') ? layers.convolve(b, last(maps), 'final_conv') : last(maps);
  return { stages: maps.map((map) => mapStage(map, imageSize)), map: layers.act(b, end) };
}

/**
 * Networks whose kernels are standardised in the place of norms: NF-ResNet and NF-RegNet (Brock et
 * al. 2021, Characterizing signal propagation), NFNet (Brock et al. 2021, High-performance
 * large-scale image recognition without normalization).
 */
export const nfNet: Family<NfNetConfig, ImageMaps> = {
  name: 'nfnet',
  row: 'cnn',
  title: 'Network without norms',
  names: nfNetNames,
  assumable: ['activation', 'as_in_jax'],
  recognise,
  build,
  head: (b, { map }) => answer(b, meanOfMap(b, map), map, 'head.fc'),
};
