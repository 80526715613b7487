import { answer } from '../heads/classifier';
import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { averagePool, batchNorm, convNorm, convolution, maxPool } from '../blocks/convolution';
import { activate } from '../blocks/layers';
import { meanOfMap } from '../blocks/maps';
import type { BuildOptions, Family, Found, Recognised } from '../family';
import { numberOf, numbersOf, stored } from '../figures';
import { classesOf, imageSizeOf, recognisedFrom, sourcesOf } from '../sources';
import { densenetNames } from './names';

const layerOf = (block: number, layer: number): string => `features.denseblock${block}.denselayer${layer}`;

/** Layers of every block; both are counted from 1. */
function depthsOf(tensors: Found['tensors']): readonly number[] {
  const depths: number[] = [];
  const has = (block: number, layer: number): boolean => tensors.has(`${layerOf(block, layer)}.conv1.weight`);
  for (let block = 1; has(block, 1); block++) {
    let layer = 1;
    while (has(block, layer + 1)) layer++;
    depths.push(layer);
  }
  return depths;
}

function recognise(evidences: Found): Recognised | undefined {
  const { tensors } = evidences;
  const depths = depthsOf(tensors);
  const growth = tensors.get(`${layerOf(1, 1)}.conv2.weight`)?.shape[0];
  if (depths.length === 0 || growth === undefined || !tensors.has('features.norm5.weight')) return undefined;
  const sources = sourcesOf(evidences);
  const { imageSize, figure } = imageSizeOf(sources);
  // Two convolutions a layer, one in each transition, the first one and the classifier.
  const layers = 2 * depths.reduce((sum, depth) => sum + depth, 0) + depths.length - 1 + 2;
  return recognisedFrom(sources, {
    label: 'densenet',
    title: `DenseNet-${layers}`,
    imageSize,
    sizeStep: [32, 32],
    pixels: 'imagenet',
    evidence: {
      depth: stored(depths, 'features.denseblock*.denselayer*'),
      growth: stored(growth, `${layerOf(1, 1)}.conv2.weight`),
      image_size: figure,
      classes: classesOf(tensors, 'classifier'),
      eps: stored(1e-5, 'default of PyTorch’s batch norms'),
    },
  });
}

/** relu(norm(x)) */
const normed = (b: GraphBuilder, x: ValueInfo, name: string, eps: number): ValueInfo =>
  activate(b, batchNorm(b, x, name, eps), 'relu');

/** What a layer adds to the channels before it: a 1 × 1 and a 3 × 3 convolution, each after norm and ReLU (DenseNet-B, §3). */
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

function build(b: GraphBuilder, { evidence: figures }: Recognised, { imageSize, batch }: BuildOptions): void {
  const eps = numberOf(figures, 'eps');
  const pixels = b.input('pixel_values', [batch, 3, ...imageSize]);
  const note = { title: 'Dense layer', formula: '[x, conv(relu(norm(conv(relu(norm(x))))))]' };
  const layers = (map: ValueInfo, depth: number): ValueInfo =>
    Array.from({ length: depth }, (_, index) => `denselayer${index + 1}`).reduce(
      (x, name) => b.scope(name, () => denseLayer(b, x, eps), note),
      map,
    );
  const map = b.scope('features', () => {
    const last = numbersOf(figures, 'depth').reduce(
      (x, depth, index) => {
        const dense = b.scope(`denseblock${index + 1}`, () => layers(x, depth));
        const next = `transition${index + 1}`;
        return b.has(`${next}.conv.weight`) ? b.scope(next, () => transition(b, dense, eps)) : dense;
      },
      stem(b, pixels, eps),
    );
    return normed(b, last, 'norm5', eps);
  });
  answer(b, meanOfMap(b, map), map, 'classifier');
}

/** DenseNet-BC (Huang et al. 2017): every layer sees all maps before it. */
export const densenet: Family<Recognised, void> = {
  name: 'densenet',
  row: 'cnn',
  title: 'Densely connected network',
  names: densenetNames,
  assumable: [],
  recognise,
  build,
};
