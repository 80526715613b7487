import { images } from '../blocks/images';
import { answer } from '../heads/classifier';
import { at, last } from '../../domain/lists';
import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { convNormModule, convolution, type ConvolutionOptions } from '../blocks/convolution';
import { activate, maybeNorm, residual } from '../blocks/layers';
import { gridOf, meanOfMap } from '../blocks/maps';
import { parameterSide, splitInThree, splitInTwo } from '../blocks/parts';
import { mapStage, stages, type ImageMaps } from '../blocks/stages';
import type { BuildOptions, Evidence, Family, Found, Recognised } from '../family';
import { assumed, configOf, stored } from '../evidence';
import { positive } from '../groups/valueKinds';
import { sizeOf, sizeTitle, type Sizes } from '../sizes';
import {
  activationOf,
  classesOf,
  decide,
  imageSizeOf,
  recognisedFrom,
  sourcesOf,
  stageDepths,
  type Sources,
} from '../decide';
import { efficientVitMitNames } from './names';

type Tensors = Found['tensors'];

/** Pixels per position of the last map: the stem and each of the four stages halve. */
const lastStride = 32;

/** Added to the divisor of linear attention, whatever the norms have. */
const attentionEps = 1e-5;

/**
 * What timm's constructors set: the large models (L) differ from the others (B) by more than sizes.
 */
const variants = {
  B: { activation: 'hard_swish', eps: 1e-5 },
  L: { activation: 'gelu_tanh', eps: 1e-7 },
} as const;

/** Sizes of Cai et al. 2023 (EfficientViT, MIT), the convolution that begins a stage counted. */
const sizes: Sizes = {
  '2,2,3,3 16,32,64,128': 'B0',
  '2,3,4,5 32,64,128,256': 'B1',
  '3,4,5,7 48,96,192,384': 'B2',
  '4,6,7,10 64,128,256,512': 'B3',
  '2,2,5,5 64,128,256,512': 'L0',
  '2,2,7,7 64,128,256,512': 'L1',
  '3,3,9,9 64,128,256,512': 'L2',
  '3,3,9,9 128,256,512,1024': 'L3',
};

/** Blocks of whole convolutions, which only the large models begin with. */
const largeBlock = /\.main\.(?:conv1|spatial_conv)\.conv\.weight$/;

const variantOf = (tensors: Tensors): keyof typeof variants =>
  [...tensors.keys()].some((name) => largeBlock.test(name)) ? 'L' : 'B';

/** What may be said of a file beside its variant. */
interface Told {
  readonly variant: keyof typeof variants;
  /** Its depths and widths are published ones. */
  readonly published: boolean;
}

/**
 * What a variant's constructor sets by default: fixed for published sizes, else assumed, since
 * epsilon and activation are arguments and no weight shows them.
 */
const usually = <T extends string | number>(value: T, variant: string, certain: boolean): Evidence<T> =>
  certain
    ? stored<T>(value, `EfficientViT-${variant}'s in timm`)
    : assumed<T>(value, `that of EfficientViT-${variant}, whose blocks these are; no weight tells`);

const activationFor = (sources: Sources, { variant, published }: Told): Evidence<string> =>
  activationOf(sources, usually<string>(variants[variant].activation, variant, published), {
    named: variantNames('activation'),
  });

/** The large models without a classifier may be SAM's backbones, whose norms have 1e-6. */
function epsilonOf(sources: Sources, { variant, published }: Told): Evidence<number> {
  const mayBeOfSam = variant === 'L' && !sources.found.tensors.has('head.in_conv.conv.weight');
  return decide<number>(sources, 'eps', {
    ...positive,
    config: ['norm_eps'],
    named: variantNames('eps'),
    otherwise: usually<number>(variants[variant].eps, variant, published && !mayBeOfSam),
  });
}

/** What models have whose name says the variant. */
const variantNames = <K extends 'activation' | 'eps'>(
  key: K,
): readonly (readonly [RegExp, (typeof variants)[keyof typeof variants][K]])[] => [
  [/^efficientvit_b\d/, variants.B[key]],
  [/^efficientvit_l\d(?!\w*sam)/, variants.L[key]],
];

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

interface EfficientVitConfig {
  readonly depth: readonly number[];
  /** Blocks of the stem. */
  readonly stem_depth: number;
  readonly activation: string;
  readonly eps: number;
}

function recognise(found: Found): Recognised<EfficientVitConfig> {
  const { tensors } = found;
  const sources = sourcesOf(found);
  const depth = stageDepths(tensors);
  const dims = depth.map(
    (_, stage) => tensors.get(`stages.${stage}.blocks.0.main.point_conv.conv.weight`)?.shape[0] ?? 0,
  );
  const attention = attentionOf(tensors, depth);
  const told: Told = { variant: variantOf(tensors), published: sizeOf(sizes, depth, dims) !== undefined };
  const aggregations = 'stages.*.blocks.*.context_module.main.aggreg.0.1.weight';
  const { imageSize, evidence: sized } = imageSizeOf(sources);
  const settled = {
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
    image_size: sized,
    classes: classesOf(tensors, 'head.classifier.4'),
    activation: activationFor(sources, told),
    eps: epsilonOf(sources, told),
  };
  return recognisedFrom(sources, {
    label: 'efficientvit_mit',
    title: sizeTitle('EfficientViT', sizes, depth, dims),
    imageSize,
    sizeStep: [lastStride, lastStride],
    pixels: 'imagenet',
    evidence: settled,
    config: configOf(settled),
  });
}

