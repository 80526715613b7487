import { images } from '../blocks/images';
import { at, last } from '../../domain/lists';
import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { averagePool, convNormModule, maxPool, squeezeExcite } from '../blocks/convolution';
import { activate, residual } from '../blocks/layers';
import { meanOfMap } from '../blocks/maps';
import { splitInTwo } from '../blocks/parts';
import { mapStage, stages, type ImageMaps } from '../blocks/stages';
import { activationOf, decide, type Sources } from '../decide';
import { assumed, stored } from '../evidence';
import type { BuildOptions, Family, Found } from '../family';
import { measureStages, stagedConfig, type SettledBy } from '../groups/stagedConfig';
import { flag } from '../groups/valueKinds';
import { answer } from '../heads/classifier';
import { cspNetNames } from './names';

const eps = 1e-5;

/** What a stage does with half of its channels while the blocks read the other half. */
type Crossing = 'none' | 'after a convolution' | 'as they are';

function crossingOf({ tensors }: Found): Crossing {
  if (!tensors.has('stages.1.conv_transition.conv.weight')) return 'none';
  return tensors.has('stages.1.conv_transition_b.conv.weight') ? 'after a convolution' : 'as they are';
}

/** Stem strides that the published networks have by the stages that halve: 32 in all. */
function stemStride({ tensors }: Found, count: number): number {
  const halving = Array.from({ length: count }, (_, stage) =>
    ['conv', '1.conv'].some((part) => tensors.has(`stages.${stage}.conv_down.${part}.weight`)),
  );
  return 32 / 2 ** halving.filter(Boolean).length;
}

interface Kind {
  readonly name: string;
  readonly activation: 'silu' | 'leaky_relu';
  readonly linear: boolean;
}

function kindOf(crossing: Crossing, stride: number, bottleneck: boolean): Kind {
  if (crossing === 'none') return { name: 'Darknet', activation: 'leaky_relu', linear: false };
  if (crossing === 'as they are' || stride === 2)
    return { name: 'CS3-Darknet', activation: 'silu', linear: false };
  return bottleneck
    ? { name: 'CSP-ResNet', activation: 'leaky_relu', linear: true }
    : { name: 'CSP-Darknet', activation: 'leaky_relu', linear: false };
}

/** Names of the published networks. */
const known = /^(?:csp|(?:se)?darknet|cs3)/;

function settingsOf(sources: Sources, { name, activation, linear }: Kind, stride: number) {
  const why = `as in ${name} of timm; no weight tells`;
  return {
    activation: activationOf(sources, assumed(activation, why), {
      named: [
        [/^cs3/, 'silu'],
        [known, 'leaky_relu'],
      ],
    }),
    linear_crossing: decide(sources, 'linear_crossing', {
      ...flag,
      named: [
        [/^cspresne/, true],
        [known, false],
      ],
      otherwise: assumed(linear, why),
    }),
    stem_stride: decide(sources, 'stem_stride', {
      named: [[known, stride]],
      otherwise: assumed(stride, 'the map of the last stage is 1/32 of the image as published'),
      is: (value) => value === 1 || value === 2 || value === 4,
      needed: '1, 2 or 4',
    }),
  };
}

function recognise(found: Found) {
  const ends = ['conv3.conv.weight', 'conv2.conv.weight'];
  const measured = measureStages(found, 'stages.*.blocks.*', ends);
  if (!measured) return undefined;
  const { depths, sources } = measured;
  const crossing = crossingOf(found);
  const stride = stemStride(found, depths.length);
  const isBottleneck = found.tensors.has('stages.0.blocks.0.conv3.conv.weight');
  const kind = kindOf(crossing, stride, isBottleneck);
  return stagedConfig(measured, {
    label: 'cspnet',
    title: `${kind.name} with ${depths.join(' + ')} blocks`,
    head: 'head.fc',
    stride: 32,
    shapes: { crossing: stored<Crossing>(crossing, 'stages.1.conv_transition…') },
    settings: settingsOf(sources, kind, stride),
  });
}

type CspNetConfig = SettledBy<typeof recognise>;

