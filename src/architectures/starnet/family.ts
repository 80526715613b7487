import { images } from '../blocks/images';
import { last } from '../../domain/lists';
import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { batchNorm, convNorm, convolution } from '../blocks/convolution';
import { activate, residual } from '../blocks/layers';
import { meanOfMap } from '../blocks/maps';
import { mapStage, stages, type ImageMaps } from '../blocks/stages';
import type { BuildOptions, Family, Found } from '../family';
import { measureStages, stagedConfig, type SettledBy } from '../groups/stagedConfig';
import { answer } from '../heads/classifier';
import type { Sizes } from '../sizes';
import { starnetNames } from './names';

const eps = 1e-5;
const activation = 'relu6';

/** Sizes of Ma et al. 2024 (table 8) and those of timm by their width. */
const sizes: Sizes = {
  '2,2,8,3 24': 'S1',
  '1,2,6,2 32': 'S2',
  '2,2,8,4 32': 'S3',
  '3,3,12,5 32': 'S4',
  '1,1,3,1 16': 'S050',
  '1,2,4,1 20': 'S100',
  '1,2,4,2 24': 'S150',
};

function recognise(found: Found) {
  const measured = measureStages(found, 'stages.*.*', 'dwconv.conv.weight');
  if (!measured) return undefined;
  return stagedConfig(measured, {
    label: 'starnet',
    title: ['StarNet', sizes],
    head: 'head',
    stride: 32,
    shapes: { mlp_ratio: measured.ratio('f1.conv.weight') },
  });
}

type StarNetConfig = SettledBy<typeof recognise>;

/**
 * Two branches multiplied element by element between depthwise convolutions (Ma et al. 2024, §3.4,
 * figure 3).
 */
function block(b: GraphBuilder, x: ValueInfo): ValueInfo {
  const mixed = convNorm(b, x, 'dwconv.conv', 'dwconv.bn', { eps });
  const gate = activate(b, convolution(b, mixed, 'f1.conv'), activation);
  const star = b.add('Mul', [gate, convolution(b, mixed, 'f2.conv')]);
  const narrow = convNorm(b, star, 'g.conv', 'g.bn', { eps });
  return residual(b, x, convolution(b, narrow, 'dwconv2.conv'));
}

function build(b: GraphBuilder, { depth }: StarNetConfig, { imageSize, batch }: BuildOptions): ImageMaps {
  const pixels = images(b, [batch, ...imageSize], 'stem.0.conv');
  const stem = convNorm(b, pixels, 'stem.0.conv', 'stem.0.bn', { eps, activation, stride: 2 });
  const maps = stages(b, stem, {
    depths: depth,
    path: ({ stage, index }) => `stages.${stage}.${index + 1}`,
    enter: (x, stage) =>
      b.scope(`stages.${stage}.0`, () => convNorm(b, x, 'conv', 'bn', { eps, stride: 2 }), {
        title: 'Downsampling',
      }),
    block: (x) => block(b, x),
    note: { title: 'Star block', formula: 'x + W·(relu6(W₁x) ⊙ W₂x)' },
  });
  return { stages: maps.map((map) => mapStage(map, imageSize)), map: batchNorm(b, last(maps), 'norm', eps) };
}

/** StarNet (Ma et al. 2024, Rewrite the Stars). */
export const starnet: Family<StarNetConfig, ImageMaps> = {
  name: 'starnet',
  row: 'cnn',
  title: 'StarNet',
  names: starnetNames,
  assumable: [],
  recognise,
  build,
  head: (b, { map }) => answer(b, meanOfMap(b, map), map),
};
