import { images } from '../blocks/images';
import { answer } from '../heads/classifier';
import { last } from '../../domain/lists';
import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { convNorm, squeezeExcite } from '../blocks/convolution';
import { activate, residual } from '../blocks/layers';
import { meanOfMap } from '../blocks/maps';
import type { BuildOptions, Family, Found } from '../family';
import { stored } from '../evidence';
import { mapStage, stages, type ImageMaps } from '../blocks/stages';
import { activationOf, decide } from '../decide';
import { measureStages, stagedConfig, type SettledBy } from '../groups/stagedConfig';
import { flag } from '../groups/valueKinds';
import type { Sizes } from '../sizes';
import { regnetNames } from './names';

const eps = 1e-5;

/**
 * Sizes of RegNetX and RegNetY, by their multiply-accumulates (Radosavovic et al. 2020, tables 7
 * and 8; the largest are SEER's).
 */
const sizes: Sizes = {
  '1,1,4,7 24': '200MF',
  '1,2,7,12 32': '400MF',
  '1,3,6,6 48': '400MF',
  '1,3,5,7 48': '600MF',
  '1,3,7,4 48': '600MF',
  '1,3,7,5 64': '800MF',
  '1,3,8,2 64': '800MF',
  '2,4,10,2 72': '1.6GF',
  '2,6,17,2 48': '1.6GF',
  '2,6,15,2 96': '3.2GF',
  '2,5,13,1 72': '3.2GF',
  '2,5,14,2 80': '4GF',
  '2,6,12,2 128': '4GF',
  '2,4,10,1 168,392': '6.4GF',
  '2,7,14,2 144': '6.4GF',
  '2,5,15,1 80': '8GF',
  '2,4,10,1 168,448': '8GF',
  '2,4,10,1 224': '8GF',
  '2,5,11,1 224': '12GF',
  '2,6,13,1 256': '16GF',
  '2,4,11,1 224': '16GF',
  '2,7,13,1 336': '32GF',
  '2,5,12,1 232': '32GF',
  '2,5,12,1 328': '64GF',
  '2,7,17,1 528': '128GF',
  '2,7,17,1 746': '256GF',
};

/** The parameter that every block ends with. */
const width = 'conv3.conv.weight';

function recognise(found: Found) {
  const stages = measureStages(found, 'stages.*.*', width);
  if (!stages) return undefined;
  const [projection] = stages.each('downsample.conv.weight', 0).value;
  const [gate] = stages.each('se.fc1.weight', 0).value;
  const [groupWidth = 0] = stages.each('conv2.conv.weight', 1).value;
  // Without a projection the block is RegNetZ's, which computes otherwise under the same names.
  if (projection === 0) return undefined;
  // A bottleneck is a ResNet's: there, transformers' names are the same but for a gate.
  const [narrow] = stages.each('conv1.conv.weight', 0).value;
  if (narrow !== stages.dims[0] || found.tensors.get('stem.conv.weight')?.shape[2] !== 3) return undefined;
  const { sources, depths } = stages;
  return stagedConfig(stages, {
    label: 'regnet',
    title: [`RegNet${gate === 0 ? 'X' : 'Y'}`, sizes],
    head: 'head.fc',
    stride: 2 ** (depths.length + 1),
    shapes: {
      depth: stored(depths, `stages.1 … stages.${depths.length}`),
      dim: stored(stages.dims, `stages.*.${width}`),
      group_width: stored(groupWidth, 'stages.1.conv2.conv.weight'),
    },
    settings: {
      activation: activationOf(sources, stored('relu', "RegNet's")),
      downsample_in_first_stage: decide(sources, 'downsample_in_first_stage', {
        ...flag,
        config: ['downsample_in_first_stage'],
        otherwise: stored(true, "RegNet's"),
      }),
    },
    // torchvision counts a stage's blocks from 0, timm from 1.
    plumbing: {
      firstBlock: found.tensors.has(`stages.1.0.${width}`) ? 0 : 1,
      // transformers' gates have ReLU, whatever the blocks have.
      gateActivation: found.dialect.name === 'transformers' ? 'relu' : undefined,
    },
  });
}

type RegNetConfig = SettledBy<typeof recognise>;

/**
 * Bottleneck without a bottleneck: 1 × 1, 3 × 3 in groups, 1 × 1 of one width, and channels weighed
 * after the second (RegNetY).
 */
function block(
  b: GraphBuilder,
  x: ValueInfo,
  stride: number,
  { activation, gateActivation = activation }: Pick<RegNetConfig, 'activation' | 'gateActivation'>,
): ValueInfo {
  const wide = convNorm(b, x, 'conv1.conv', 'conv1.bn', { eps, activation });
  const mixed = convNorm(b, wide, 'conv2.conv', 'conv2.bn', { eps, activation, stride });
  const excite = { reduce: 'fc1', expand: 'fc2', activation: gateActivation, gate: 'sigmoid' };
  const gated = b.has('se.fc1.weight') ? squeezeExcite(b, mixed, 'se', excite) : mixed;
  const branch = convNorm(b, gated, 'conv3.conv', 'conv3.bn', { eps });
  const projected = b.has('downsample.conv.weight');
  const shortcut = projected ? convNorm(b, x, 'downsample.conv', 'downsample.bn', { eps, stride }) : x;
  return activate(b, residual(b, shortcut, branch), activation);
}

/** A network of blocks by stages (Radosavovic et al. 2020, §3). */
function build(b: GraphBuilder, config: RegNetConfig, { imageSize, batch }: BuildOptions): ImageMaps {
  const { depth, firstBlock, activation, downsample_in_first_stage: strided } = config;
  const pixels = images(b, [batch, ...imageSize], 'stem.conv');
  const stem = convNorm(b, pixels, 'stem.conv', 'stem.bn', { eps, activation, stride: 2 });
  const maps = stages(b, stem, {
    depths: depth,
    path: ({ stage, index }) => `stages.${stage + 1}.${firstBlock + index}`,
    block: (x, { stage, index }) => {
      const halves = index === 0 && (stage > 0 || strided);
      return block(b, x, halves ? 2 : 1, config);
    },
    note: { title: 'RegNet block', formula: 'relu(x + convolutions(x))' },
  });
  return { stages: maps.map((map) => mapStage(map, imageSize)), map: last(maps) };
}

/** RegNetX and RegNetY (Radosavovic et al. 2020). */
export const regnet: Family<RegNetConfig, ImageMaps> = {
  name: 'regnet',
  row: 'cnn',
  title: 'RegNet',
  names: regnetNames,
  assumable: [],
  recognise,
  build,
  head: (b, { map }) => answer(b, meanOfMap(b, map), map, 'head.fc'),
};
