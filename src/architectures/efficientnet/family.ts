import { at, last, sum } from '../../domain/lists';
import { answer } from '../heads/classifier';
import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { convNorm, convolution, globalMean, squeezeExcite, type Padding } from '../blocks/convolution';
import { activate, residual } from '../blocks/layers';
import { meanOfMap } from '../blocks/maps';
import { mapStage, stages, type ImageMaps, type Place } from '../blocks/stages';
import { configured } from '../config';
import type { BuildOptions, Evidence, Family, Found, Recognised } from '../family';
import { assumed, configOf, stored } from '../evidence';
import { positive } from '../groups/valueKinds';
import { type Layout, layouts } from './layouts';
import { sizeTitle } from '../sizes';
import {
  classesOf,
  countOf,
  decide,
  imageSizeOf,
  recognisedFrom,
  sideOf,
  sourcesOf,
  type Sources,
} from '../decide';
import { efficientnetNames } from './names';

type Tensors = Found['tensors'];

/** A published size: side of its images, and the blocks whose map is odd there. */
interface PublishedSize {
  readonly name: string;
  readonly side: number;
  readonly odd: readonly number[];
}

/** EfficientNets by the blocks of their stages and the last width (Tan & Le 2019). */
const sizes: Readonly<Record<string, PublishedSize>> = {
  '1,2,2,3,3,4,1 320': { name: 'B0', side: 224, odd: [] },
  '2,3,3,4,4,5,2 320': { name: 'B1', side: 240, odd: [16] },
  '2,3,3,4,4,5,2 352': { name: 'B2', side: 260, odd: [5, 8, 16] },
  '2,3,3,5,5,6,2 384': { name: 'B3', side: 300, odd: [5, 18] },
  '2,4,4,6,6,8,2 448': { name: 'B4', side: 380, odd: [6] },
  '3,5,5,7,7,9,3 512': { name: 'B5', side: 456, odd: [13, 27] },
  '3,6,6,8,8,11,3 576': { name: 'B6', side: 528, odd: [31] },
  '4,7,7,10,10,13,4 640': { name: 'B7', side: 600, odd: [18] },
};

const range = (count: number): readonly number[] => Array.from({ length: count }, (_, index) => index);

/** A side of the first of these convolutions that a block has; 0 if it has none. */
function sideOfFirst(tensors: Tensors, path: string, names: readonly string[], axis: number): number {
  const name = names.map((each) => `${path}.${each}.weight`).find((each) => tensors.has(each));
  return name === undefined ? 0 : sideOf(tensors, name, axis);
}

/** Channels that a block gives. */
const widthOf = (tensors: Tensors, path: string): number =>
  sideOfFirst(tensors, path, ['conv_pwl', 'conv_pw', 'conv'], 0);

/** Side of the kernel with which a block looks around. */
const kernelOf = (tensors: Tensors, path: string): number =>
  sideOfFirst(tensors, path, ['conv_dw', 'conv_exp', 'conv'], 2);

/** The stages: their first blocks, and how many they have. */
interface Stages {
  readonly firsts: readonly string[];
  readonly depths: readonly number[];
  /** The file has one list of all blocks, in which a stage ends where the width changes. */
  readonly flat: boolean;
}

function stagesOf(tensors: Tensors): Stages {
  const lists = range(countOf(tensors, 'blocks'));
  if (lists.length > 1)
    return {
      firsts: lists.map((stage) => `blocks.${stage}.0`),
      depths: lists.map((stage) => countOf(tensors, `blocks.${stage}`)),
      flat: false,
    };
  const paths = range(countOf(tensors, 'blocks.0')).map((index) => `blocks.0.${index}`);
  const widths = paths.map((path) => widthOf(tensors, path));
  const starts = range(paths.length).filter((index) => index === 0 || widths[index] !== widths[index - 1]);
  return {
    firsts: starts.map((index) => at(paths, index)),
    depths: starts.map((index, stage) => (starts[stage + 1] ?? paths.length) - index),
    flat: true,
  };
}

/**
 * The layout that the kernels allow. Two pairs share them: of one, one begins with convolutions
 * that are not depthwise; of the other, one weighs no channels.
 */
