import { images } from '../blocks/images';
import { at, last } from '../../domain/lists';
import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { effectiveExcite } from '../blocks/channelAttention';
import { convNormModule, convolution, globalMean, maxPool } from '../blocks/convolution';
import { activate, residual } from '../blocks/layers';
import { framed } from '../blocks/maps';
import { mapStage, stages, type ImageMaps } from '../blocks/stages';
import { sideOf } from '../decide';
import type { BuildOptions, Family, Found } from '../family';
import { measureStages, stagedConfig, type SettledBy } from '../groups/stagedConfig';
import { answer } from '../heads/classifier';
import { sizeTitle, type Sizes } from '../sizes';
import { hgNetNames } from './names';

const eps = 1e-5;
const activation = 'relu';

/** PaddleClas' sizes by the blocks of their stages and the width of the stem and the first. */
const sizes: Sizes = {
  '1,1,2,1 48': 'Tiny',
  '1,1,2,1 64': 'Small',
  '1,2,3,2 96': 'Base',
};
const secondSizes: Sizes = {
  '1,1,2,1 16': 'B0',
  '1,1,2,1 24': 'B1',
  '1,1,3,1 24,96': 'B2',
  '1,1,3,1 24,128': 'B3',
  '1,1,3,1 32': 'B4',
  '1,2,5,2 32': 'B5',
  '2,3,6,3 48': 'B6',
};

function recognise(found: Found) {
  const { tensors } = found;
  const measured = measureStages(found, 'stages.*.blocks.*', [
    'att.conv.weight',
    'aggregation.1.conv.weight',
  ]);
  if (!measured) return undefined;
  const first = tensors.has('stem.stem.0.conv.weight');
  const stem = sideOf(tensors, `stem.stem${first ? '.0' : '1'}.conv.weight`, 0);
  const { depths, dims } = measured;
  return stagedConfig(measured, {
    label: 'hgnet',
    title: sizeTitle(first ? 'HGNet' : 'HGNet V2', first ? sizes : secondSizes, depths, [stem, ...dims]),
    head: 'head.fc',
    stride: 32,
  });
}

type HgNetConfig = SettledBy<typeof recognise>;

/** s · x + t with two learned numbers, if they are stored (PaddleClas' learnable affine block). */
function affine(b: GraphBuilder, x: ValueInfo, name: string): ValueInfo {
  if (!b.has(`${name}.scale`)) return x;
  const scaled = b.add('Mul', [x, b.parameter(`${name}.scale`, [1])]);
  return b.add('Add', [scaled, b.parameter(`${name}.bias`, [1])]);
}

const unit = (b: GraphBuilder, x: ValueInfo, name: string, stride = 1): ValueInfo =>
  affine(b, convNormModule(b, x, name, { eps, activation, stride }), `${name}.lab`);

/** A convolution, or one of 1 × 1 and a depthwise one behind it. */
const layer = (b: GraphBuilder, x: ValueInfo, name: string): ValueInfo =>
  b.has(`${name}.conv.weight`)
    ? unit(b, x, name)
    : unit(b, convNormModule(b, x, `${name}.conv1`, { eps }), `${name}.conv2`);

/** The input and the maps of all layers joined, narrowed and weighed, or narrowed twice. */
function block(b: GraphBuilder, x: ValueInfo, adds: boolean): ValueInfo {
  const maps = [x];
  const has = (name: string): boolean => b.has(`layers.${maps.length - 1}.${name}.weight`);
  while (has('conv') || has('conv1.conv')) maps.push(layer(b, last(maps), `layers.${maps.length - 1}`));
  const joined = unit(b, b.concat(maps, 1), 'aggregation.0');
  const out = b.has('aggregation.1.bn.weight')
    ? unit(b, joined, 'aggregation.1')
    : effectiveExcite(b, joined, 'aggregation.1', { layer: 'conv', gate: 'sigmoid' });
  return adds ? residual(b, out, x) : out;
}

/** Three convolutions and a maximum; in V2 two branches, one of maxima, between convolutions. */
function stem(b: GraphBuilder, pixels: ValueInfo): ValueInfo {
  if (b.has('stem.0.conv.weight')) {
    const map = [2, 1, 1].reduce((x, stride, index) => unit(b, x, `stem.${index}`, stride), pixels);
    return maxPool(b, map, { kernel: 3, stride: 2, padding: 1 });
  }
  // Zeros behind each axis: kernels of 2 × 2 keep the size, and the zeros count among the maxima.
  const behind = [0, 1] as const;
  const first = framed(b, unit(b, pixels, 'stem1', 2), behind);
  const narrow = framed(b, unit(b, first, 'stem2a'), behind);
  const joined = b.concat([maxPool(b, first, { kernel: 2, stride: 1 }), unit(b, narrow, 'stem2b')], 1);
  return unit(b, unit(b, joined, 'stem3', 2), 'stem4');
}

function build(b: GraphBuilder, { depth }: HgNetConfig, { imageSize, batch }: BuildOptions): ImageMaps {
  const pixels = images(b, [batch, ...imageSize], 'stem.stem.0.conv', 'stem.stem1.conv');
  const maps = stages(
    b,
    b.scope('stem', () => stem(b, pixels)),
    {
      depths: depth,
      path: ({ stage, index }) => `stages.${stage}.blocks.${index}`,
      enter: (x, stage) =>
        stage === 0 ? x : convNormModule(b, x, `stages.${stage}.downsample`, { eps, stride: 2 }),
      block: (x, { index }) => block(b, x, index > 0),
      note: { title: 'HG block', formula: 'W · [x, conv(x), conv(conv(x)), …]' },
    },
  );
  return { stages: maps.map((map) => mapStage(map, imageSize)), map: last(maps) };
}

/** A hidden layer without a norm stands between mean and classifier. */
function head(b: GraphBuilder, { map }: ImageMaps): void {
  const mean = globalMean(b, map);
  const hidden = b.has('head.last_conv.0.weight')
    ? affine(b, activate(b, convolution(b, mean, 'head.last_conv.0'), activation), 'head.last_conv.2')
    : mean;
  answer(b, b.reshape(hidden, [at(hidden.shape, 0), at(hidden.shape, 1)]), map, 'head.fc');
}

/** PP-HGNet and PP-HGNetV2 (PaddleClas). */
export const hgNet: Family<HgNetConfig, ImageMaps> = {
  name: 'hgnet',
  row: 'cnn',
  title: 'PP-HGNet',
  names: hgNetNames,
  assumable: [],
  recognise,
  build,
  head,
};
