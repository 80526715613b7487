import { answer } from '../heads/classifier';
import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { convNormModule, convolution, type ConvolutionOptions } from '../blocks/convolution';
import { activate, maybeNorm, residual } from '../blocks/layers';
import { gridOf, meanOfMap } from '../blocks/maps';
import type { BuildOptions, EvidenceRecord, Family, Found, Recognised } from '../family';
import { numberOf, numbersOf, stored, wordOf } from '../figures';
import { sizeTitle, type Sizes } from '../sizes';
import {
  activationOf,
  classesOf,
  decide,
  imageSizeOf,
  recognisedFrom,
  sourcesOf,
  stageDepths,
} from '../sources';
import { efficientVitMitNames } from './names';

type Tensors = Found['tensors'];

/** Pixels per position of the last map: the stem and each of the four stages halve. */
const lastStride = 32;

/** Added to the divisor of linear attention, whatever the norms have. */
const attentionEps = 1e-5;

/** What timm's constructors set: the large models (L) differ from the others (B) by more than sizes. */
const variants = {
  B: { activation: 'hard_swish', eps: 1e-5 },
  L: { activation: 'gelu_tanh', eps: 1e-7 },
} as const;

/** Sizes of Cai et al. 2023 (EfficientViT, MIT), the convolution that begins a stage counted. */
const sizes: Sizes = {
  '2,2,3,3 16': 'B0',
  '2,3,4,5 32': 'B1',
  '3,4,5,7 48': 'B2',
  '4,6,7,10 64': 'B3',
  '2,2,5,5 64': 'L0',
  '2,2,7,7 64': 'L1',
  '3,3,9,9 64': 'L2',
  '3,3,9,9 128': 'L3',
};

const variantOf = (tensors: Tensors): keyof typeof variants =>
  tensors.has('stem.res0.main.conv1.conv.weight') ? 'L' : 'B';

/** Channels per head and heads of one scale, for every stage with attention. */
function attentionOf(
  tensors: Tensors,
  depth: readonly number[],
): readonly (readonly [dim: number, heads: number])[] {
  return depth.flatMap((blocks, stage) => {
    const path = `stages.${stage}.blocks.${blocks - 1}.context_module.main`;
    const [channels, dim] = tensors.get(`${path}.aggreg.0.1.weight`)?.shape ?? [];
    return channels && dim ? [[dim, channels / 3 / dim] as const] : [];
  });
}

function recognise(evidences: Found): Recognised {
  const { tensors } = evidences;
  const sources = sourcesOf(evidences);
  const depth = stageDepths(tensors);
  const dims = depth.map(
    (_, stage) => tensors.get(`stages.${stage}.blocks.0.main.point_conv.conv.weight`)?.shape[0] ?? 0,
  );
  const attention = attentionOf(tensors, depth);
  const variant = variantOf(tensors);
  const aggregations = 'stages.*.blocks.*.context_module.main.aggreg.0.1.weight';
  const { imageSize, figure } = imageSizeOf(sources);
  return recognisedFrom(sources, {
    label: 'efficientvit_mit',
    title: sizeTitle('EfficientViT', sizes, depth, dims),
    imageSize,
    sizeStep: [lastStride, lastStride],
    pixels: 'imagenet',
    evidence: {
      depth: stored(depth, 'stages.*.blocks'),
      dim: stored(dims, 'stages.*.blocks.0.main.point_conv'),
      heads: stored(
        attention.map(([, heads]) => heads),
        aggregations,
      ),
      head_dim: stored(
        attention.map(([dim]) => dim),
        aggregations,
      ),
      stem_depth: stored(
        [...tensors.keys()].filter((name) =>
          /^stem\.res\d+\.main\.(?:conv1|depth_conv)\.conv\.weight$/.test(name),
        ).length,
        'stem.res0 …',
      ),
      image_size: figure,
      classes: classesOf(tensors, 'head.classifier.4'),
      activation: activationOf(
        sources,
        stored(variants[variant].activation, `EfficientViT-${variant}'s in timm`),
      ),
      eps: decide(sources, 'eps', {
        config: ['norm_eps'],
        otherwise: stored(variants[variant].eps, `EfficientViT-${variant}'s in timm`),
      }),
    },
  });
}

interface Settings {
  readonly activation: string;
  readonly eps: number;
}

type UnitOptions = ConvolutionOptions & { readonly activation?: string };

/** Convolution, batch norm where it is stored, activation. */
function unit(
  b: GraphBuilder,
  map: ValueInfo,
  name: string,
  eps: number,
  options: UnitOptions = {},
): ValueInfo {
  return convNormModule(b, map, name, { ...options, eps });
}

/** Units of a local block in order: a plain, a depthwise separable, a fused or an inverted bottleneck has two or three of them. */
const units = ['inverted_conv', 'spatial_conv', 'conv1', 'depth_conv', 'conv2', 'point_conv'] as const;

/** The unit of each kind of block that mixes neighbours first takes the stride. */
const strided: readonly string[] = ['spatial_conv', 'conv1', 'depth_conv'];

/** Convolutions with an activation behind each but the last. */
function localBlock(
  b: GraphBuilder,
  map: ValueInfo,
  stride: number,
  { activation, eps }: Settings,
): ValueInfo {
  return b.scope(
    'main',
    () => {
      const own = units.filter((name) => b.has(`${name}.conv.weight`));
      return own.reduce(
        (x, name, index) =>
          unit(b, x, name, eps, {
            stride: strided.includes(name) ? stride : 1,
            ...(index < own.length - 1 && { activation }),
          }),
        map,
      );
    },
    { title: 'Convolutions' },
  );
}

