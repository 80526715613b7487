import { images } from '../blocks/images';
import { at, last } from '../../domain/lists';
import { answer } from '../heads/classifier';
import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { adaptiveAveragePool, convNorm, convolution, maxPool } from '../blocks/convolution';
import { activate } from '../blocks/layers';
import { gridOf, meanOfMap } from '../blocks/maps';
import { mapStage, type ImageMaps } from '../blocks/stages';
import type { BuildOptions, Family, Found, Recognised } from '../family';
import { configOf, stored } from '../evidence';
import { classesOf, imageSizeOf, recognisedFrom, sideOf, sourcesOf } from '../decide';
import { vggNames } from './names';

/** Side of a map's part that the classifier's first layer looks at, if it is a convolution. */
const leastSide = 7;

/** Where the convolutions stand in the list `features`. */
const convolutionsOf = (tensors: Found['tensors']): readonly number[] =>
  [...tensors]
    .filter(([name, { shape }]) => /^features\.\d+\.weight$/.test(name) && shape.length === 4)
    .map(([name]) => Number.parseInt(name.slice('features.'.length), 10))
    .sort((a, b) => a - b);

interface VggConfig {
  /** Places of the convolutions in the list `features`. */
  readonly convolutions: readonly number[];
  /** Side of the first kernel. */
  readonly kernel: number;
  readonly eps: number;
}

function recognise(found: Found): Recognised<VggConfig> | undefined {
  const { tensors } = found;
  const places = convolutionsOf(tensors);
  if (places[0] !== 0 || !tensors.has('pre_logits.fc1.weight')) return undefined;
  const sources = sourcesOf(found);
  const normed = tensors.has('features.1.running_mean');
  const kernel = sideOf(tensors, 'features.0.weight', 2);
  const { imageSize, evidence: sized } = imageSizeOf(sources);
  const settled = {
    depth: stored(places.length, 'features.*.weight'),
    convolutions: stored(
      places,
      'features.*.weight; where more than norm and activation lie between two, a maximum is taken',
    ),
    kernel: stored(kernel, 'features.0.weight'),
    image_size: sized,
    classes: classesOf(tensors, 'head.fc'),
    eps: stored(1e-5, 'default of PyTorch’s batch norms'),
  };
  return recognisedFrom(sources, {
    label: kernel > 3 ? 'alexnet' : 'vgg',
    title: kernel > 3 ? 'AlexNet' : `VGG-${places.length + 3}${normed ? ' with batch norm' : ''}`,
    imageSize,
    sizeStep: [32, 32],
    pixels: 'imagenet',
    evidence: settled,
    config: configOf(settled),
  });
}

/**
 * Pooling and first convolution: 2 × 2 (Simonyan & Zisserman 2015), or 3 × 3 after a 11 × 11 kernel
 * with stride 4 (Krizhevsky 2014).
 */
const shapesOf = (kernel: number) =>
  kernel > 3
    ? { pool: { kernel: 3, stride: 2 }, first: { stride: 4, padding: 2 } }
    : { pool: { kernel: 2 }, first: {} };

/**
 * Places that a convolution without a norm takes with what follows it: 2, with its activation, or 3
 * if a norm was folded into it, whose place stays free. Only then are there distances above 3.
 */
function unitsOf(places: readonly number[]): number {
  const distances = places.slice(1).map((place, index) => place - at(places, index));
  return distances.some((distance) => distance > 3) ? 3 : 2;
}

/**
 * Convolutions with ReLU; a maximum of every window if the list has room for one, and at the end.
 * Every maximum ends a stage.
 */
function features(b: GraphBuilder, config: VggConfig, pixels: ValueInfo): readonly ValueInfo[] {
  const { convolutions: places, kernel, eps } = config;
  const units = b.has('1.running_mean') ? 3 : unitsOf(places);
  const { pool, first } = shapesOf(kernel);
  const maps: ValueInfo[] = [];
  let map = pixels;
  for (const [index, place] of places.entries()) {
    map = convNorm(b, map, `${place}`, `${place + 1}`, {
      eps,
      activation: 'relu',
      ...(index === 0 && first),
    });
    const next = places[index + 1] ?? Infinity;
    if (next <= place + units) continue;
    map = maxPool(b, map, pool);
    maps.push(map);
  }
  return maps;
}

/**
 * Two hidden layers: linear ones over a map of a fixed size, or convolutions (timm), whose
 * positions are averaged after them.
 */
function hidden(b: GraphBuilder, map: ValueInfo): ValueInfo {
  const [, width = 0, ...kernel] = b.shapeOf('fc1.weight');
  if (kernel.length === 0) {
    const side = Math.round(Math.sqrt(width / at(map.shape, 1)));
    const flat = b.reshape(adaptiveAveragePool(b, map, [side, side]), [at(map.shape, 0), width]);
    return activate(b, b.linear(activate(b, b.linear(flat, 'fc1'), 'relu'), 'fc2'), 'relu');
  }
  const [rows, columns] = gridOf(map);
  const large = adaptiveAveragePool(b, map, [Math.max(rows, leastSide), Math.max(columns, leastSide)]);
  const wide = activate(b, convolution(b, large, 'fc1', { padding: 0 }), 'relu');
  return meanOfMap(b, activate(b, convolution(b, wide, 'fc2'), 'relu'));
}

function build(b: GraphBuilder, config: VggConfig, { imageSize, batch }: BuildOptions): ImageMaps {
  const pixels = images(b, [batch, ...imageSize], 'features.0');
  const maps = b.scope('features', () => features(b, config, pixels));
  return { stages: maps.map((map) => mapStage(map, imageSize)), map: last(maps) };
}

function head(b: GraphBuilder, { map }: ImageMaps): void {
  const vector = b.scope('pre_logits', () => hidden(b, map), { title: 'Hidden layers of the classifier' });
  answer(b, vector, map, 'head.fc');
}

/**
 * VGG (Simonyan & Zisserman 2015) and AlexNet (Krizhevsky 2014): convolutions and maxima in one
 * list, then a classifier of three layers.
 */
export const vgg: Family<VggConfig, ImageMaps> = {
  name: 'vgg',
  row: 'cnn',
  title: 'Plain convolutional network',
  names: vggNames,
  assumable: [],
  recognise,
  build,
  head,
};
