import { answer } from '../heads/classifier';
import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { adaptiveAveragePool, convNorm, convolution, maxPool } from '../blocks/convolution';
import { activate } from '../blocks/layers';
import { gridOf, meanOfMap } from '../blocks/maps';
import type { BuildOptions, Family, Found, Recognised } from '../family';
import { numberOf, numbersOf, stored } from '../figures';
import { classesOf, imageSizeOf, recognisedFrom, sourcesOf } from '../sources';
import { vggNames } from './names';

/** Side of a map's part that the classifier's first layer looks at, where it is a convolution. */
const leastSide = 7;

/** Where the convolutions stand in the list `features`. */
const convolutionsOf = (tensors: Found['tensors']): readonly number[] =>
  [...tensors]
    .filter(([name, { shape }]) => /^features\.\d+\.weight$/.test(name) && shape.length === 4)
    .map(([name]) => Number.parseInt(name.slice('features.'.length), 10))
    .sort((a, b) => a - b);

function recognise(evidences: Found): Recognised | undefined {
  const { tensors } = evidences;
  const places = convolutionsOf(tensors);
  if (places[0] !== 0 || !tensors.has('pre_logits.fc1.weight')) return undefined;
  const sources = sourcesOf(evidences);
  const normed = tensors.has('features.1.running_mean');
  const kernel = tensors.get('features.0.weight')!.shape[2]!;
  const name = kernel > 3 ? 'AlexNet' : `VGG-${places.length + 3}${normed ? ' with batch norm' : ''}`;
  const { imageSize, figure } = imageSizeOf(sources);
  return recognisedFrom(sources, {
    label: kernel > 3 ? 'alexnet' : 'vgg',
    title: name,
    imageSize,
    sizeStep: [32, 32],
    pixels: 'imagenet',
    evidence: {
      depth: stored(places.length, 'features.*.weight'),
      convolutions: stored(
        places,
        'features.*.weight; where more than norm and activation lie between two, a maximum is taken',
      ),
      kernel: stored(kernel, 'features.0.weight'),
      image_size: figure,
      classes: classesOf(tensors, 'head.fc'),
      eps: stored(1e-5, 'default of PyTorch’s batch norms'),
    },
  });
}

/** Pooling and first convolution: 2 × 2 (Simonyan & Zisserman 2015), or 3 × 3 after a 11 × 11 kernel with stride 4 (Krizhevsky 2014). */
const shapesOf = (kernel: number) =>
  kernel > 3
    ? { pool: { kernel: 3, stride: 2 }, first: { stride: 4, padding: 2 } }
    : { pool: { kernel: 2 }, first: {} };

/** Convolutions with ReLU; a maximum of every window where the list has room for one, and at the end. */
function features(b: GraphBuilder, { evidence: figures }: Recognised, pixels: ValueInfo): ValueInfo {
  const places = numbersOf(figures, 'convolutions');
  const { pool, first } = shapesOf(numberOf(figures, 'kernel'));
  const eps = numberOf(figures, 'eps');
  return b.scope('features', () =>
    places.reduce((map, place, index) => {
      const norm = `${place + 1}`;
      const out = convNorm(b, map, `${place}`, norm, { eps, activation: 'relu', ...(index === 0 && first) });
      const units = b.has(`${norm}.running_mean`) ? 3 : 2;
      const next = places[index + 1] ?? Infinity;
      return next > place + units ? maxPool(b, out, pool) : out;
    }, pixels),
  );
}

/** Two hidden layers: linear ones over a map of a fixed size, or convolutions (timm), whose positions are averaged after them. */
function hidden(b: GraphBuilder, map: ValueInfo): ValueInfo {
  const weight = b.shapeOf('fc1.weight');
  if (weight.length === 2) {
    const width = weight[1]!;
    const side = Math.round(Math.sqrt(width / map.shape[1]!));
    const flat = b.reshape(adaptiveAveragePool(b, map, [side, side]), [map.shape[0]!, width]);
    return activate(b, b.linear(activate(b, b.linear(flat, 'fc1'), 'relu'), 'fc2'), 'relu');
  }
  const [rows, columns] = gridOf(map);
  const large = adaptiveAveragePool(b, map, [Math.max(rows, leastSide), Math.max(columns, leastSide)]);
  const wide = activate(b, convolution(b, large, 'fc1', { padding: 0 }), 'relu');
  return meanOfMap(b, activate(b, convolution(b, wide, 'fc2'), 'relu'));
}

function build(b: GraphBuilder, recognised: Recognised, { imageSize, batch }: BuildOptions): void {
  const map = features(b, recognised, b.input('pixel_values', [batch, 3, ...imageSize]));
  const vector = b.scope('pre_logits', () => hidden(b, map), { title: 'Hidden layers of the classifier' });
  answer(b, vector, map, 'head.fc');
}

/** VGG (Simonyan & Zisserman 2015) and AlexNet (Krizhevsky 2014): convolutions and maxima in one list, then a classifier of three layers. */
export const vgg: Family<Recognised, void> = {
  name: 'vgg',
  row: 'cnn',
  title: 'Plain convolutional network',
  names: vggNames,
  assumable: [],
  recognise,
  build,
};
