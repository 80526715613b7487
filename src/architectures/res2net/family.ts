import { images } from '../blocks/images';
import { at, last, sum } from '../../domain/lists';
import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { averagePool, convNorm } from '../blocks/convolution';
import { residual } from '../blocks/layers';
import { meanOfMap } from '../blocks/maps';
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
  const scales = countOf(found.tensors, 'layer1.0.convs') + 1;
  return stagedConfig(measured, {
    label: 'res2net',
    title: `${perGroup < width ? 'Res2NeXt' : 'Res2Net'}-${2 + 3 * sum(depths)} ${width}w × ${scales}s`,
    head: 'fc',
    stride: 32,
    shapes: { scales: stored(scales, 'layer1.0.convs') },
    settings: { activation: activationOf(sources, stored('relu', 'as published')) },
    plumbing: { ...usualSteps, block: 'bottleneck' as const },
  });
}

type Res2NetConfig = SettledBy<typeof recognise>;

/**
 * Convolutions on parts of the channels, each reading what the one before gave, too; the last part
 * passes (Gao et al. 2021, §3.1). Where a stage begins, none reads another's, and the last part is
 * averaged.
 */
const scaled =
  ({ eps, activation }: Res2NetConfig): UnitWriter =>
  (b, map, conv, stride) => {
    if (conv !== 'conv2') return undefined;
    const [width = 0] = b.shapeOf('convs.0.weight');
    const parts = b.split(map, Array<number>(at(map.shape, 1) / width).fill(width), 1);
    const begins = b.has('downsample.0.weight') || b.has('downsample.1.weight');
    const maps: ValueInfo[] = [];
    for (const [index, part] of parts.slice(0, -1).entries()) {
      const before = maps.at(-1);
      const read = begins || !before ? part : residual(b, before, part);
      maps.push(convNorm(b, read, `convs.${index}`, `bns.${index}`, { eps, activation, stride }));
    }
    const kept = begins ? averagePool(b, last(parts), { kernel: 3, stride, padding: 1 }) : last(parts);
    return b.concat([...maps, kept], 1);
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
