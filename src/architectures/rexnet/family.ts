import { images } from '../blocks/images';
import { at, last, sum } from '../../domain/lists';
import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { convNormModule, squeezeExcite } from '../blocks/convolution';
import { activate, residual } from '../blocks/layers';
import { meanOfMap } from '../blocks/maps';
import { mapStage, stages, type ImageMaps } from '../blocks/stages';
import { classesOf, countOf, imageSizeOf, recognisedFrom, sideOf, sourcesOf } from '../decide';
import { configOf, stored } from '../evidence';
import type { BuildOptions, Family, Found } from '../family';
import { answer } from '../heads/classifier';
import { rexNetNames } from './names';

const eps = 1e-5;

/** Blocks of the stages as published, which all stand in one list, and their strides. */
const depths = [1, 2, 2, 3, 3, 5] as const;
const strides = [1, 2, 2, 2, 1, 2] as const;
const blocks = sum(depths);

const pathOf = (stage: number, index: number): string => `features.${sum(depths.slice(0, stage)) + index}`;

function recognise(found: Found) {
  const { tensors } = found;
  // One more, the last convolution; nothing tells the strides of lists of another length.
  if (countOf(tensors, 'features') !== blocks + 1) return undefined;
  const sources = sourcesOf(found);
  const end = `features.${blocks}.conv.weight`;
  const { imageSize, evidence: sized } = imageSizeOf(sources);
  const dims = depths.map((depth, stage) => {
    return sideOf(tensors, `${pathOf(stage, depth - 1)}.conv_pwl.conv.weight`, 0);
  });
  const settled = {
    depth: stored<readonly number[]>(depths, 'as published: lists of 16 blocks'),
    dim: stored<readonly number[]>(dims, 'features.*.conv_pwl.conv.weight'),
    image_size: sized,
    classes: classesOf(tensors, 'head.fc'),
    strides: stored<readonly number[]>(strides, 'as published: lists of 16 blocks'),
  };
  return recognisedFrom(sources, {
    label: 'rexnet',
    title: `ReXNet ${(sideOf(tensors, end, 0) / 1280).toFixed(1)}×`,
    imageSize,
    sizeStep: [32, 32],
    pixels: 'imagenet',
    evidence: settled,
    config: configOf(settled),
  });
}

type RexNetConfig = NonNullable<ReturnType<typeof recognise>>['config'];

/** Squeeze and excitation with a batch norm between its layers. */
const excited = (b: GraphBuilder, x: ValueInfo): ValueInfo =>
  b.has('se.fc1.weight')
    ? squeezeExcite(b, x, 'se', {
        reduce: 'fc1',
        expand: 'fc2',
        norm: ['bn', eps],
        activation: 'relu',
        gate: 'sigmoid',
      })
    : x;

/** x + branch in the first channels, which are as many as x has; the branch alone in the others. */
function partlyAdded(b: GraphBuilder, x: ValueInfo, branch: ValueInfo): ValueInfo {
  const [width, wide] = [at(x.shape, 1), at(branch.shape, 1)];
  if (width === wide) return residual(b, branch, x);
  const [own, more] = b.split(branch, [width, wide - width], 1) as [ValueInfo, ValueInfo];
  return b.concat([residual(b, own, x), more], 1);
}

/** An inverted residual whose activation is behind the gate (Han et al. 2021, §4). */
function block(b: GraphBuilder, x: ValueInfo, stride: number): ValueInfo {
  const wide = b.has('conv_exp.conv.weight')
    ? convNormModule(b, x, 'conv_exp', { eps, activation: 'silu' })
    : x;
  const mixed = excited(b, convNormModule(b, wide, 'conv_dw', { eps, stride }));
  const branch = convNormModule(b, activate(b, mixed, 'relu6'), 'conv_pwl', { eps });
  const skips = stride === 1 && at(x.shape, 1) <= at(branch.shape, 1);
  return skips ? partlyAdded(b, x, branch) : branch;
}

function build(b: GraphBuilder, config: RexNetConfig, { imageSize, batch }: BuildOptions): ImageMaps {
  const { depth, strides: steps } = config;
  const unit = { eps, activation: 'silu' };
  const pixels = images(b, [batch, ...imageSize], 'stem.conv');
  const maps = stages(b, convNormModule(b, pixels, 'stem', { ...unit, stride: 2 }), {
    depths: depth,
    path: ({ stage, index }) => pathOf(stage, index),
    block: (x, { stage, index }) => block(b, x, index === 0 ? at(steps, stage) : 1),
    note: { title: 'Linear bottleneck', formula: 'W · relu6(gate(conv(silu(Wx)))), + x in its channels' },
  });
  return {
    stages: maps.map((map) => mapStage(map, imageSize)),
    map: convNormModule(b, last(maps), `features.${blocks}`, unit),
  };
}

/** ReXNet (Han et al. 2021, Rethinking Channel Dimensions for Efficient Model Design). */
export const rexNet: Family<RexNetConfig, ImageMaps> = {
  name: 'rexnet',
  row: 'cnn',
  title: 'ReXNet',
  names: rexNetNames,
  assumable: [],
  recognise,
  build,
  head: (b, { map }) => answer(b, meanOfMap(b, map), map, 'head.fc'),
};
