import { images } from '../blocks/images';
import { at, last, sum } from '../../domain/lists';
import type { GraphBuilder } from '../../graph/builder';
import { meanOfMap } from '../blocks/maps';
import { scales } from '../blocks/scales';
import { mapStage, type ImageMaps } from '../blocks/stages';
import { activationOf, countOf } from '../decide';
import { stored } from '../evidence';
import type { BuildOptions, Family, Found } from '../family';
import { encodeResnet, usualSteps, type UnitWriter } from '../groups/residualNetwork';
import { measureStages, stagedConfig, type SettledBy } from '../groups/stagedConfig';
import { answer } from '../heads/classifier';
import { res2NetNames } from './names';

function recognise(found: Found) {
  const measured = measureStages(found, 'layer*.*', 'conv3.weight');
  if (!measured) return undefined;
  const { depths, each, sources } = measured;
  const width = at(each('convs.0.weight', 0).value, 0);
  const perGroup = at(each('convs.0.weight', 1).value, 0);
  const parts = countOf(found.tensors, 'layer1.0.convs') + 1;
  return stagedConfig(measured, {
    label: 'res2net',
    title: `${perGroup < width ? 'Res2NeXt' : 'Res2Net'}-${2 + 3 * sum(depths)} ${width}w × ${parts}s`,
    head: 'fc',
    stride: 32,
    shapes: { scales: stored(parts, 'layer1.0.convs') },
    settings: { activation: activationOf(sources, stored('relu', 'as published')) },
    plumbing: { ...usualSteps, block: 'bottleneck' as const },
  });
}

type Res2NetConfig = SettledBy<typeof recognise>;

/** Where a stage begins, no part reads another's. */
const scaled =
  (config: Res2NetConfig): UnitWriter =>
  (b, map, conv, stride) => {
    const begins = b.has('downsample.0.weight') || b.has('downsample.1.weight');
    return conv === 'conv2' ? scales(b, map, stride, begins, config) : undefined;
  };

function build(b: GraphBuilder, config: Res2NetConfig, { imageSize, batch }: BuildOptions): ImageMaps {
  const pixels = images(b, [batch, ...imageSize], 'conv1', 'conv1.0');
  const maps = encodeResnet(b, config, pixels, { unit: scaled(config) });
  return { stages: maps.map((map) => mapStage(map, imageSize)), map: last(maps) };
}

/** Res2Net (Gao et al. 2021, A New Multi-Scale Backbone Architecture). */
export const res2Net: Family<Res2NetConfig, ImageMaps> = {
  name: 'res2net',
  row: 'cnn',
  title: 'Res2Net',
  names: res2NetNames,
  assumable: ['activation'],
  recognise,
  build,
  head: (b, { map }) => answer(b, meanOfMap(b, map), map, 'fc'),
};
