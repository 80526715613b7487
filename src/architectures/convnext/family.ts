import { images } from '../blocks/images';
import { at, last } from '../../domain/lists';
import { answer } from '../heads/classifier';
import { ParameterError, type GraphBuilder } from '../../graph/builder';
import { int, type ValueInfo } from '../../graph/graph';
import { convolution } from '../blocks/convolution';
import { activate, maybeNorm, norm, residual, withValue } from '../blocks/layers';
import { mapNorm, mapToTokens, meanOfMap, tokensToMap } from '../blocks/maps';
import { mapStage, stages, type ImageMaps } from '../blocks/stages';
import type { BuildOptions, Family, Found } from '../family';
import { stored } from '../evidence';
import { measureStages, stagedConfig, type SettledBy } from '../groups/stagedConfig';
import { positive } from '../groups/valueKinds';
import type { Sizes } from '../sizes';
import { activationOf, decide, namesOf, sideOf, type Sources } from '../decide';
import { convnextNames } from './names';

/** Sizes of Liu et al. 2022 and Woo et al. 2023, and timm's own small ones. */
const sizes: Sizes = {
  '2,2,4,2 32': 'Zepto',
  '2,2,6,2 40': 'Atto',
  '2,2,6,2 48': 'Femto',
  '2,2,6,2 64': 'Pico',
  '2,2,8,2 80': 'Nano',
  '3,3,9,3 96': 'T',
  '3,3,27,3 96': 'S',
  '3,3,27,3 128': 'B',
  '3,3,27,3 192': 'L',
  '3,3,27,3 256': 'XL',
  '3,3,27,3 352': 'H',
  '3,4,30,3 384': 'XXL',
};

/**
 * timm's smallest variant scales by the deviation, others of the same names scale by the root
 * mean square.
 */
const otherNorm = /zepto_rms/;

/** Epsilon of all norms, and of the last one, which transformers sets apart. */
function epsilons(sources: Sources, [width]: readonly number[]) {
  const { name, title, eps: usual } = sources.found.dialect;
  const eps = decide(sources, 'eps', {
    ...positive,
    // DINOv3's code has the one key for all norms, ConvNeXt's for the last alone.
    config: [name === 'transformers-dinov3' ? 'layer_norm_eps' : 'norm_eps'],
    named: [[/xxlarge/, 1e-5]],
    otherwise: width === 384 ? stored(1e-5, 'as published: XXL') : stored(1e-6, `default of ${title}`),
  });
  const ofHead = decide(sources, 'head_eps', {
    ...positive,
    config: ['layer_norm_eps'],
    otherwise: name === 'transformers' ? stored(usual, `default of ${title}`) : eps,
  });
  return { eps, head_eps: ofHead };
}

/** timm dilates the stages behind a map of 1/32 of the image, which is not computed. */
function requireNoDilation({ tensors, dialect }: Found, stages: number): void {
  const patch = tensors.get('stem.0.weight')?.shape[2] ?? 1;
  if (dialect.name === 'timm' && patch * 2 ** (stages - 1) > 32 && !tensors.has('stem.2.weight'))
    throw new ParameterError('stem.0.weight', `patches of ${patch}, behind which timm dilates stages`);
}

function recognise(found: Found) {
  const { tensors } = found;
  const stages = measureStages(found, 'stages.*.blocks.*', 'conv_dw.weight');
  // Norms without a bias are of another kind, which neither names nor shapes show.
  if (!stages || !tensors.has('stages.0.blocks.0.norm.bias')) return undefined;
  const { sources, dims } = stages;
  if (namesOf(sources).some((name) => otherNorm.test(name))) return undefined;
  requireNoDilation(found, dims.length);
  const second = tensors.has('stages.0.blocks.0.mlp.grn.weight');
  const kernel = 'stages.0.blocks.0.conv_dw.weight';
  return stagedConfig(stages, {
    label: second ? 'convnextv2' : 'convnext',
    title: [second ? 'ConvNeXt V2' : 'ConvNeXt', sizes],
    head: 'head.fc',
    stride: 32,
    shapes: { kernel: stored(sideOf(tensors, kernel, 2), kernel) },
    settings: {
      activation: activationOf(sources, stored('gelu', 'as published')),
      ...epsilons(sources, dims),
    },
  });
}

type ConvNextConfig = SettledBy<typeof recognise>;

type Settings = Pick<ConvNextConfig, 'eps' | 'activation'>;

/**
 * Patches of 4 × 4 pixels, or two overlapping 3 × 3 convolutions with stride 2; the norm comes
 * last.
 */
function stem(b: GraphBuilder, pixels: ValueInfo, { eps, activation }: Settings): ValueInfo {
  return b.scope(
    'stem',
    () => {
      const kernel = at(b.shapeOf('0.weight'), 2);
      if (b.shapeOf('1.weight').length === 1 && !b.has('2.weight'))
        return mapNorm(b, convolution(b, pixels, '0', { stride: kernel, padding: 0 }), '1', eps);
      const acts = !b.has('1.weight');
      const [second, ending] = acts ? (['2', '3'] as const) : (['1', '2'] as const);
      const half = convolution(b, pixels, '0', { stride: 2 });
      const map = convolution(b, acts ? activate(b, half, activation) : half, second, { stride: 2 });
      return mapNorm(b, map, ending, eps);
    },
    { title: 'Patch embedding' },
  );
}

