import { images } from '../blocks/images';
import { last } from '../../domain/lists';
import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { convNorm, maxPool } from '../blocks/convolution';
import { activate, residual } from '../blocks/layers';
import { meanOfMap } from '../blocks/maps';
import { scales } from '../blocks/scales';
import { mapStage, throughStages, type ImageMaps } from '../blocks/stages';
import { classesOf, decide, imageSizeOf, recognisedFrom, sourcesOf } from '../decide';
import { assumed, configOf, stored } from '../evidence';
import type { BuildOptions, Family, Found } from '../family';
import { residualBlock } from '../groups/residualNetwork';
import { flag } from '../groups/valueKinds';
import { answer } from '../heads/classifier';
import { dlaNames } from './names';

const unit = { eps: 1e-5, activation: 'relu' };

/** Levels that are trees of blocks. */
const trees = [2, 3, 4, 5] as const;

function recognise(found: Found) {
  const { tensors } = found;
  const sources = sourcesOf(found);
  const { imageSize, evidence: sized } = imageSizeOf(sources);
  const namesIn = (level: number, end: string): readonly string[] =>
    [...tensors.keys()].filter((name) => name.startsWith(`level${level}.`) && name.endsWith(end));
  const depths = trees.map((level) => namesIn(level, '.conv1.weight').length);
  const dims = trees.map((level) => tensors.get(namesIn(level, 'root.bn.weight')[0] ?? '')?.shape[0] ?? 0);
  if (dims.includes(0)) return undefined;
  const layers = namesIn(2, '.conv3.weight').length > 0 ? 3 : 2;
  const parts =
    namesIn(2, '.convs.0.weight').length > 0 ? 'Res2Net blocks' : `${layers} convolutions a block`;
  const deep = namesIn(4, '.conv1.weight').length > 8;
  const settled = {
    depth: stored<readonly number[]>(depths, 'level2 … level5'),
    dim: stored<readonly number[]>(dims, 'level*.root.bn.weight'),
    image_size: sized,
    classes: classesOf(tensors, 'fc'),
    root_residual: decide(sources, 'root_residual', {
      ...flag,
      named: [
        [/^dla(?:102|169)/, true],
        [/^dla/, false],
      ],
      otherwise: assumed(deep, 'the deeper networks add the last block in each root; no weight tells'),
    }),
  };
  return recognisedFrom(sources, {
    label: 'dla',
    title: `DLA with ${depths.join(' + ')} blocks, ${parts}`,
    imageSize,
    sizeStep: [32, 32],
    pixels: 'imagenet',
    evidence: settled,
    config: configOf(settled),
  });
}

type DlaConfig = NonNullable<ReturnType<typeof recognise>>['config'];

/** A block of two or three convolutions, the one of 3 × 3 strided, or in parts (Res2Net). */
function block(b: GraphBuilder, x: ValueInfo, stride: number, shortcut: ValueInfo): ValueInfo {
  return residualBlock(b, x, unit, {
    strides: b.has('conv3.weight') ? [1, stride, 1] : [stride, 1],
    shortcut,
    write: (_, map, conv) =>
      conv === 'conv2' && b.has('convs.0.weight') ? scales(b, map, stride, stride > 1, unit) : undefined,
  });
}

/** What joins a tree's maps: a convolution of all, and the last block's for some. */
function root(b: GraphBuilder, maps: readonly ValueInfo[], adds: boolean): ValueInfo {
  const [newest] = maps;
  const joined = convNorm(b, b.concat(maps, 1), 'conv', 'bn', { eps: unit.eps });
  return activate(b, adds && newest ? residual(b, joined, newest) : joined, unit.activation);
}

/**
 * Two blocks and their root, or two trees: the root of the second reads what the first gave, too
 * (Yu et al. 2018, §3.2). `kept` are maps from above, which end in the lowest root on the right.
 */
function tree(
  b: GraphBuilder,
  x: ValueInfo,
  stride: number,
  adds: boolean,
  kept: readonly ValueInfo[] = [],
): ValueInfo {
  const deeper = (map: ValueInfo, name: string, step: number, maps: readonly ValueInfo[]): ValueInfo =>
    b.scope(name, () => tree(b, map, step, adds, maps), { title: 'Tree' });
  if (!b.has('root.conv.weight')) {
    const first = deeper(x, 'tree1', stride, []);
    return deeper(first, 'tree2', 1, [...kept, first]);
  }
  const bottom = pooled(b, x, stride);
  const shortcut = b.has('project.0.weight')
    ? convNorm(b, bottom, 'project.0', 'project.1', { eps: unit.eps })
    : bottom;
  const note = { title: 'Residual block' };
  const first = b.scope('tree1', () => block(b, x, stride, shortcut), note);
  const second = b.scope('tree2', () => block(b, first, 1, first), note);
  return b.scope('root', () => root(b, [second, first, ...kept], adds), { title: 'Root' });
}

const pooled = (b: GraphBuilder, x: ValueInfo, stride: number): ValueInfo =>
  stride === 1 ? x : maxPool(b, x, { kernel: stride, stride });

/** Convolutions of 3 × 3 in a list with their norms and activations. */
function convolutions(b: GraphBuilder, x: ValueInfo, path: string, stride: number): ValueInfo {
  let map = x;
  for (let index = 0; b.has(`${path}.${index}.weight`); index += 3)
    map = convNorm(b, map, `${path}.${index}`, `${path}.${index + 1}`, {
      ...unit,
      stride: index === 0 ? stride : 1,
    });
  return map;
}

function build(b: GraphBuilder, config: DlaConfig, { imageSize, batch }: BuildOptions): ImageMaps {
  const pixels = images(b, [batch, ...imageSize], 'base_layer.0');
  const base = convNorm(b, pixels, 'base_layer.0', 'base_layer.1', unit);
  const first = convolutions(b, convolutions(b, base, 'level0', 1), 'level1', 2);
  const maps = throughStages(first, trees.length, (x, index) =>
    // All but the first tree hand on the map that they read, halved.
    b.scope(
      `level${index + 2}`,
      () => tree(b, x, 2, config.root_residual, index === 0 ? [] : [pooled(b, x, 2)]),
      { title: 'Tree of blocks' },
    ),
  );
  return { stages: maps.map((map) => mapStage(map, imageSize)), map: last(maps) };
}

/** Deep layer aggregation (Yu et al. 2018). */
export const dla: Family<DlaConfig, ImageMaps> = {
  name: 'dla',
  row: 'cnn',
  title: 'Deep layer aggregation',
  names: dlaNames,
  assumable: ['root_residual'],
  recognise,
  build,
  head: (b, { map }) => answer(b, meanOfMap(b, map), map, 'fc'),
};
