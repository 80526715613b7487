import { images } from '../blocks/images';
import { at, last } from '../../domain/lists';
import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { convNorm } from '../blocks/convolution';
import { activate, residual } from '../blocks/layers';
import { gridOf, meanOfMap, repeatedMap } from '../blocks/maps';
import { eachBlock, mapStage, type ImageMaps } from '../blocks/stages';
import { classesOf, countOf, imageSizeOf, recognisedFrom, sideOf, sourcesOf } from '../decide';
import { configOf, stored } from '../evidence';
import type { BuildOptions, Family, Found } from '../family';
import { residualBlock } from '../groups/residualNetwork';
import { answer } from '../heads/classifier';
import { hrNetNames } from './names';

const unit = { eps: 1e-5, activation: 'relu' };

/** Stages of several resolutions. */
const stages = ['stage2', 'stage3', 'stage4'] as const;

function recognise(found: Found) {
  const { tensors } = found;
  const sources = sourcesOf(found);
  const { imageSize, evidence: sized } = imageSizeOf(sources);
  const count = countOf(tensors, 'stage4.0.branches');
  const dims = Array.from({ length: count }, (_, branch) =>
    sideOf(tensors, `stage4.0.branches.${branch}.0.conv1.weight`, 0),
  );
  const settled = {
    depth: stored(
      ['layer1', ...stages].map((path) => countOf(tensors, path)),
      'layer1, stage2 … stage4',
    ),
    dim: stored<readonly number[]>(dims, 'stage4.0.branches.*.0.conv1.weight'),
    image_size: sized,
    classes: classesOf(tensors, 'classifier'),
  };
  return recognisedFrom(sources, {
    label: 'hrnet',
    title: `HRNet-W${at(dims, 0)}, ${settled.depth.value.join(' + ')} modules`,
    imageSize,
    sizeStep: [32, 32],
    pixels: 'imagenet',
    evidence: settled,
    config: configOf(settled),
  });
}

type HrNetConfig = NonNullable<ReturnType<typeof recognise>>['config'];

/** Residual blocks in the list `path`, as many as are stored. */
function blocks(b: GraphBuilder, first: ValueInfo, path: string): ValueInfo {
  let depth = 0;
  while (b.has(`${path}.${depth}.conv1.weight`)) depth++;
  const block = (x: ValueInfo): ValueInfo =>
    residualBlock(b, x, unit, { strides: b.has('conv3.weight') ? [1, 1, 1] : [1, 1] });
  const note = { title: 'Residual block', formula: 'relu(x + convolutions(x))' };
  return last(eachBlock(b, first, { depth, path, block, note }));
}

/** Strided convolutions in the list `path`; the last has no activation unless `acts`. */
function strided(b: GraphBuilder, x: ValueInfo, path: string, acts: boolean): ValueInfo {
  let [map, index] = [x, 0];
  for (; b.has(`${path}.${index}.0.weight`); index++) {
    const activation = acts || b.has(`${path}.${index + 1}.0.weight`) ? unit.activation : undefined;
    map = convNorm(b, map, `${path}.${index}.0`, `${path}.${index}.1`, { ...unit, activation, stride: 2 });
  }
  return map;
}

/** The maps of a stage's branches: those before it, one of another width, or one more. */
function entered(b: GraphBuilder, before: readonly ValueInfo[], path: string): readonly ValueInfo[] {
  const maps: ValueInfo[] = [];
  for (;;) {
    const own = `${path}.${maps.length}`;
    if (b.has(`${own}.0.weight`)) maps.push(convNorm(b, last(before), `${own}.0`, `${own}.1`, unit));
    else if (b.has(`${own}.0.0.weight`)) maps.push(strided(b, last(before), own, true));
    else if (before[maps.length]) maps.push(at(before, maps.length));
    else return maps;
  }
}

/** Every branch in the size of one of them, added (Wang et al. 2020, §3.2). */
function fused(b: GraphBuilder, maps: readonly ValueInfo[], target: number): ValueInfo {
  const parts = maps.map((map, source) => {
    const path = `fuse_layers.${target}.${source}`;
    if (source === target) return map;
    if (source < target) return strided(b, map, path, false);
    const narrow = convNorm(b, map, `${path}.0`, `${path}.1`, { eps: unit.eps });
    const [rows, columns] = gridOf(narrow);
    const factor = 2 ** (source - target);
    return repeatedMap(b, narrow, [rows * factor, columns * factor]);
  });
  return activate(
    b,
    parts.reduce((all, part) => residual(b, all, part)),
    unit.activation,
  );
}

/** Blocks of each branch, then all branches in the size of each. */
function fusion(b: GraphBuilder, before: readonly ValueInfo[]): readonly ValueInfo[] {
  const maps = before.map((map, branch) => blocks(b, map, `branches.${branch}`));
  return maps.map((_, target) => fused(b, maps, target));
}

function build(b: GraphBuilder, { depth }: HrNetConfig, { imageSize, batch }: BuildOptions): ImageMaps {
  const pixels = images(b, [batch, ...imageSize], 'conv1');
  const half = convNorm(b, pixels, 'conv1', 'bn1', { ...unit, stride: 2 });
  const stem = convNorm(b, half, 'conv2', 'bn2', { ...unit, stride: 2 });
  let maps: readonly ValueInfo[] = [blocks(b, stem, 'layer1')];
  for (const [index, stage] of stages.entries()) {
    maps = entered(b, maps, `transition${index + 1}`);
    for (let module = 0; module < at(depth, index + 1); module++)
      maps = b.scope(`${stage}.${module}`, () => fusion(b, maps), { title: 'High-resolution module' });
  }
  // The head adds the branches from the finest on.
  const wide = maps.map((map, branch) => blocks(b, map, `incre_modules.${branch}`));
  const joined = wide.reduce((fine, map, branch) => {
    const path = `downsamp_modules.${branch - 1}`;
    return residual(b, map, convNorm(b, fine, `${path}.0`, `${path}.1`, { ...unit, stride: 2 }));
  });
  return {
    stages: maps.map((map) => mapStage(map, imageSize)),
    map: convNorm(b, joined, 'final_layer.0', 'final_layer.1', unit),
  };
}

/** HRNet (Wang et al. 2020, Deep High-Resolution Representation Learning). */
export const hrNet: Family<HrNetConfig, ImageMaps> = {
  name: 'hrnet',
  row: 'cnn',
  title: 'High-resolution network',
  names: hrNetNames,
  assumable: [],
  recognise,
  build,
  head: (b, { map }) => answer(b, meanOfMap(b, map), map, 'classifier'),
};
