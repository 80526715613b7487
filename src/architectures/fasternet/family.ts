import { images } from '../blocks/images';
import { at, last } from '../../domain/lists';
import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { convNorm, convolution, globalMean } from '../blocks/convolution';
import { activate, residual } from '../blocks/layers';
import { mapStage, stages, type ImageMaps } from '../blocks/stages';
import { activationOf } from '../decide';
import { assumed } from '../evidence';
import type { BuildOptions, Family, Found } from '../family';
import { measureStages, stagedConfig, type SettledBy } from '../groups/stagedConfig';
import { answer } from '../heads/classifier';
import type { Sizes } from '../sizes';
import { fasterNetNames } from './names';

const eps = 1e-5;

/** Sizes of Chen et al. 2023 (table 2). */
const sizes: Sizes = {
  '1,2,8,2 40': 'T0',
  '1,2,8,2 64': 'T1',
  '1,2,8,2 96': 'T2',
  '1,2,13,2 128': 'S',
  '3,4,18,3 144': 'M',
  '3,4,18,3 192': 'L',
};

function recognise(found: Found) {
  const measured = measureStages(found, 'stages.*.blocks.*', 'mlp.3.weight');
  if (!measured) return undefined;
  const narrow = at(measured.dims, 0) <= 64;
  const why = 'the two smallest published sizes have GELU, the others ReLU; no weight tells';
  return stagedConfig(measured, {
    label: 'fasternet',
    title: ['FasterNet', sizes],
    head: 'classifier',
    stride: 32,
    shapes: {
      mlp_ratio: measured.ratio('mlp.0.weight'),
      branch_dim: measured.each('spatial_mixing.partial_conv3.weight', 0),
    },
    settings: {
      activation: activationOf(measured.sources, assumed(narrow ? 'gelu' : 'relu', why), {
        named: [
          [/^fasternet_t[01]/, 'gelu'],
          [/^fasternet_(?:t2|[sml])/, 'relu'],
        ],
      }),
    },
  });
}

type FasterNetConfig = SettledBy<typeof recognise>;

/** A convolution of some channels, the others pass; then an MLP of all (Chen et al. 2023, §3.3). */
function block(b: GraphBuilder, x: ValueInfo, activation: string): ValueInfo {
  const own = at(b.shapeOf('spatial_mixing.partial_conv3.weight'), 0);
  const [first, rest] = b.split(x, [own, at(x.shape, 1) - own], 1) as [ValueInfo, ValueInfo];
  const mixed = b.concat([convolution(b, first, 'spatial_mixing.partial_conv3'), rest], 1);
  const hidden = convNorm(b, mixed, 'mlp.0', 'mlp.1', { eps, activation });
  return residual(b, x, convolution(b, hidden, 'mlp.3'));
}

/** A convolution of patches without overlap, with its norm. */
const patches = (b: GraphBuilder, x: ValueInfo, conv: string, norm: string): ValueInfo =>
  convNorm(b, x, conv, norm, { eps, stride: at(b.shapeOf(`${conv}.weight`), 2), padding: 0 });

function build(b: GraphBuilder, config: FasterNetConfig, { imageSize, batch }: BuildOptions): ImageMaps {
  const pixels = images(b, [batch, ...imageSize], 'patch_embed.proj');
  const maps = stages(b, patches(b, pixels, 'patch_embed.proj', 'patch_embed.norm'), {
    depths: config.depth,
    path: ({ stage, index }) => `stages.${stage}.blocks.${index}`,
    enter: (x, stage) => {
      const path = `stages.${stage}.downsample`;
      return stage === 0 ? x : patches(b, x, `${path}.reduction`, `${path}.norm`);
    },
    block: (x) => block(b, x, config.activation),
    note: { title: 'FasterNet block', formula: 'x + W₂ · act(norm(W₁ · [conv(x₁), x₂]))' },
  });
  return { stages: maps.map((map) => mapStage(map, imageSize)), map: last(maps) };
}

/** A hidden layer behind the mean, as a convolution. */
function head(b: GraphBuilder, { map }: ImageMaps, { activation }: FasterNetConfig): void {
  const hidden = activate(b, convolution(b, globalMean(b, map), 'conv_head'), activation);
  answer(b, b.reshape(hidden, [at(hidden.shape, 0), at(hidden.shape, 1)]), map, 'classifier');
}

/** FasterNet (Chen et al. 2023, Run, Don't Walk). */
export const fasterNet: Family<FasterNetConfig, ImageMaps> = {
  name: 'fasternet',
  row: 'cnn',
  title: 'FasterNet',
  names: fasterNetNames,
  assumable: ['activation'],
  recognise,
  build,
  head,
};
