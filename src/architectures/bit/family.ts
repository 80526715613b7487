import { images } from '../blocks/images';
import { at, last, sum } from '../../domain/lists';
import { answer } from '../heads/classifier';
import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import {
  averagePool,
  batchNorm,
  convolution,
  groupNorm,
  maxPool,
  type ConvolutionOptions,
} from '../blocks/convolution';
import { activate, residual } from '../blocks/layers';
import { framed, meanOfMap } from '../blocks/maps';
import { mapStage, stages, type ImageMaps } from '../blocks/stages';
import type { BuildOptions, ConfigValue, Evidence, Family, Found } from '../family';
import { assumed, stored } from '../evidence';
import { measureStages, stagedConfig, type SettledBy } from '../groups/stagedConfig';
import { flag, positive } from '../groups/valueKinds';
import { decide, type Sources } from '../decide';
import { bitNames } from './names';

/** Epsilon of the kernels' standardisation in Big Transfer, and of its norms. */
const standardise = 1e-8;
const eps = 1e-5;

/** What the first pooling pads its map with; zeros count, edges never are the greatest. */
type PoolPadding = 'none' | 'zeros' | 'edges';

/**
 * How convolutions pad, and what the first pooling pads with; config.json of transformers has it.
 */
function paddings(sources: Sources, transfers: boolean) {
  const { dialect, checkpoint } = sources.found;
  const { name, title } = dialect;
  // The class of transformers pads evenly, the models that were published with it do not.
  const isOpen = name === 'transformers' && !checkpoint.sidecars.config;
  const told = decide<ConfigValue>(sources, 'padding', {
    config: ['global_padding'],
    otherwise: isOpen
      ? assumed('same', 'as published; the class pads evenly by default')
      : stored('symmetric', `default of ${title}`),
    is: (value) => /^(?:same|symmetric)$/i.test(String(value)),
    needed: 'same or symmetric',
  });
  const same = String(told.value).toLowerCase() === 'same';
  const padding: Evidence<'same' | 'symmetric'> = { ...told, value: same ? 'same' : 'symmetric' };
  const pooling = transfers ? (same ? 'none' : 'zeros') : 'edges';
  return {
    padding,
    pool_padding: stored<PoolPadding>(
      pooling,
      `with convolutions that pad ${same ? 'as TensorFlow' : 'evenly'}`,
    ),
  };
}

/** What stems of three convolutions (ResNet-D) have beside them, though no weight tells. */
function deepSettings(sources: Sources, deep: boolean, grouped: boolean) {
  const why = 'as timm’s networks with stems of three convolutions; no weight tells';
  const usual = (value: boolean) =>
    deep ? assumed(value, why) : stored(value, 'with a stem of one convolution, as published');
  return {
    mean_shortcuts: decide(sources, 'mean_shortcuts', {
      ...flag,
      named: [[/^resnetv2_\d+[dt]/, true]],
      otherwise: usual(deep),
    }),
    standardised: decide(sources, 'standardised', {
      ...flag,
      named: [[/^resnetv2_\d+[dt]/, false]],
      otherwise: usual(grouped && !deep),
    }),
  };
}

function recognise(found: Found) {
  const { tensors } = found;
  const isBottleneck = tensors.has('stages.0.blocks.0.conv3.weight');
  const stages = measureStages(found, 'stages.*.blocks.*', isBottleneck ? 'conv3.weight' : 'conv2.weight');
  const first = tensors.get('stages.0.blocks.0.norm1.weight')?.shape[0];
  const deep = tensors.has('stem.conv3.weight');
  // Norms come first: the first one is as wide as the stem.
  if (!stages || first !== tensors.get(`stem.conv${deep ? 3 : ''}.weight`)?.shape[0]) return undefined;
  const { sources, depths, dims } = stages;
  const grouped = !tensors.has('stages.0.blocks.0.norm1.running_mean');
  const layers = 2 + (isBottleneck ? 3 : 2) * sum(depths);
  const title = `ResNet V2-${layers}${deep ? '-D' : ''}`;
  return stagedConfig(stages, {
    label: grouped ? 'bit' : 'resnetv2',
    title: grouped && !deep ? `BiT ResNet-${layers}×${at(dims, 0) / 256}` : title,
    head: 'head.fc',
    stride: 32,
    pixels: grouped ? 'half' : 'imagenet',
    settings: {
      norm: stored<'group' | 'batch'>(grouped ? 'group' : 'batch', 'stages.0.blocks.0.norm1'),
      groups: decide(sources, 'groups', {
        ...positive,
        config: ['num_groups'],
        otherwise: stored(32, 'as published'),
      }),
      ...paddings(sources, grouped && !deep),
      ...deepSettings(sources, deep, grouped),
    },
  });
}

