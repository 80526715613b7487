import { images } from '../blocks/images';
import { at, last, sum } from '../../domain/lists';
import { answer } from '../heads/classifier';
import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { batchNorm, convolution, groupNorm, maxPool, type ConvolutionOptions } from '../blocks/convolution';
import { activate, residual } from '../blocks/layers';
import { framed, meanOfMap } from '../blocks/maps';
import { mapStage, stages, type ImageMaps } from '../blocks/stages';
import type { BuildOptions, ConfigValue, Evidence, Family, Found } from '../family';
import { assumed, stored } from '../evidence';
import { measureStages, stagedConfig, type SettledBy } from '../groups/stagedConfig';
import { positive } from '../groups/valueKinds';
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
function paddings(sources: Sources, grouped: boolean) {
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
  const pooling = grouped ? (same ? 'none' : 'zeros') : 'edges';
  return {
    padding,
    pool_padding: stored<PoolPadding>(
      pooling,
      `with convolutions that pad ${same ? 'as TensorFlow' : 'evenly'}`,
    ),
  };
}

function recognise(found: Found) {
  const { tensors } = found;
  const stages = measureStages(found, 'stages.*.blocks.*', 'conv3.weight');
  const first = tensors.get('stages.0.blocks.0.norm1.weight')?.shape[0];
  // Norms come first: the first one is as wide as the stem.
  if (!stages || first !== tensors.get('stem.conv.weight')?.shape[0]) return undefined;
  const { sources, depths, dims } = stages;
  const grouped = !tensors.has('stages.0.blocks.0.norm1.running_mean');
  const layers = 2 + 3 * sum(depths);
  return stagedConfig(stages, {
    label: grouped ? 'bit' : 'resnetv2',
    title: grouped ? `BiT ResNet-${layers}×${at(dims, 0) / 256}` : `ResNet V2-${layers}`,
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
      ...paddings(sources, grouped),
    },
  });
}

type BitConfig = SettledBy<typeof recognise>;

/** Convolution and norm as the config has them. */
function layersOf({ norm, groups, padding }: BitConfig) {
  const grouped = norm === 'group';
  const common: ConvolutionOptions = {
    ...(grouped && { standardise }),
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
function block(b: GraphBuilder, x: ValueInfo, { convolve, normalise }: Layers, stride: number): ValueInfo {
  const before = normalise(b, x, 'norm1');
  const shortcut = b.has('downsample.conv.weight') ? convolve(b, before, 'downsample.conv', stride) : x;
  const narrow = convolve(b, before, 'conv1');
  const mixed = convolve(b, normalise(b, narrow, 'norm2'), 'conv2', stride);
  return residual(b, convolve(b, normalise(b, mixed, 'norm3'), 'conv3'), shortcut);
}

function build(b: GraphBuilder, config: BitConfig, { imageSize, batch }: BuildOptions): ImageMaps {
  const layers = layersOf(config);
  const pixels = images(b, [batch, ...imageSize], 'stem.conv');
  const stem = pool(b, layers.convolve(b, pixels, 'stem.conv', 2), config.pool_padding);
  const maps = stages(b, stem, {
    depths: config.depth,
    path: ({ stage, index }) => `stages.${stage}.blocks.${index}`,
    block: (x, { stage, index }) => block(b, x, layers, index === 0 && stage > 0 ? 2 : 1),
    note: { title: 'Pre-activation residual block', formula: 'x + convolutions(norm(x))' },
  });
  return {
    stages: maps.map((map) => mapStage(map, imageSize)),
    map: layers.normalise(b, last(maps), 'norm'),
  };
}

/** Pooling and the classifier, a linear layer or a 1 × 1 convolution. */
function head(b: GraphBuilder, { map }: ImageMaps): void {
  const pooled = meanOfMap(b, map);
  if (!b.has('head.fc.weight') || b.shapeOf('head.fc.weight').length !== 4)
    return answer(b, pooled, map, 'head.fc');
  const logits = convolution(b, b.reshape(pooled, [...pooled.shape, 1, 1]), 'head.fc');
  b.output('logits', b.reshape(logits, logits.shape.slice(0, 2)), 'logits');
  b.output('features', pooled, 'features');
  b.output('tokens', map, 'tokens');
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
  assumable: ['padding', 'groups'],
  recognise,
  build,
  head,
};
