import { images } from '../blocks/images';
import { at, last, sum } from '../../domain/lists';
import type { GraphBuilder } from '../../graph/builder';
import { meanOfMap } from '../blocks/maps';
import { mapStage, type ImageMaps } from '../blocks/stages';
import { decide } from '../decide';
import { assumed } from '../evidence';
import type { BuildOptions, Family, Found } from '../family';
import { encodeResnet, usualSteps } from '../groups/residualNetwork';
import { measureStages, stagedConfig, type SettledBy } from '../groups/stagedConfig';
import { flag } from '../groups/valueKinds';
import { answer } from '../heads/classifier';
import { seNetNames } from './names';

const { downsample_in_bottleneck: _, ...steps } = usualSteps;

function recognise(found: Found) {
  const isBottleneck = found.tensors.has('layer1.0.conv3.weight');
  const measured = measureStages(found, 'layer*.*', isBottleneck ? 'conv3.weight' : 'conv2.weight');
  if (!measured) return undefined;
  const { depths, each, sources } = measured;
  const [width = 0, perGroup = 0] = [0, 1].map((axis) => at(each('conv2.weight', axis).value, 0));
  const layers = 2 + (isBottleneck ? 3 : 2) * sum(depths);
  const groups = width / perGroup;
  const deep = found.tensors.has('conv1.0.weight');
  return stagedConfig(measured, {
    label: 'senet',
    title: deep ? `SENet-${layers}` : `SE-${groups > 1 ? 'ResNeXt' : 'ResNet'}-${layers} of Caffe`,
    head: 'fc',
    stride: 32,
    settings: {
      downsample_in_bottleneck: decide(sources, 'downsample_in_bottleneck', {
        ...flag,
        named: [
          [/^legacy_seresnet(?:50|101|152)/, true],
          [/^legacy_se/, false],
        ],
        otherwise: assumed(
          isBottleneck && groups === 1,
          'SE-ResNets stride in the first convolution, grouped ones in the second; no weight tells',
        ),
      }),
    },
    plumbing: {
      ...steps,
      activation: 'relu',
      ceil_pool: true,
      block: isBottleneck ? ('bottleneck' as const) : ('basic' as const),
    },
  });
}

type SeNetConfig = SettledBy<typeof recognise>;

function build(b: GraphBuilder, config: SeNetConfig, { imageSize, batch }: BuildOptions): ImageMaps {
  const maps = encodeResnet(b, config, images(b, [batch, ...imageSize], 'conv1', 'conv1.0'));
  return { stages: maps.map((map) => mapStage(map, imageSize)), map: last(maps) };
}

/** SENet and SE-ResNets (Hu et al. 2018) as their authors' Caffe computes them. */
export const seNet: Family<SeNetConfig, ImageMaps> = {
  name: 'senet',
  row: 'cnn',
  title: 'Squeeze-and-excitation network',
  names: seNetNames,
  assumable: ['downsample_in_bottleneck'],
  recognise,
  build,
  head: (b, { map }) => answer(b, meanOfMap(b, map), map, 'fc'),
};