/** Two convolutions, or three of which the last is linear, with a gate in front of the last. */
function block(b: GraphBuilder, x: ValueInfo, { activation }: CspNetConfig): ValueInfo {
  const names = ['conv1', 'conv2', 'conv3'].filter((name) => b.has(`${name}.conv.weight`));
  const isBottleneck = names.length === 3;
  const branch = names.reduce((before, name) => {
    const isLast = name === last(names);
    const gate = ['attn', 'attn2'].find((each) => isLast && b.has(`${each}.fc1.weight`));
    const excite = { reduce: 'fc1', expand: 'fc2', activation, gate: 'sigmoid' };
    const read = gate === undefined ? before : squeezeExcite(b, before, gate, excite);
    const acts = isLast && isBottleneck ? undefined : activation;
    return convNormModule(b, read, name, { eps, activation: acts });
  }, x);
  const out = residual(b, branch, x);
  return isBottleneck ? activate(b, out, activation) : out;
}

/** A strided convolution, or means and one of 1 × 1; the map itself if the stage has neither. */
function downsampled(b: GraphBuilder, x: ValueInfo, activation: string): ValueInfo {
  if (b.has('conv_down.conv.weight'))
    return convNormModule(b, x, 'conv_down', { eps, activation, stride: 2 });
  if (!b.has('conv_down.1.conv.weight')) return x;
  return convNormModule(b, averagePool(b, x, { kernel: 2 }), 'conv_down.1', { eps, activation });
}

/**
 * The blocks of a stage, behind a wider map of which they read one half (Wang et al. 2020, §3.1):
 * the second, and a convolution follows them, or the first.
 */
function stage(b: GraphBuilder, before: ValueInfo, depth: number, config: CspNetConfig): ValueInfo {
  const { activation, crossing, linear_crossing: linear } = config;
  const unit = { eps, activation };
  const x = downsampled(b, before, activation);
  const blocks = (first: ValueInfo): ValueInfo =>
    last(
      stages(b, first, {
        depths: [depth],
        path: ({ index }) => `blocks.${index}`,
        block: (map) => block(b, map, config),
        note: { title: 'Residual block', formula: 'x + convolutions(x)' },
      }),
    );
  if (crossing === 'none') return blocks(x);
  const wide = convNormModule(b, x, 'conv_exp', linear ? { eps } : unit);
  const [first, second] = splitInTwo(b, wide, 1);
  const parts =
    crossing === 'as they are'
      ? [blocks(first), second]
      : [first, convNormModule(b, blocks(second), 'conv_transition_b', unit)];
  return convNormModule(b, b.concat(parts, 1), 'conv_transition', unit);
}

/** Convolutions, the first strided if the stem strides, and a maximum if it does so twice. */
function stem(
  b: GraphBuilder,
  pixels: ValueInfo,
  { activation, stem_stride: stride }: CspNetConfig,
): ValueInfo {
  const names = [1, 2, 3]
    .map((number) => `stem.conv${number}`)
    .filter((name) => b.has(`${name}.conv.weight`));
  const map = names.reduce((x, name, index) => {
    const side = at(b.shapeOf(`${name}.conv.weight`), 2);
    const step = index === 0 && stride > 1 ? 2 : 1;
    // The kernel of 6 × 6 takes the place of patches of 2 × 2 (YOLOv5's focus).
    return convNormModule(b, x, name, { eps, activation, stride: step, padding: side === 6 ? 2 : side >> 1 });
  }, pixels);
  return stride === 4 ? maxPool(b, map, { kernel: 3, stride: 2, padding: 1 }) : map;
}

function build(b: GraphBuilder, config: CspNetConfig, { imageSize, batch }: BuildOptions): ImageMaps {
  const pixels = images(b, [batch, ...imageSize], 'stem.conv1.conv');
  const maps = stages(b, stem(b, pixels, config), {
    depths: config.depth.map(() => 1),
    path: ({ stage: number }) => `stages.${number}`,
    block: (x, { stage: number }) => stage(b, x, at(config.depth, number), config),
  });
  return { stages: maps.map((map) => mapStage(map, imageSize)), map: last(maps) };
}

/** Darknet (Redmon & Farhadi 2018) and cross-stage partial networks (Wang et al. 2020). */
export const cspNet: Family<CspNetConfig, ImageMaps> = {
  name: 'cspnet',
  row: 'cnn',
  title: 'Cross-stage partial network',
  names: cspNetNames,
  assumable: ['activation', 'linear_crossing', 'stem_stride'],
  recognise,
  build,
  head: (b, { map }) => answer(b, meanOfMap(b, map), map, 'head.fc'),
};