/** Queries, keys and values of every head side by side, and the same of their neighbourhoods (Cai et al. 2023, EfficientViT §3.1.2). */
function multiScale(b: GraphBuilder, map: ValueInfo): ValueInfo {
  const fused = convolution(b, map, 'qkv.conv');
  const scales: ValueInfo[] = [fused];
  while (b.has(`aggreg.${scales.length - 1}.0.weight`)) {
    const path = `aggreg.${scales.length - 1}`;
    scales.push(convolution(b, convolution(b, fused, `${path}.0`), `${path}.1`));
  }
  return b.concat(scales, 1);
}

/**
 * ReLU linear attention (Cai et al. 2023, §3.1.1; Katharopoulos et al. 2020) of `[batch, channels, rows, columns]`: keys meet the values before the
 * queries, so that there is no map of queries over keys. A row of ones among the values sums the keys for the divisor.
 */
function linearAttention(b: GraphBuilder, map: ValueInfo, eps: number): ValueInfo {
  return b.scope(
    'main',
    () => {
      const dim = b.shapeOf('aggreg.0.1.weight')[1]!;
      const fused = multiScale(b, map);
      const [rows, columns] = gridOf(map);
      const heads = fused.shape[1]! / (3 * dim);
      const split = b.reshape(fused, [map.shape[0]!, heads, 3 * dim, rows * columns]);
      const [query, key, value] = b.split(split, 3, 2) as readonly [ValueInfo, ValueInfo, ValueInfo];
      const [q, k] = [b.add('Relu', [query]), b.add('Relu', [key])];
      const ones = b.add('Pad', [value, b.indices([0, 0, 0, 0, 0, 0, 1, 0]), b.scalar(1)]);
      const summary = b.add('MatMul', [ones, b.transpose(k, [0, 1, 3, 2])], {}, { name: '/summary' });
      const [sum, divisor] = b.split(b.add('MatMul', [summary, q], {}, { name: '/mix' }), [dim, 1], 2);
      const mixed = b.add('Div', [sum!, b.add('Add', [divisor!, b.scalar(attentionEps)])]);
      return unit(b, b.reshape(mixed, [map.shape[0]!, heads * dim, rows, columns]), 'proj', eps);
    },
    {
      title: 'Multi-scale linear attention: products, but no map over keys',
      formula: 'relu(Q)·(relu(K)ᵀ·V) / relu(Q)·(relu(K)ᵀ·1)',
    },
  );
}

/** Linear attention, then an inverted bottleneck, each in a residual connection. */
function attentionBlock(b: GraphBuilder, map: ValueInfo, settings: Settings): ValueInfo {
  const mixed = residual(
    b,
    map,
    b.scope('context_module', () => linearAttention(b, map, settings.eps)),
  );
  return residual(
    b,
    mixed,
    b.scope('local_module', () => localBlock(b, mixed, 1, settings)),
  );
}

/** One stage: a strided block without residual connection, then the others by what they hold. */
function stage(b: GraphBuilder, map: ValueInfo, depth: number, settings: Settings): ValueInfo {
  let features = map;
  for (let index = 0; index < depth; index++) {
    const from = features;
    const attends = b.has(`blocks.${index}.context_module.main.qkv.conv.weight`);
    features = b.scope(
      `blocks.${index}`,
      () => {
        if (attends) return attentionBlock(b, from, settings);
        const local = localBlock(b, from, index === 0 ? 2 : 1, settings);
        return index === 0 ? local : residual(b, from, local);
      },
      { title: attends ? 'EfficientViT block' : 'Convolutional block' },
    );
  }
  return features;
}

function stem(b: GraphBuilder, pixels: ValueInfo, depth: number, settings: Settings): ValueInfo {
  let map = unit(b, pixels, 'in_conv', settings.eps, { stride: 2, activation: settings.activation });
  for (let index = 0; index < depth; index++) {
    const from = map;
    map = b.scope(`res${index}`, () => residual(b, from, localBlock(b, from, 1, settings)));
  }
  return map;
}

/** The vector before the classifier: a wider map's mean, then a linear layer with a norm. */
function pooled(b: GraphBuilder, map: ValueInfo, { activation, eps }: Settings): ValueInfo {
  if (!b.has('in_conv.conv.weight')) return meanOfMap(b, map);
  const mean = meanOfMap(b, unit(b, map, 'in_conv', eps, { activation }));
  return activate(b, maybeNorm(b, b.linear(mean, 'classifier.0'), 'classifier.1', eps), activation);
}

const settingsOf = (figures: EvidenceRecord): Settings => ({
  activation: wordOf(figures, 'activation'),
  eps: numberOf(figures, 'eps'),
});

function build(b: GraphBuilder, { evidence: figures }: Recognised, { imageSize, batch }: BuildOptions): void {
  const settings = settingsOf(figures);
  const pixels = b.input('pixel_values', [batch, 3, ...imageSize]);
  const first = b.scope('stem', () => stem(b, pixels, numberOf(figures, 'stem_depth'), settings), {
    title: 'Convolutional stem',
  });
  const last = numbersOf(figures, 'depth').reduce(
    (map, depth, index) => b.scope(`stages.${index}`, () => stage(b, map, depth, settings)),
    first,
  );
  answer(
    b,
    b.scope('head', () => pooled(b, last, settings), { title: 'Head' }),
    last,
    'head.classifier.4',
  );
}

/** EfficientViT of MIT (Cai et al. 2023): convolutions, then linear attention at several scales. */
export const efficientVitMit: Family<Recognised, void> = {
  name: 'efficientvit_mit',
  title: 'EfficientViT (MIT)',
  names: efficientVitMitNames,
  assumable: ['activation', 'eps'],
  recognise,
  build,
};
