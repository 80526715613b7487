import { images } from '../blocks/images';
import { at, last, sum } from '../../domain/lists';
import { answer } from '../heads/classifier';
import type { GraphBuilder } from '../../graph/builder';
import { channelAttentions, type ChannelAttention } from '../blocks/channelAttention';
import { meanOfMap } from '../blocks/maps';
import { mapStage, type ImageMaps } from '../blocks/stages';
import type { BuildOptions, Evidence, Family, Found } from '../family';
import { assumed, stored } from '../evidence';
import { blurSetting } from '../groups/antiAliasing';
import { encodeResnet } from '../groups/residualNetwork';
import { measureStages, stagedConfig, type MeasuredStages, type SettledBy } from '../groups/stagedConfig';
import { flag } from '../groups/valueKinds';
import { activationOf, decide, imageSizeOf, namesOf, type Sources } from '../decide';
import { resnetNames } from './names';

/**
 * Variants that blur where they stride, with the names and shapes of those that do not: the weights
 * alone never decide.
 */
const antialiased = /^(?:se|eca)?resne[xt]t?(?:aa|blur)/;

/** What the first block of the first stage, the stem and the first shortcut store. */
function measureBlocks({ tensors }: Found, { depths, dims, each }: MeasuredStages) {
  const [inner = 0] = each('conv2.weight', 0).value;
  const [perGroup = 0] = each('conv2.weight', 1).value;
  return {
    depths,
    /** Channels of a block, and of its 3 × 3 convolution and one of that one's groups. */
    width: at(dims, 0),
    inner,
    perGroup,
    bottleneck: tensors.has('layer1.0.conv3.weight'),
    attention: channelAttentions.find(({ has }) => tensors.has(`layer1.0.se.${has}`)),
    /** Channels behind the first of three convolutions in the stem; undefined if it has one. */
    stem: tensors.get('conv1.0.weight')?.shape[0],
    averageDown: tensors.has('layer2.0.downsample.2.weight'),
    small: tensors.get('conv1.weight')?.shape[2] === smallKernel,
  };
}

type Measures = ReturnType<typeof measureBlocks>;

/**
 * Letters of stems of three convolutions by the width of the first, and if maps are averaged before
 * a shortcut (He et al. 2019; T is timm's).
 */
const stems: Readonly<Record<string, string>> = {
  '32': '-C',
  '64': '-S',
  '32 averaged': '-D',
  '24 averaged': '-T',
};

/**
 * `SE-ResNeXt-50 32×4d`, `Wide ResNet-50-2`, `ResNet-50-D`: names by what differs from He et al.
 * 2016.
 */
function titleOf(measures: Measures): string {
  const { depths, bottleneck, width, inner, perGroup, attention, stem, averageDown } = measures;
  const layers = 2 + (bottleneck ? 3 : 2) * sum(depths);
  const groups = inner / perGroup;
  const wide = bottleneck && groups === 1 ? (4 * inner) / width : 1;
  const words = [
    wide > 1 ? 'Wide ' : '',
    attention ? `${attention.name}-` : '',
    groups > 1 ? 'ResNeXt' : 'ResNet',
    `-${layers}`,
    wide > 1 ? `-${wide}` : '',
    stems[`${stem}${averageDown ? ' averaged' : ''}`] ?? '',
    groups > 1 ? ` ${groups}×${perGroup}d` : '',
  ];
  return words.join('');
}

/** Names of the models with an attention module, as they are published. */
const labels: Readonly<Record<ChannelAttention['name'], string>> = {
  SE: 'seresnet',
  CBAM: 'cbam-resnet',
  ECA: 'eca-resnet',
  GC: 'gc-resnet',
  NL: 'nonlocal-resnet',
};

/** Where the map is halved: not stored, but every library has the same defaults. */
function strideSettings(sources: Sources) {
  const usual = stored(false, 'as published after 2016: in the 3 × 3 convolution, from the second stage on');
  const setting = (key: string): Evidence<boolean> =>
    decide(sources, key, { ...flag, config: [key], otherwise: usual });
  return {
    downsample_in_bottleneck: setting('downsample_in_bottleneck'),
    downsample_in_first_stage: setting('downsample_in_first_stage'),
  };
}

