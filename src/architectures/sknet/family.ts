import { images } from '../blocks/images';
import { at, last, sum } from '../../domain/lists';
import type { GraphBuilder } from '../../graph/builder';
import { int, type ValueInfo } from '../../graph/graph';
import { convNorm, convNormModule, convolution, gateChannels, globalMean } from '../blocks/convolution';
import { meanOfMap } from '../blocks/maps';
import { mapStage, type ImageMaps } from '../blocks/stages';
import { activationOf } from '../decide';
import { stored } from '../evidence';
import type { BuildOptions, Family, Found } from '../family';
import { encodeResnet, usualSteps, type UnitWriter } from '../groups/residualNetwork';
import { measureStages, stagedConfig, type SettledBy } from '../groups/stagedConfig';
import { answer } from '../heads/classifier';
import { skNetNames } from './names';

function recognise(found: Found) {
  const isBottleneck = found.tensors.has('layer1.0.conv3.weight');
  const end = isBottleneck ? 'conv3.weight' : 'conv2.weight';
  const measured = measureStages(found, 'layer*.*', end);
  if (!measured) return undefined;
  const { depths, sources, each } = measured;
  const path = `${isBottleneck ? 'conv2' : 'conv1'}.paths.0.conv.weight`;
  const [width = 0, perGroup = 0] = [0, 1].map((axis) => at(each(path, axis).value, 0));
  const name = perGroup < width / 2 ? 'SKNeXt' : 'SKNet';
  return stagedConfig(measured, {
    label: 'sknet',
    title: `${name}-${2 + (isBottleneck ? 3 : 2) * sum(depths)}`,
    head: 'fc',
    stride: 32,
    settings: { activation: activationOf(sources, stored('relu', 'as published')) },
    plumbing: { ...usualSteps, block: isBottleneck ? ('bottleneck' as const) : ('basic' as const) },
  });
}

type SkNetConfig = SettledBy<typeof recognise>;

/** Convolutions of 3 × 3, and of 5 × 5 as a spread 3 × 3 (timm's way of Li et al. 2019, §3.3). */
const dilations = [1, 2] as const;

/** Weights of both paths, channel by channel: `[batch, 2 · channels, 1, 1]`. */
function pathWeights(b: GraphBuilder, joined: ValueInfo, { eps, activation }: SkNetConfig): ValueInfo {
  const hidden = convNorm(b, globalMean(b, joined), 'fc_reduce', 'bn', { eps, activation });
  const scores = convolution(b, hidden, 'fc_select');
  const [batch, width] = scores.shape as readonly [number, number];
  const apart = b.reshape(scores, [batch, dilations.length, width / dilations.length]);
  return b.reshape(b.add('Softmax', [apart], { axis: int(1) }), [batch, width, 1, 1]);
}

/**
 * Two convolutions of another reach, added with weights that their sum decides (Li et al. 2019,
 * §3.1). Each reads half of the channels if its kernel has as many inputs, else all.
 */
function selectiveKernel(b: GraphBuilder, map: ValueInfo, stride: number, config: SkNetConfig): ValueInfo {
  const { eps, activation } = config;
  const half = at(map.shape, 1) / 2;
  const isSplit = b.shapeOf('paths.0.conv.weight')[1] === half;
  const inputs = isSplit ? b.split(map, [half, half], 1) : [map, map];
  const paths = dilations.map((dilation, index) =>
    convNormModule(b, at(inputs, index), `paths.${index}`, { eps, activation, stride, dilation }),
  );
  const width = at(at(paths, 0).shape, 1);
  const joined = paths.reduce((all, path) => b.add('Add', [all, path]));
  const weights = b.scope('attn', () => pathWeights(b, joined, config));
  const weighed = gateChannels(b, b.concat(paths, 1), weights, `${b.scopePath}.attn`);
  return b.split(weighed, [width, width], 1).reduce((all, path) => b.add('Add', [all, path]));
}

const selective =
  (config: SkNetConfig): UnitWriter =>
  (b, map, conv, stride) =>
    b.has(`${conv}.paths.0.conv.weight`)
      ? b.scope(conv, () => selectiveKernel(b, map, stride, config), {
          title: 'Selective kernel',
          formula: 'Σᵢ xᵢ · softmaxᵢ(W₂ · relu(W₁ · mean(Σxᵢ)))',
        })
      : undefined;

function build(b: GraphBuilder, config: SkNetConfig, { imageSize, batch }: BuildOptions): ImageMaps {
  const pixels = images(b, [batch, ...imageSize], 'conv1', 'conv1.0');
  const maps = encodeResnet(b, config, pixels, { unit: selective(config) });
  return { stages: maps.map((map) => mapStage(map, imageSize)), map: last(maps) };
}

/** SKNet (Li et al. 2019, Selective Kernel Networks) as timm varies it. */
export const skNet: Family<SkNetConfig, ImageMaps> = {
  name: 'sknet',
  row: 'cnn',
  title: 'Selective kernel network',
  names: skNetNames,
  assumable: ['activation'],
  recognise,
  build,
  head: (b, { map }) => answer(b, meanOfMap(b, map), map, 'fc'),
};
