import { answer } from '../heads/classifier';
import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { batchNorm, convolution, groupNorm, maxPool, type ConvolutionOptions } from '../blocks/convolution';
import { activate, residual } from '../blocks/layers';
import { meanOfMap } from '../blocks/maps';
import type { BuildOptions, EvidenceRecord, Family, Found, Recognised } from '../family';
import { numberOf, numbersOf, stored, wordOf } from '../figures';
import { classesOf, countOf, decide, imageSizeOf, recognisedFrom, sourcesOf, type Sources } from '../sources';
import { bitNames } from './names';

/** Epsilon of the kernels' standardisation in Big Transfer, and of its norms. */
const standardise = 1e-8;
const eps = 1e-5;

/** How convolutions pad, and what the first pooling pads its map with; transformers says so in config.json. */
function paddingFigures(sources: Sources, grouped: boolean): EvidenceRecord {
  const { name, title } = sources.found.dialect;
  const usual = stored(name === 'transformers' ? 'same' : 'symmetric', `default of ${title}`);
  const padding = decide(sources, 'padding', {
    config: ['global_padding'],
    otherwise: usual,
    needed: 'same or symmetric',
  });
  const same = String(padding.value).toLowerCase() === 'same';
  const pooling = grouped ? (same ? 'none' : 'zeros') : 'edges';
  return {
    padding: { ...padding, value: same ? 'same' : 'symmetric' },
    pool_padding: stored(pooling, `with convolutions that pad ${same ? 'as TensorFlow' : 'evenly'}`),
  };
}

function recognise(evidences: Found): Recognised | undefined {
  const { tensors } = evidences;
  const stages = Array.from({ length: countOf(tensors, 'stages') }, (_, index) => `stages.${index}`);
  const shape = (name: string): readonly number[] => tensors.get(name)?.shape ?? [];
  const dims = stages.map((stage) => shape(`${stage}.blocks.0.conv3.weight`)[0] ?? 0);
  const stem = shape('stem.conv.weight')[0];
  // Norms come first: the first one is as wide as the stem.
  if (dims.includes(0) || shape('stages.0.blocks.0.norm1.weight')[0] !== stem) return undefined;
  const depths = stages.map((stage) => countOf(tensors, `${stage}.blocks`));
  const grouped = !tensors.has('stages.0.blocks.0.norm1.running_mean');
  const sources = sourcesOf(evidences);
  const { imageSize, figure } = imageSizeOf(sources);
  const layers = 2 + 3 * depths.reduce((sum, depth) => sum + depth, 0);
  return recognisedFrom(sources, {
    label: grouped ? 'bit' : 'resnetv2',
    title: grouped ? `BiT ResNet-${layers}×${dims[0]! / 256}` : `ResNet V2-${layers}`,
    imageSize,
    sizeStep: [32, 32],
    pixels: grouped ? 'half' : 'imagenet',
    evidence: {
      depth: stored(depths, 'stages.*.blocks'),
      dim: stored(dims, 'stages.*.blocks.0.conv3.weight'),
      image_size: figure,
      classes: classesOf(tensors, 'head.fc'),
      norm: stored(grouped ? 'group' : 'batch', 'stages.0.blocks.0.norm1'),
      groups: decide(sources, 'groups', { config: ['num_groups'], otherwise: stored(32, 'as published') }),
      ...paddingFigures(sources, grouped),
    },
  });
}

/** Convolution and norm as the figures say. */
function layersOf(figures: EvidenceRecord) {
  const grouped = wordOf(figures, 'norm') === 'group';
  const groups = numberOf(figures, 'groups');
  const common: ConvolutionOptions = {
    ...(grouped && { standardise }),
    ...(wordOf(figures, 'padding') === 'same' && { padding: 'same' }),
  };
  return {
    convolve: (b: GraphBuilder, x: ValueInfo, name: string, stride = 1): ValueInfo =>
      convolution(b, x, name, { ...common, stride }),
    normalise: (b: GraphBuilder, x: ValueInfo, name: string): ValueInfo =>
      activate(b, grouped ? groupNorm(b, x, name, { groups, eps }) : batchNorm(b, x, name, eps), 'relu'),
  };
}

type Layers = ReturnType<typeof layersOf>;

/** A zero around every channel. Concatenated: the runtime would draw a Pad into the pooling after it, where padding never is the greatest. */
function framed(b: GraphBuilder, map: ValueInfo): ValueInfo {
  return [2, 3].reduce((inner, axis) => {
    const shape = inner.shape.map((size, at) => (at === axis ? 1 : size));
    const count = shape.reduce((product, size) => product * size, 1);
    const zeros = b.constant('/zeros', 'F32', shape, new Float32Array(count));
    return b.concat([zeros, inner, zeros], axis);
  }, map);
}

/** Big Transfer pads its map with zeros before pooling, and they count: the map may be negative. */
function pool(b: GraphBuilder, map: ValueInfo, padding: string): ValueInfo {
  const window = { kernel: 3, stride: 2 };
  if (padding === 'edges') return maxPool(b, map, { ...window, padding: 1 });
  return maxPool(b, padding === 'zeros' ? framed(b, map) : map, window);
}

/** Residual block with norms before convolutions (He et al. 2016b): the projection reads the normalised input. */
function block(b: GraphBuilder, x: ValueInfo, { convolve, normalise }: Layers, stride: number): ValueInfo {
  const before = normalise(b, x, 'norm1');
  const shortcut = b.has('downsample.conv.weight') ? convolve(b, before, 'downsample.conv', stride) : x;
  const narrow = convolve(b, before, 'conv1');
  const mixed = convolve(b, normalise(b, narrow, 'norm2'), 'conv2', stride);
  return residual(b, convolve(b, normalise(b, mixed, 'norm3'), 'conv3'), shortcut);
}

function build(b: GraphBuilder, { evidence: figures }: Recognised, { imageSize, batch }: BuildOptions): void {
  const layers = layersOf(figures);
  const pixels = b.input('pixel_values', [batch, 3, ...imageSize]);
  const stem = layers.convolve(b, pixels, 'stem.conv', 2);
  const note = { title: 'Pre-activation residual block', formula: 'x + convolutions(norm(x))' };
  const last = numbersOf(figures, 'depth').reduce(
    (map, depth, stage) =>
      Array.from({ length: depth }, (_, index) => index).reduce((x, index) => {
        const stride = index === 0 && stage > 0 ? 2 : 1;
        return b.scope(`stages.${stage}.blocks.${index}`, () => block(b, x, layers, stride), note);
      }, map),
    pool(b, stem, wordOf(figures, 'pool_padding')),
  );
  const map = layers.normalise(b, last, 'norm');
  const pooled = meanOfMap(b, map);
  if (b.has('head.fc.weight') && b.shapeOf('head.fc.weight').length === 4) {
    const logits = convolution(b, b.reshape(pooled, [...pooled.shape, 1, 1]), 'head.fc');
    b.output('logits', b.reshape(logits, [batch, logits.shape[1]!]), 'logits');
    b.output('features', pooled, 'features');
    b.output('tokens', map, 'tokens');
  } else answer(b, pooled, map, 'head.fc');
}

/** ResNet V2 (He et al. 2016b) and Big Transfer (Kolesnikov et al. 2020), which standardises kernels and normalises groups. */
export const bit: Family<Recognised, void> = {
  name: 'bit',
  row: 'cnn',
  title: 'Pre-activation residual network',
  names: bitNames,
  assumable: ['padding', 'groups'],
  recognise,
  build,
};