/** Side of the first kernel of ResNets for images of 32 × 32. */
const smallKernel = 3;

/**
 * What the stem does: a single 3 × 3 convolution is that of networks for small images, which keep
 * their size; nothing in the file says so.
 */
function stemSettings(sources: Sources, small: boolean) {
  const why = 'a first convolution of 3 × 3 is usual for small images; no weight tells';
  return {
    stem_stride: decide(sources, 'stem_stride', {
      otherwise: small ? assumed(1, why) : stored(2, 'as published'),
      is: (value) => value === 1 || value === 2 || value === 4,
      needed: '1, 2 or 4',
    }),
    stem_pool: decide(sources, 'stem_pool', {
      ...flag,
      otherwise: small ? assumed(false, why) : stored(true, 'as published'),
    }),
  };
}

/** transformers' ResNetConvLayer leaves `hidden_act` to the stem and to the ends of blocks. */
const innerActivation = ({ dialect }: Found): { readonly inner_activation?: Evidence<string> } =>
  dialect.name === 'transformers'
    ? { inner_activation: stored('relu', `as ${dialect.title} builds blocks`) }
    : {};

/** The convolution that ends a block. */
const endOf = ({ tensors }: Found): string => (tensors.has('layer1.0.conv3.weight') ? 'conv3' : 'conv2');

function recognise(found: Found) {
  const end = endOf(found);
  const stages = measureStages(found, 'layer*.*', `${end}.weight`);
  if (!stages) return undefined;
  const { sources, depths } = stages;
  const measures = measureBlocks(found, stages);
  const { inner, perGroup, attention, bottleneck, small } = measures;
  // A bottleneck that is none, behind such a stem, is a RegNet's.
  if (small && bottleneck && inner === measures.width) return undefined;
  if (perGroup === 0 || namesOf(sources).some((name) => antialiased.test(name))) return undefined;
  const count = depths.length;
  return stagedConfig(stages, {
    label: attention ? labels[attention.name] : inner > perGroup ? 'resnext' : 'resnet',
    title: titleOf(measures),
    head: 'fc',
    stride: 2 ** (small ? count - 1 : count + 1),
    ...(small && { image: imageSizeOf(sources, [32, 32]) }),
    shapes: {
      depth: stored(depths, `layer1.* … layer${count}.*`),
      dim: stored(stages.dims, `layer1.0.${end}.weight … layer${count}.0.${end}.weight`),
      block: stored<'basic' | 'bottleneck'>(bottleneck ? 'bottleneck' : 'basic', `layer1.0.${end}.weight`),
      groups: stored(inner / perGroup, 'layer1.0.conv2.weight'),
    },
    settings: {
      activation: activationOf(sources, stored('relu', 'as published')),
      ...innerActivation(found),
      eps: stored(1e-5, 'default of PyTorch’s batch norms'),
      ...strideSettings(sources),
      ...stemSettings(sources, small),
      ...blurSetting(found),
    },
  });
}

type ResNetConfig = SettledBy<typeof recognise>;

function build(
  b: GraphBuilder,
  config: ResNetConfig,
  { imageSize, batch, dilatedStages }: BuildOptions,
): ImageMaps {
  const pixels = images(b, [batch, ...imageSize], 'conv1', 'conv1.0');
  const maps = encodeResnet(b, config, pixels, { ...(dilatedStages && { dilated: dilatedStages }) });
  return { stages: maps.map((map) => mapStage(map, imageSize)), map: last(maps) };
}

/**
 * ResNets (He et al. 2016) with everything that names and shapes of timm's resnet.py show:
 * ResNeXt, wide, deep stems, attention modules.
 */
export const resnet: Family<ResNetConfig, ImageMaps> = {
  name: 'resnet',
  row: 'cnn',
  title: 'Residual network',
  names: resnetNames,
  assumable: [
    'activation',
    'downsample_in_bottleneck',
    'downsample_in_first_stage',
    'stem_stride',
    'stem_pool',
  ],
  recognise,
  build,
  head: (b, { map }) => answer(b, meanOfMap(b, map), map, 'fc'),
};