function layoutOf(tensors: Tensors, kernels: readonly number[]): Layout | undefined {
  const fused = tensors.has('blocks.1.0.conv_exp.weight');
  const weighs = tensors.has('blocks.0.0.se.conv_reduce.weight');
  return layouts.find(
    ({ name, gated = weighs, kernels: allowed }) =>
      allowed.test(kernels.join(',')) && (name === 'EfficientNet V2') === fused && gated === weighs,
  );
}

/** `EfficientNet-B0`, `MobileNet V2`, `MobileNet V2 1.4` (the multiplier of its widths). */
function titleOf(
  { name, sizes: others = {}, unit }: Layout,
  depths: readonly number[],
  widths: readonly number[],
): string {
  const multiplier = unit?.[0] === depths.join(',') ? Number((last(widths) / unit[1]).toFixed(2)) : undefined;
  if (multiplier === undefined) return sizeTitle(name, others, depths, widths);
  return multiplier === 1 ? name : `${name} ${multiplier}`;
}

/**
 * Half of the kernel on both sides; TensorFlow's rule; or what Keras' port to transformers fixed of
 * it for one size.
 */
const paddings = ['symmetric', 'same', 'fixed'] as const;

type PaddingRule = (typeof paddings)[number];

/** How a library pads by default, if it alone decides. */
function libraryPadding(sources: Sources, label: string): Evidence<PaddingRule> | undefined {
  const { checkpoint, dialect } = sources.found;
  if (dialect.name !== 'transformers') return undefined;
  const source = `default of ${dialect.title}`;
  if (label === 'efficientnet') return stored<PaddingRule>('fixed', source);
  const tensorflow = configured(checkpoint, ['tf_padding']);
  if (label !== 'mobilenet_v2' || tensorflow?.value === false) return undefined;
  return stored<PaddingRule>('same', tensorflow?.source ?? source);
}

function paddingOf(sources: Sources, label: string): Evidence<PaddingRule> {
  const { name, title } = sources.found.dialect;
  const why = 'weights made with TensorFlow have the same names and pad as “same”';
  return decide<PaddingRule>(sources, 'padding', {
    named: [[/^tf_/, 'same']],
    otherwise:
      libraryPadding(sources, label) ??
      (name === 'timm' ? assumed<PaddingRule>('symmetric', why) : stored<PaddingRule>('symmetric', title)),
    is: (value) => paddings.some((padding) => padding === value),
    needed: `one of ${paddings.join(', ')}`,
  });
}

function epsilonOf(sources: Sources): Evidence<number> {
  const { name, title } = sources.found.dialect;
  return decide(sources, 'eps', {
    ...positive,
    config: ['batch_norm_eps', 'layer_norm_eps'],
    named: [[/^tf_/, 1e-3]],
    otherwise:
      name === 'transformers' ? stored(1e-3, `default of ${title}`) : stored(1e-5, 'default of PyTorch'),
  });
}

/** The blocks whose map is odd: config.json has them all, or a published size does. */
function oddBlocks(sources: Sources, size: PublishedSize | undefined): Evidence<readonly number[]> {
  const odd = sources.found.checkpoint.sidecars.config ? [] : (size?.odd ?? []);
  return decide(sources, 'depthwise_padding', {
    config: ['depthwise_padding'],
    otherwise: stored<readonly number[]>(odd, 'as published'),
  });
}

/**
 * Whether it is timm's own MobileNet V3 (`mobilenetv3_rw`), which computes otherwise: the only one
 * whose last convolution has no bias.
 */
const isOwn = ({ label }: Layout, tensors: Tensors): boolean =>
  label === 'mobilenet_v3' && tensors.has('conv_head.weight') && !tensors.has('conv_head.bias');

interface EfficientNetConfig {
  readonly depth: readonly number[];
  readonly strides: readonly number[];
  /** One for all stages, or one for each; stem and head have the last. */
  readonly activation: string | readonly string[];
  readonly gate_activation: string;
  readonly gate: string;
  readonly eps: number;
  readonly padding: PaddingRule;
  /** Numbers of the blocks whose map is odd, counted through all stages. */
  readonly depthwise_padding: readonly number[];
  /** The file has one list of all blocks. */
  readonly flat: boolean;
}