type BitConfig = SettledBy<typeof recognise>;

/** Convolution and norm as the config has them. */
function layersOf({ norm, groups, padding, standardised }: BitConfig) {
  const grouped = norm === 'group';
  const common: ConvolutionOptions = {
    ...(standardised && { standardise }),
    ...(padding === 'same' && { padding }),
  };
  return {
    convolve: (b: GraphBuilder, x: ValueInfo, name: string, stride = 1): ValueInfo =>
      convolution(b, x, name, { ...common, stride }),
    normalise: (b: GraphBuilder, x: ValueInfo, name: string): ValueInfo =>
      activate(b, grouped ? groupNorm(b, x, name, { groups, eps }) : batchNorm(b, x, name, eps), 'relu'),
  };
}

type Layers = ReturnType<typeof layersOf>;

/** Big Transfer pads its map with zeros before pooling, and they count: the map may be negative. */
function pool(b: GraphBuilder, map: ValueInfo, padding: PoolPadding): ValueInfo {
  const window = { kernel: 3, stride: 2 };
  if (padding === 'edges') return maxPool(b, map, { ...window, padding: 1 });
  return maxPool(b, padding === 'zeros' ? framed(b, map, [1, 1]) : map, window);
}

/**
 * Residual block with norms before convolutions (He et al. 2016b): the projection reads the
 * normalised input.
 */
function block(b: GraphBuilder, x: ValueInfo, layers: Layers, stride: number, means: boolean): ValueInfo {
  const { convolve, normalise } = layers;
  const before = normalise(b, x, 'norm1');
  const mean =
    means && stride > 1
      ? averagePool(b, before, { kernel: 2, stride, ceil: true, countPadding: false })
      : before;
  const shortcut = b.has('downsample.conv.weight')
    ? convolve(b, mean, 'downsample.conv', means ? 1 : stride)
    : x;
  if (!b.has('conv3.weight')) {
    const first = convolve(b, before, 'conv1', stride);
    return residual(b, convolve(b, normalise(b, first, 'norm2'), 'conv2'), shortcut);
  }
  const narrow = convolve(b, before, 'conv1');
  const mixed = convolve(b, normalise(b, narrow, 'norm2'), 'conv2', stride);
  return residual(b, convolve(b, normalise(b, mixed, 'norm3'), 'conv3'), shortcut);
}

/** One convolution, or three with norms between them. */
function stemOf(b: GraphBuilder, pixels: ValueInfo, { convolve, normalise }: Layers): ValueInfo {
  if (b.has('stem.conv.weight')) return convolve(b, pixels, 'stem.conv', 2);
  const first = normalise(b, convolve(b, pixels, 'stem.conv1', 2), 'stem.norm1');
  return convolve(b, normalise(b, convolve(b, first, 'stem.conv2'), 'stem.norm2'), 'stem.conv3');
}

function build(b: GraphBuilder, config: BitConfig, { imageSize, batch }: BuildOptions): ImageMaps {
  const layers = layersOf(config);
  const pixels = images(b, [batch, ...imageSize], 'stem.conv', 'stem.conv1');
  const stem = pool(b, stemOf(b, pixels, layers), config.pool_padding);
  const maps = stages(b, stem, {
    depths: config.depth,
    path: ({ stage, index }) => `stages.${stage}.blocks.${index}`,
    block: (x, { stage, index }) =>
      block(b, x, layers, index === 0 && stage > 0 ? 2 : 1, config.mean_shortcuts),
    note: { title: 'Pre-activation residual block', formula: 'x + convolutions(norm(x))' },
  });
  return {
    stages: maps.map((map) => mapStage(map, imageSize)),
    map: layers.normalise(b, last(maps), 'norm'),
  };
}

/**
 * ResNet V2 (He et al. 2016b) and Big Transfer (Kolesnikov et al. 2020), which standardises kernels
 * and normalises groups.
 */
export const bit: Family<BitConfig, ImageMaps> = {
  name: 'bit',
  row: 'cnn',
  title: 'Pre-activation residual network',
  names: bitNames,
  assumable: ['padding', 'groups', 'mean_shortcuts', 'standardised'],
  recognise,
  build,
  head: (b, { map }) => answer(b, meanOfMap(b, map), map, 'head.fc'),
};
