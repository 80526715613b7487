import { images } from '../blocks/images';
import { at, last, sum } from '../../domain/lists';
import type { GraphBuilder } from '../../graph/builder';
import { int, type ValueInfo } from '../../graph/graph';
import { averagePool, convNorm, convolution, gateChannels, globalMean } from '../blocks/convolution';
import { meanOfMap } from '../blocks/maps';
import { mapStage, type ImageMaps } from '../blocks/stages';
import { activationOf, decide } from '../decide';
import { assumed, stored } from '../evidence';
import type { BuildOptions, Family, Found } from '../family';
import { encodeResnet, usualSteps, type UnitWriter } from '../groups/residualNetwork';
import { measureStages, stagedConfig, type SettledBy } from '../groups/stagedConfig';
import { flag } from '../groups/valueKinds';
import { answer } from '../heads/classifier';
import { resNeStNames } from './names';

function recognise(found: Found) {
  const measured = measureStages(found, 'layer*.*', 'conv3.weight');
  if (!measured) return undefined;
  const { depths, each, sources } = measured;
  const [width, all, summed, perGroup] = [
    at(each('conv3.weight', 1).value, 0),
    at(each('conv2.conv.weight', 0).value, 0),
    at(each('conv2.conv.weight', 0).value, 0),
    at(each('conv2.fc1.weight', 1).value, 0),
  ];
  const radix = all / width;
  const cardinality = summed / radix / perGroup;
  const why = 'those of 2 parts and one group have means behind the convolution; no weight tells';
  return stagedConfig(measured, {
    label: 'resnest',
    title: `ResNeSt-${2 + 3 * sum(depths)} ${radix}s${cardinality}×${width / cardinality}d`,
    head: 'fc',
    stride: 32,
    shapes: {
      radix: stored(radix, 'layer1.0.conv2.conv.weight'),
      groups: stored(cardinality, 'layer1.0.conv2.fc1.weight'),
    },
    settings: {
      activation: activationOf(sources, stored('relu', 'as published')),
      mean_first: decide(sources, 'mean_first', {
        ...flag,
        named: [
          [/_[14]s/, true],
          [/^resnest/, false],
        ],
        otherwise: assumed(cardinality > 1, why),
      }),
    },
    plumbing: { ...usualSteps, block: 'bottleneck' as const },
  });
}

type ResNeStConfig = SettledBy<typeof recognise>;

/**
 * Weights of the channels of `radix` parts, `[batch, radix · channels, 1, 1]`: a softmax over the
 * parts, or a sigmoid of a single one (Zhang et al. 2022, eq. 1).
 */
function partWeights(b: GraphBuilder, scores: ValueInfo, radix: number, groups: number): ValueInfo {
  const [batch, width] = scores.shape as readonly [number, number];
  if (radix === 1) return b.add('Sigmoid', [scores]);
  // The layer gives them group by group, the map has them part by part.
  const apart = b.transpose(b.reshape(scores, [batch, groups, radix, width / groups / radix]), [0, 2, 1, 3]);
  return b.reshape(b.add('Softmax', [apart], { axis: int(1) }), [batch, width, 1, 1]);
}

/** Sum of the `radix` parts of a map's channels. */
function summedParts(b: GraphBuilder, map: ValueInfo, radix: number): ValueInfo {
  const width = at(map.shape, 1) / radix;
  const parts = radix === 1 ? [map] : b.split(map, Array<number>(radix).fill(width), 1);
  return parts.reduce((all, part) => b.add('Add', [all, part]));
}

/**
 * Split attention (Zhang et al. 2022, §3.1): parts of a wide map weighed channel by channel by what
 * their sum says, and added.
 */
function splitAttention(b: GraphBuilder, map: ValueInfo, config: ResNeStConfig): ValueInfo {
  const { radix, groups, eps, activation } = config;
  // Each part of the input has its groups, which the kernel's second axis tells.
  const wide = convNorm(b, map, 'conv', 'bn0', { eps, activation });
  const mean = globalMean(b, summedParts(b, wide, radix));
  const scores = convolution(b, convNorm(b, mean, 'fc1', 'bn1', { eps, activation }), 'fc2');
  const weights = partWeights(b, scores, radix, groups);
  return summedParts(b, gateChannels(b, wide, weights, b.scopePath), radix);
}

/** Where a block strides, means do it, in front of or behind the convolution (§3.3). */
const split =
  (config: ResNeStConfig): UnitWriter =>
  (b, map, conv, stride) => {
    if (conv !== 'conv2') return undefined;
    const mean = (x: ValueInfo): ValueInfo =>
      stride === 1 ? x : averagePool(b, x, { kernel: 3, stride, padding: 1 });
    const mixed = (x: ValueInfo): ValueInfo =>
      b.scope(conv, () => splitAttention(b, x, config), {
        title: 'Split attention',
        formula: 'Σᵢ xᵢ · softmaxᵢ(W₂ · relu(W₁ · mean(Σxᵢ)))',
      });
    return config.mean_first ? mixed(mean(map)) : mean(mixed(map));
  };

function build(b: GraphBuilder, config: ResNeStConfig, { imageSize, batch }: BuildOptions): ImageMaps {
  const pixels = images(b, [batch, ...imageSize], 'conv1', 'conv1.0');
  const maps = encodeResnet(b, config, pixels, { unit: split(config) });
  return { stages: maps.map((map) => mapStage(map, imageSize)), map: last(maps) };
}

/** ResNeSt (Zhang et al. 2022, Split-Attention Networks). */
export const resNeSt: Family<ResNeStConfig, ImageMaps> = {
  name: 'resnest',
  row: 'cnn',
  title: 'ResNeSt',
  names: resNeStNames,
  assumable: ['activation', 'mean_first'],
  recognise,
  build,
  head: (b, { map }) => answer(b, meanOfMap(b, map), map, 'fc'),
};