interface Settings {
  readonly activation: string;
  readonly eps: number;
}

type UnitOptions = ConvolutionOptions & { readonly activation?: string };

/** Convolution, batch norm if it is stored, activation. */
function unit(
  b: GraphBuilder,
  map: ValueInfo,
  name: string,
  eps: number,
  options: UnitOptions = {},
): ValueInfo {
  return convNormModule(b, map, name, { ...options, eps });
}

/**
 * Units of a local block in order: a plain, a depthwise separable, a fused or an inverted
 * bottleneck has two or three of them.
 */
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

/**
 * Queries, keys and values of every head side by side, and the same of their neighbourhoods (Cai et
 * al. 2023, EfficientViT §3.1.2).
 */
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
 * ReLU linear attention (Cai et al. 2023, §3.1.1; Katharopoulos et al. 2020) of
 * `[batch, channels, rows, columns]`: keys meet the values before the queries, so that there is no
 * map of queries over keys. A row of ones among the values sums the keys for the divisor.
 */
function linearAttention(b: GraphBuilder, map: ValueInfo, eps: number): ValueInfo {
  return b.scope(
    'main',
    () => {
      const dim = parameterSide(b, 'aggreg.0.1.weight', 1);
      const fused = multiScale(b, map);
      const [rows, columns] = gridOf(map);
      const batch = at(map.shape, 0);
      const heads = at(fused.shape, 1) / (3 * dim);
      const split = b.reshape(fused, [batch, heads, 3 * dim, rows * columns]);
      const [query, key, value] = splitInThree(b, split, 2);
      const [q, k] = [b.add('Relu', [query]), b.add('Relu', [key])];
      const ones = b.add('Pad', [value, b.indices([0, 0, 0, 0, 0, 0, 1, 0]), b.scalar(1)]);
      const summary = b.add('MatMul', [ones, b.transpose(k, [0, 1, 3, 2])], {}, { name: '/summary' });
      const [sum, divisor] = splitInTwo(b, b.add('MatMul', [summary, q], {}, { name: '/mix' }), 2, [dim, 1]);
      const mixed = b.add('Div', [sum, b.add('Add', [divisor, b.scalar(attentionEps)])]);
      return unit(b, b.reshape(mixed, [batch, heads * dim, rows, columns]), 'proj', eps);
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

/**
 * The first block of a stage is strided and has no residual connection; the others by what they
 * hold.
 */
function block(b: GraphBuilder, map: ValueInfo, index: number, settings: Settings): ValueInfo {
  if (b.has('context_module.main.qkv.conv.weight')) return attentionBlock(b, map, settings);
  const local = localBlock(b, map, index === 0 ? 2 : 1, settings);
  return index === 0 ? local : residual(b, map, local);
}

function stem(b: GraphBuilder, pixels: ValueInfo, depth: number, settings: Settings): ValueInfo {
  let map = unit(b, pixels, 'in_conv', settings.eps, { stride: 2, activation: settings.activation });
  for (let index = 0; index < depth; index++) {
    const from = map;
    map = b.scope(`res${index}`, () => residual(b, from, localBlock(b, from, 1, settings)));
  }
  return map;
}

/** Epsilon of the batch norm in the head, for which timm takes no argument. */
const headEps = 1e-5;

/** The vector before the classifier: a wider map's mean, then a linear layer with a norm. */
function pooled(b: GraphBuilder, map: ValueInfo, { activation, eps }: Settings): ValueInfo {
  if (!b.has('in_conv.conv.weight')) return meanOfMap(b, map);
  const mean = meanOfMap(b, unit(b, map, 'in_conv', headEps, { activation }));
  return activate(b, maybeNorm(b, b.linear(mean, 'classifier.0'), 'classifier.1', eps), activation);
}

/** The stem and the stages (Cai et al. 2023, §3.2). */
function build(
  b: GraphBuilder,
  { depth, stem_depth: stemDepth, ...settings }: EfficientVitConfig,
  { imageSize, batch }: BuildOptions,
): ImageMaps {
  const pixels = images(b, [batch, ...imageSize], 'stem.in_conv.conv');
  const first = b.scope('stem', () => stem(b, pixels, stemDepth, settings), {
    title: 'Convolutional stem',
  });
  const maps = stages(b, first, {
    depths: depth,
    module: (stage) => ({ path: `stages.${stage}` }),
    path: ({ index }) => `blocks.${index}`,
    block: (map, { index }) => block(b, map, index, settings),
    note: ({ index }) => ({
      title: b.has(`blocks.${index}.context_module.main.qkv.conv.weight`)
        ? 'EfficientViT block'
        : 'Convolutional block',
    }),
  });
  return { stages: maps.map((map) => mapStage(map, imageSize)), map: last(maps) };
}

function head(b: GraphBuilder, { map }: ImageMaps, config: EfficientVitConfig): void {
  const features = b.scope('head', () => pooled(b, map, config), { title: 'Head' });
  answer(b, features, map, 'head.classifier.4');
}

/** EfficientViT of MIT (Cai et al. 2023): convolutions, then linear attention at several scales. */
export const efficientVitMit: Family<EfficientVitConfig, ImageMaps> = {
  name: 'efficientvit_mit',
  title: 'EfficientViT (MIT)',
  names: efficientVitMitNames,
  assumable: ['activation', 'eps'],
  recognise,
  build,
  head,
};
