import { images } from '../blocks/images';
import { at, last, sum } from '../../domain/lists';
import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import {
  averagePool,
  batchNorm,
  convNorm,
  convolution,
  globalMean,
  squeezeExcite,
} from '../blocks/convolution';
import { activate, residual } from '../blocks/layers';
import { gridOf, repeatedMap } from '../blocks/maps';
import { mapStage, stages, type ImageMaps } from '../blocks/stages';
import type { BuildOptions, Family, Found } from '../family';
import { measureStages, stagedConfig, type SettledBy } from '../groups/stagedConfig';
import { answer } from '../heads/classifier';
import { ghostNetNames } from './names';

const eps = 1e-5;
const activation = 'relu';

/** The edition by what only it has. */
function editionOf({ tensors }: Found): string {
  if (tensors.has('blocks.0.0.ghost1.primary_rpr_conv.0.conv.weight')) return 'GhostNet V3';
  if (tensors.has('blocks.0.0.ghost1.fusion_bn.0.weight')) return 'RepGhostNet';
  const isSecond = [...tensors.keys()].some((name) => name.includes('.short_conv.'));
  return isSecond ? 'GhostNet V2' : 'GhostNet';
}

/** Channels of the first stem, times 16 of which timm names the widths. */
const baseWidth = 16;

function recognise(found: Found) {
  const { tensors } = found;
  const widths = ['ghost2.cheap_operation.0.weight', 'ghost2.cheap_rpr_scale.conv.weight', 'conv.weight'];
  const measured = measureStages(found, 'blocks.*.*', widths);
  if (!measured) return undefined;
  const [stem = 0] = tensors.get('conv_stem.weight')?.shape ?? [];
  return stagedConfig(measured, {
    label: 'ghostnet',
    title: `${editionOf(found)} ${(stem / baseWidth).toFixed(1)}×, ${sum(measured.depths) - 1} blocks`,
    head: 'classifier',
    stride: 32,
  });
}

type GhostNetConfig = SettledBy<typeof recognise>;

/** A convolution and a norm that stand side by side in a list. */
const listed = (b: GraphBuilder, x: ValueInfo, list: string, index = 0, stride = 1): ValueInfo =>
  convNorm(b, x, `${list}.${index}`, `${list}.${index + 1}`, { eps, stride });

/** The sum of convolutions side by side: a list, one of 1 × 1, and a norm alone (V3). */
function branches(b: GraphBuilder, x: ValueInfo, name: string, stride = 1): ValueInfo {
  const paths: string[] = [];
  while (b.has(`${name}_conv.${paths.length}.conv.weight`)) paths.push(`${name}_conv.${paths.length}`);
  if (b.has(`${name}_scale.conv.weight`)) paths.push(`${name}_scale`);
  const maps = paths.map((path) => convNorm(b, x, `${path}.conv`, `${path}.bn1`, { eps, stride }));
  if (b.has(`${name}_skip.weight`)) maps.push(batchNorm(b, x, `${name}_skip`, eps));
  return maps.reduce((all, map) => b.add('Add', [all, map]));
}

/**
 * A gate per position from far along rows and columns, made at half of the size (Tang et al. 2022,
 * GhostNetV2 §3.2).
 */
function gated(b: GraphBuilder, x: ValueInfo, map: ValueInfo): ValueInfo {
  if (!b.has('short_conv.0.weight')) return map;
  const half = averagePool(b, x, { kernel: 2 });
  const far = [0, 2, 4].reduce((before, index) => listed(b, before, 'short_conv', index), half);
  return b.add('Mul', [map, repeatedMap(b, b.add('Sigmoid', [far]), gridOf(map))]);
}

/**
 * Some channels by a convolution, as many more by a cheap one from these (Han et al. 2020, §3.1);
 * RepGhost adds them in the place of joining (Chen et al. 2022, §3.2).
 */
function ghost(b: GraphBuilder, x: ValueInfo, act: (map: ValueInfo) => ValueInfo): ValueInfo {
  const isThird = b.has('primary_rpr_conv.0.conv.weight');
  const first = act(isThird ? branches(b, x, 'primary_rpr') : listed(b, x, 'primary_conv'));
  const cheap = isThird ? branches(b, first, 'cheap_rpr') : listed(b, first, 'cheap_operation');
  if (b.has('fusion_bn.0.weight')) return act(residual(b, cheap, batchNorm(b, first, 'fusion_bn.0', eps)));
  return gated(b, x, b.concat([first, act(cheap)], 1));
}

/** Two ghost modules, between them a strided convolution and a gate if they are stored. */
function block(b: GraphBuilder, x: ValueInfo): ValueInfo {
  const wide = b.scope('ghost1', () => ghost(b, x, (map) => activate(b, map, activation)));
  const strided = b.has('conv_dw.weight')
    ? convNorm(b, wide, 'conv_dw', 'bn_dw', { eps, stride: 2 })
    : b.has('dw_rpr_scale.conv.weight')
      ? branches(b, wide, 'dw_rpr', 2)
      : wide;
  const excite = { reduce: 'conv_reduce', expand: 'conv_expand', activation, gate: 'hard_sigmoid' };
  const weighed = b.has('se.conv_reduce.weight') ? squeezeExcite(b, strided, 'se', excite) : strided;
  const branch = b.scope('ghost2', () => ghost(b, weighed, (map) => map));
  if (!b.has('shortcut.0.weight')) return residual(b, branch, x);
  const mixed = listed(b, x, 'shortcut', 0, strided === wide ? 1 : 2);
  return residual(b, branch, listed(b, mixed, 'shortcut', 2));
}

function build(b: GraphBuilder, { depth }: GhostNetConfig, { imageSize, batch }: BuildOptions): ImageMaps {
  const pixels = images(b, [batch, ...imageSize], 'conv_stem');
  const stem = convNorm(b, pixels, 'conv_stem', 'bn1', { eps, activation, stride: 2 });
  const maps = stages(b, stem, {
    depths: depth,
    path: ({ stage, index }) => `blocks.${stage}.${index}`,
    // The last stage is a convolution.
    block: (x) => (b.has('conv.weight') ? convNorm(b, x, 'conv', 'bn1', { eps, activation }) : block(b, x)),
    note: { title: 'Ghost bottleneck', formula: 'x + ghost(ghost(x)), ghost(x) = [y, cheap(y)], y = Wx' },
  });
  return { stages: maps.map((map) => mapStage(map, imageSize)), map: last(maps) };
}

/** A hidden layer behind the mean, as a convolution. */
function head(b: GraphBuilder, { map }: ImageMaps): void {
  const hidden = activate(b, convolution(b, globalMean(b, map), 'conv_head'), activation);
  answer(b, b.reshape(hidden, [at(hidden.shape, 0), at(hidden.shape, 1)]), map, 'classifier');
}

/**
 * GhostNet (Han et al. 2020), V2 (Tang et al. 2022), V3 (Liu et al. 2024) and RepGhostNet (Chen et
 * al. 2022).
 */
export const ghostNet: Family<GhostNetConfig, ImageMaps> = {
  name: 'ghostnet',
  row: 'cnn',
  title: 'GhostNet',
  names: ghostNetNames,
  assumable: [],
  recognise,
  build,
  head,
};