function recognise(found: Found): Recognised<EfficientNetConfig> | undefined {
  const { tensors } = found;
  const { firsts, depths, flat } = stagesOf(tensors);
  const widths = firsts.map((path) => widthOf(tensors, path));
  const kernels = firsts.map((path) => kernelOf(tensors, path));
  const layout = layoutOf(tensors, kernels);
  if (!layout || isOwn(layout, tensors)) return undefined;
  const sources = sourcesOf(found);
  const size = layout.gated ? sizes[`${depths.join(',')} ${widths.at(-1)}`] : undefined;
  const side = size?.side ?? 224;
  const { imageSize, evidence: sized } = imageSizeOf(sources, [side, side]);
  const { name, activations, excite } = layout;
  const published = `as published: ${name}`;
  const settled = {
    depth: stored(depths, 'blocks'),
    dim: stored(widths, 'blocks'),
    kernel: stored(kernels, 'first block of every stage'),
    strides: stored(layout.strides.slice(0, depths.length), published),
    image_size: sized,
    classes: classesOf(tensors, 'classifier'),
    activation: decide(sources, 'activation', {
      config: ['hidden_act', 'act_layer'],
      otherwise: stored<string | readonly string[]>(
        activations.length === 1 ? at(activations, 0) : activations,
        published,
      ),
    }),
    gate_activation: stored(excite[0], published),
    gate: stored(excite[1], published),
    eps: epsilonOf(sources),
    padding: paddingOf(sources, layout.label),
    depthwise_padding: oddBlocks(sources, size),
  };
  return recognisedFrom(sources, {
    label: layout.label,
    title: size ? `${name}-${size.name}` : titleOf(layout, depths, widths),
    imageSize,
    sizeStep: [32, 32],
    pixels: 'imagenet',
    evidence: settled,
    config: { ...configOf(settled), flat },
  });
}

/** What the blocks of one stage have in common. */
interface Unit {
  readonly eps: number;
  readonly activation: string;
  readonly gate: string;
  readonly gateActivation: string;
  /** Padding of a kernel of this side and stride. */
  readonly padding: (side: number, stride: number) => Padding;
}

function excite(b: GraphBuilder, map: ValueInfo, { gate, gateActivation }: Unit): ValueInfo {
  if (!b.has('se.conv_reduce.weight')) return map;
  const names = { reduce: 'conv_reduce', expand: 'conv_expand' };
  return squeezeExcite(b, map, 'se', { ...names, activation: gateActivation, gate });
}

/**
 * A block's units in order: name and norm of each convolution, whether it strides, whether an
 * activation follows, whether it is gated then.
 */
interface BlockKind {
  readonly has: readonly string[];
  readonly title: string;
  readonly units: readonly (readonly [conv: string, norm: string, strided: boolean, acts: boolean])[];
  /** Index of the unit that squeeze and excitation follows. */
  readonly gated?: number;
}

/** A convolution alone, which any other block is. */
const plain: BlockKind = { has: ['conv'], title: 'Convolution', units: [['conv', 'bn1', true, true]] };

const blockKinds: readonly BlockKind[] = [
  {
    has: ['conv_exp'],
    title: 'Fused inverted residual',
    units: [
      ['conv_exp', 'bn1', true, true],
      ['conv_pwl', 'bn2', false, false],
    ],
    gated: 0,
  },
  {
    has: ['conv_pw', 'conv_pwl'],
    title: 'Inverted residual',
    units: [
      ['conv_pw', 'bn1', false, true],
      ['conv_dw', 'bn2', true, true],
      ['conv_pwl', 'bn3', false, false],
    ],
    gated: 1,
  },
  {
    has: ['conv_pwl'],
    title: 'Depthwise separable convolution',
    units: [
      ['conv_dw', 'bn2', true, true],
      ['conv_pwl', 'bn3', false, false],
    ],
    gated: 0,
  },
  {
    has: ['conv_dw'],
    title: 'Depthwise separable convolution',
    units: [
      ['conv_dw', 'bn1', true, true],
      ['conv_pw', 'bn2', false, false],
    ],
    gated: 0,
  },
];

/** The kind of the block at a path, which ends in a dot or is empty. */
const kindAt = (b: GraphBuilder, start: string): BlockKind =>
  blockKinds.find(({ has }) => has.every((name) => b.has(`${start}${name}.weight`))) ?? plain;

/**
 * Expansion, depthwise convolution, squeeze and excitation, projection (Sandler et al. 2018; Howard
 * et al. 2019), and the input if shapes allow.
 */