/** How the units of a layer lie: axes of the positions and of the units. */
interface Layout {
  readonly positions: readonly number[];
  readonly units: number;
}

/**
 * Global response norm (Woo et al. 2023, §3.2): units that are strong over all positions, beside
 * the others, are made stronger.
 */
function globalResponseNorm(b: GraphBuilder, x: ValueInfo, { positions, units }: Layout): ValueInfo {
  const width = at(x.shape, units);
  const shape = x.shape.slice(1).map((_, axis) => (axis + 1 === units ? width : 1));
  const strength = b.add('ReduceL2', [x, b.indices(positions)], { keepdims: int(1) });
  const mean = b.add('ReduceMean', [strength, b.indices([units])], { keepdims: int(1) });
  const relative = b.add('Div', [strength, b.add('Add', [mean, b.scalar(1e-6)])]);
  const scaled = b.add('Mul', [b.parameter('weight', shape), b.add('Mul', [x, relative])]);
  return b.add('Add', [x, b.add('Add', [b.parameter('bias', shape), scaled])]);
}

const maybeResponseNorm = (b: GraphBuilder, x: ValueInfo, layout: Layout): ValueInfo =>
  b.has('grn.weight') ? b.scope('grn', () => globalResponseNorm(b, x, layout)) : x;

/** Norm and MLP of 1 × 1 convolutions on the map. */
function mapBranch(b: GraphBuilder, map: ValueInfo, { eps, activation }: Settings): ValueInfo {
  const normed = mapNorm(b, map, 'norm', eps);
  return b.scope('mlp', () => {
    const hidden = activate(b, convolution(b, normed, 'fc1'), activation);
    return convolution(b, maybeResponseNorm(b, hidden, { positions: [2, 3], units: 1 }), 'fc2');
  });
}

/** The same with linear layers on the positions of the map. */
function tokenBranch(b: GraphBuilder, map: ValueInfo, { eps, activation }: Settings): ValueInfo {
  const tokens = mapToTokens(b, map);
  const { batch, count } = tokens;
  const normed = norm(b, tokens.value, 'norm', eps);
  const mixed = b.scope('mlp', () => {
    const hidden = activate(b, b.linear(normed, 'fc1'), activation);
    if (!b.has('grn.weight')) return b.linear(hidden, 'fc2');
    const units = at(hidden.shape, 1);
    const apart = b.reshape(hidden, [batch, count, units]);
    const responded = maybeResponseNorm(b, apart, { positions: [1], units: 2 });
    return b.linear(b.reshape(responded, [batch * count, units]), 'fc2');
  });
  return tokensToMap(b, withValue(tokens, mixed));
}

/** x + γ · MLP(norm(depthwise(x))) */
function block(b: GraphBuilder, map: ValueInfo, settings: Settings): ValueInfo {
  const width = at(map.shape, 1);
  const mixed = convolution(b, map, 'conv_dw');
  const linear = b.shapeOf('mlp.fc1.weight').length === 2;
  const branch = (linear ? tokenBranch : mapBranch)(b, mixed, settings);
  const scaled = b.has('gamma') ? b.add('Mul', [branch, b.parameter('gamma', [width, 1, 1])]) : branch;
  return residual(b, map, scaled);
}

const blockNote = { title: 'ConvNeXt block', formula: 'x + γ · MLP(norm(depthwise(x)))' };

/** A norm and a strided convolution, if one is stored: the first stage has none. */
function downsampled(b: GraphBuilder, map: ValueInfo, eps: number): ValueInfo {
  if (!b.has('downsample.1.weight')) return map;
  return b.scope('downsample', () => {
    const stride = at(b.shapeOf('1.weight'), 2);
    return convolution(b, mapNorm(b, map, '0', eps), '1', { stride, padding: 0 });
  });
}

function build(b: GraphBuilder, config: ConvNextConfig, { imageSize, batch }: BuildOptions): ImageMaps {
  const pixels = images(b, [batch, ...imageSize], 'stem.0');
  const maps = stages(b, stem(b, pixels, config), {
    depths: config.depth,
    path: ({ stage, index }) => `stages.${stage}.blocks.${index}`,
    enter: (map, stage) => b.scope(`stages.${stage}`, () => downsampled(b, map, config.eps)),
    block: (map) => block(b, map, config),
    note: blockNote,
  });
  const map = mapNorm(b, last(maps), 'norm_pre', config.eps);
  return { stages: maps.map((each) => mapStage(each, imageSize)), map };
}

function head(b: GraphBuilder, { map }: ImageMaps, { head_eps: eps }: ConvNextConfig): void {
  const pooled = maybeNorm(b, meanOfMap(b, map), 'head.norm', eps);
  const features = b.has('head.pre_logits.fc.weight')
    ? activate(b, b.linear(pooled, 'head.pre_logits.fc'), 'gelu')
    : pooled;
  answer(b, features, map, 'head.fc');
}

/** ConvNeXt (Liu et al. 2022) and ConvNeXt V2 (Woo et al. 2023). */
export const convnext: Family<ConvNextConfig, ImageMaps> = {
  name: 'convnext',
  row: 'cnn',
  title: 'ConvNeXt',
  names: convnextNames,
  assumable: ['activation', 'eps', 'head_eps'],
  recognise,
  build,
  head,
};
