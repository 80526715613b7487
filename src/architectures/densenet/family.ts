import { images } from '../blocks/images';
import { at, last, sum } from '../../domain/lists';
import { answer } from '../heads/classifier';
import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { averagePool, batchNorm, convNorm, convolution, maxPool } from '../blocks/convolution';
import { activate } from '../blocks/layers';
import { meanOfMap } from '../blocks/maps';
import { mapStage, stages, type ImageMaps } from '../blocks/stages';
import type { BuildOptions, Family, Found, Recognised } from '../family';
import { configOf, stored } from '../evidence';
import { measureStages } from '../groups/stagedConfig';
import { classesOf, imageSizeOf, recognisedFrom } from '../decide';
import { densenetNames } from './names';

interface DenseNetConfig {
  /** Layers of every block. */
  readonly depth: readonly number[];
  readonly eps: number;
}

/**
 * The convolution whose rows are the channels that a layer adds; a block has no width of its own.
 */
const growing = 'conv2.weight';

function recognise(found: Found): Recognised<DenseNetConfig> | undefined {
  const { tensors } = found;
  const blocks = measureStages(found, 'features.denseblock*.denselayer*', growing);
  if (!blocks || !tensors.has('features.norm5.weight')) return undefined;
  const { sources, depths, dims } = blocks;
  const { imageSize, evidence: sized } = imageSizeOf(sources);
  // Two convolutions a layer, one in each transition, the first one and the classifier.
  const layers = 2 * sum(depths) + depths.length - 1 + 2;
  const settled = {
    depth: stored(depths, 'features.denseblock*.denselayer*'),
    growth: stored(at(dims, 0), `features.denseblock1.denselayer1.${growing}`),
    image_size: sized,
    classes: classesOf(tensors, 'classifier'),
    eps: stored(1e-5, 'default of PyTorch’s batch norms'),
  };
  return recognisedFrom(sources, {
    label: 'densenet',
    title: `DenseNet-${layers}`,
    imageSize,
    sizeStep: [32, 32],
    pixels: 'imagenet',
    evidence: settled,
    config: configOf(settled),
  });
}

/** relu(norm(x)) */
const normed = (b: GraphBuilder, x: ValueInfo, name: string, eps: number): ValueInfo =>
  activate(b, batchNorm(b, x, name, eps), 'relu');

/**
 * What a layer adds to the channels before it: a 1 × 1 and a 3 × 3 convolution, each after norm and
 * ReLU (DenseNet-B, §3).
 */
function denseLayer(b: GraphBuilder, x: ValueInfo, eps: number): ValueInfo {
  const narrow = convolution(b, normed(b, x, 'norm1', eps), 'conv1');
  return b.concat([x, convolution(b, normed(b, narrow, 'norm2', eps), 'conv2')], 1);
}

/** Half of the channels and of the size (§3, compression). */
const transition = (b: GraphBuilder, x: ValueInfo, eps: number): ValueInfo =>
  averagePool(b, convolution(b, normed(b, x, 'norm', eps), 'conv'), { kernel: 2 });

function stem(b: GraphBuilder, pixels: ValueInfo, eps: number): ValueInfo {
  const map = convNorm(b, pixels, 'conv0', 'norm0', { eps, activation: 'relu', stride: 2 });
  return maxPool(b, map, { kernel: 3, stride: 2, padding: 1 });
}

function build(
  b: GraphBuilder,
  { depth, eps }: DenseNetConfig,
  { imageSize, batch }: BuildOptions,
): ImageMaps {
  const pixels = images(b, [batch, ...imageSize], 'features.conv0');
  return b.scope('features', () => {
    const maps = stages(b, stem(b, pixels, eps), {
      depths: depth,
      path: ({ stage, index }) => `denseblock${stage + 1}.denselayer${index + 1}`,
      enter: (map, stage) =>
        stage === 0 ? map : b.scope(`transition${stage}`, () => transition(b, map, eps)),
      block: (map) => denseLayer(b, map, eps),
      note: { title: 'Dense layer', formula: '[x, conv(relu(norm(conv(relu(norm(x))))))]' },
    });
    return {
      stages: maps.map((map) => mapStage(map, imageSize)),
      map: normed(b, last(maps), 'norm5', eps),
    };
  });
}

/** DenseNet-BC (Huang et al. 2017): every layer sees all maps before it. */
export const densenet: Family<DenseNetConfig, ImageMaps> = {
  name: 'densenet',
  row: 'cnn',
  title: 'Densely connected network',
  names: densenetNames,
  assumable: [],
  recognise,
  build,
  head: (b, { map }) => answer(b, meanOfMap(b, map), map, 'classifier'),
};