function block(b: GraphBuilder, x: ValueInfo, stride: number, unit: Unit): ValueInfo {
  const kind = kindAt(b, '');
  const branch = kind.units.reduce((map, [conv, norm, strided, acts], index) => {
    const step = strided ? stride : 1;
    const out = convNorm(b, map, conv, norm, {
      eps: unit.eps,
      activation: acts ? unit.activation : undefined,
      stride: step,
      padding: unit.padding(at(b.shapeOf(`${conv}.weight`), 2), step),
    });
    return index === kind.gated ? excite(b, out, unit) : out;
  }, x);
  // The last stage of MobileNet V3 is a layer for each position, not a residual block.
  const isLayer = kind === plain && b.shapeOf('conv.weight')[2] === 1;
  const skips = stride === 1 && branch.shape[1] === x.shape[1] && !isLayer;
  return skips ? residual(b, x, branch) : branch;
}

/** Zeros before and behind: those of TensorFlow's rule for an even map if it is fixed. */
function paddingRule(word: PaddingRule, odd: boolean): Unit['padding'] {
  return (side, stride) => {
    const half = side >> 1;
    if (word === 'same') return 'same';
    const uneven = word === 'fixed' && stride === 2 && !odd;
    return uneven ? [half - 1, half - 1, half, half] : [half, half, half, half];
  };
}

/** Settings by stage and number of the block. */
function unitsOf(config: EfficientNetConfig): (stage: number, block: number) => Unit {
  const activations = [config.activation].flat();
  return (stage, number) => ({
    eps: config.eps,
    activation: activations[stage] ?? last(activations),
    gate: config.gate,
    gateActivation: config.gate_activation,
    padding: paddingRule(config.padding, config.depthwise_padding.includes(number)),
  });
}

/** Settings of stem and head, which are no blocks. */
const endUnit = (config: EfficientNetConfig): Unit => unitsOf(config)(config.strides.length - 1, -1);

function build(b: GraphBuilder, config: EfficientNetConfig, { imageSize, batch }: BuildOptions): ImageMaps {
  const { depth, strides, flat } = config;
  const unitOf = unitsOf(config);
  const end = endUnit(config);
  const numberOf = ({ stage, index }: Place): number => sum(depth.slice(0, stage)) + index;
  const pathOf = (place: Place): string =>
    flat ? `blocks.0.${numberOf(place)}` : `blocks.${place.stage}.${place.index}`;
  const pixels = b.input('pixel_values', [batch, 3, ...imageSize]);
  const stem = convNorm(b, pixels, 'conv_stem', 'bn1', { ...end, stride: 2, padding: end.padding(3, 2) });
  const maps = stages(b, stem, {
    depths: depth,
    path: pathOf,
    note: (place) => ({ title: kindAt(b, `${pathOf(place)}.`).title }),
    block: (x, place) => {
      const stride = place.index === 0 ? at(strides, place.stage) : 1;
      return block(b, x, stride, unitOf(place.stage, numberOf(place)));
    },
  });
  return { stages: maps.map((map) => mapStage(map, imageSize)), map: last(maps) };
}

/**
 * The map before pooling, and the vector `[batch, channels]`: MobileNet V3 pools before its last
 * convolution, the others after it.
 */
function pooled(
  b: GraphBuilder,
  map: ValueInfo,
  { eps, activation }: Unit,
): readonly [map: ValueInfo, features: ValueInfo] {
  if (!b.has('conv_head.weight')) return [map, meanOfMap(b, map)];
  if (b.has('bn2.running_mean')) {
    const wide = convNorm(b, map, 'conv_head', 'bn2', { eps, activation });
    return [wide, meanOfMap(b, wide)];
  }
  const wide = activate(b, convolution(b, globalMean(b, map), 'conv_head'), activation);
  return [map, b.reshape(wide, wide.shape.slice(0, 2))];
}

function head(b: GraphBuilder, { map }: ImageMaps, config: EfficientNetConfig): void {
  const [tokens, features] = pooled(b, map, endUnit(config));
  answer(b, features, tokens, 'classifier');
}

/**
 * Networks of inverted residuals: EfficientNet (Tan & Le 2019; V2: 2021), MobileNet V2 (Sandler et
 * al. 2018) and V3 (Howard et al. 2019).
 */
export const efficientnet: Family<EfficientNetConfig, ImageMaps> = {
  name: 'efficientnet',
  row: 'cnn',
  title: 'Inverted residual network',
  names: efficientnetNames,
  assumable: ['activation', 'eps', 'padding'],
  recognise,
  build,
  head,
};
