import { images } from '../blocks/images';
import { at, last, sum } from '../../domain/lists';
import { answer } from '../heads/classifier';
import { ParameterError, type GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import {
  batchNorm,
  convNorm,
  convolution,
  globalMean,
  squeezeExcite,
  type Padding,
} from '../blocks/convolution';
import { activate, residual } from '../blocks/layers';
import { meanOfMap } from '../blocks/maps';
import { mapStage, stages, type ImageMaps, type Place, type Stage } from '../blocks/stages';
import type { BuildOptions, ConfigValue, Evidence, Family, Found, Recognised } from '../family';
import { assumed, configOf, stored } from '../evidence';
import { positive } from '../groups/valueKinds';
import { type Layout, layouts } from './layouts';
import { sizeTitle } from '../sizes';
import { likelyActivations, likelyStrides, stageStarts, templates, type Template } from './unpublished';
import {
  classesOf,
  countOf,
  decide,
  knownActivation,
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

/** Names of a convolution's weight, or of those that stand side by side in its place (MixNet). */
function weightsOf(has: (name: string) => boolean, path: string): readonly string[] {
  if (has(`${path}.weight`)) return [`${path}.weight`];
  const parts: string[] = [];
  while (has(`${path}.${parts.length}.weight`)) parts.push(`${path}.${parts.length}.weight`);
  return parts;
}

/** A side of the first of these convolutions that a block has; 0 if it has none. */
function sideOfFirst(tensors: Tensors, path: string, names: readonly string[], axis: number): number {
  const all = names.map((each) => weightsOf((name) => tensors.has(name), `${path}.${each}`));
  const sides = (all.find((weights) => weights.length > 0) ?? []).map((weight) =>
    sideOf(tensors, weight, axis),
  );
  // Convolutions side by side give their channels together; the first has the least kernel.
  return axis === 0 ? sum(sides) : (sides[0] ?? 0);
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

/** Paths of the blocks of a file that has one list of all. */
const flatPaths = (tensors: Tensors): readonly string[] =>
  range(countOf(tensors, 'blocks.0')).map((index) => `blocks.0.${index}`);

const hasPart = (tensors: Tensors, part: string): boolean =>
  [...tensors.keys()].some((name) => name.endsWith(`.${part}`));

/** Libraries whose networks without stages are MobileNets. */
const countedThrough: ReadonlySet<string> = new Set(['torchvision', 'mmpretrain']);

/** The network whose stages a list of all blocks may have; undefined for EfficientNet's own. */
function templateOf({ tensors, dialect }: Found): Template | undefined {
  if (!hasPart(tensors, 'conv_pwl.weight')) return templates.v1;
  if (!countedThrough.has(dialect.name)) return undefined;
  // V3's last layer behind the blocks is linear.
  if (tensors.get('conv_head.weight')?.shape.length === 4) return templates.v2;
  return tensors.has('blocks.0.0.se.conv_reduce.weight') ? templates.small : templates.large;
}

function stagesOf(found: Found): Stages {
  const { tensors } = found;
  const lists = range(countOf(tensors, 'blocks'));
  if (lists.length > 1)
    return {
      firsts: lists.map((stage) => `blocks.${stage}.0`),
      depths: lists.map((stage) => countOf(tensors, `blocks.${stage}`)),
      flat: false,
    };
  const paths = flatPaths(tensors);
  const widths = paths.map((path) => widthOf(tensors, path));
  const starts = stageStarts(widths, templateOf(found));
  return {
    firsts: starts.map((index) => at(paths, index)),
    depths: starts.map((index, stage) => (starts[stage + 1] ?? paths.length) - index),
    flat: true,
  };
}

/** A network by its stages, and how far it is known. */
interface Network extends Stages {
  readonly layout: Layout;
  /** Nobody published it: strides and activations are likely, no more. */
  readonly likely: boolean;
}

/** Whether the last of a list of blocks is MobileNet V3's layer of 1 × 1. */
const endsInLayer = (tensors: Tensors, path: string): boolean =>
  tensors.get(`${path}.conv.weight`)?.shape[2] === 1;

/** One of torchvision's that nobody published, every block of a list of all a stage of its own. */
function unpublished(found: Found, { flat, ...stages }: Stages): Network {
  const { tensors } = found;
  if (!flat) return { ...stages, flat, likely: true, layout: stagedLayout(tensors, stages) };
  const known = templateOf(found) ?? templates.v2;
  const all = flatPaths(tensors);
  const paths = endsInLayer(tensors, last(all)) ? all.slice(0, -1) : all;
  const strides = likelyStrides(
    paths.map((path) => widthOf(tensors, path)),
    known,
  );
  const activations = likelyActivations(
    all.map((path) => kernelOf(tensors, path)),
    known,
  );
  return {
    firsts: all,
    depths: all.map(() => 1),
    flat,
    likely: true,
    layout: {
      ...known.layout,
      strides: all.map((_, index) => strides[index] ?? 1),
      activations: [...activations.slice(0, -1), last(known.layout.activations)],
    },
  };
}

/**
 * EfficientNet's class with stages of one's own: the second version begins with whole
 * convolutions.
 */
function stagedLayout(tensors: Tensors, { depths }: Pick<Stages, 'depths'>): Layout {
  const fused = tensors.has('blocks.0.0.conv.weight') || hasPart(tensors, 'conv_exp.weight');
  const name = fused ? 'EfficientNet V2' : 'EfficientNet';
  const [layout] = layouts.filter((each) => each.name === name);
  if (!layout) throw new Error(`${name} is no layout`);
  return { ...layout, strides: depths.map((_, stage) => layout.strides[stage] ?? 1) };
}

/** The network that names and kernels show; undefined if it is none that can be computed. */
function networkOf(found: Found): Network | undefined {
  const stages = stagesOf(found);
  const kernels = stages.firsts.map((path) => kernelOf(found.tensors, path));
  const layout = layoutOf(found.tensors, kernels, widthOf(found.tensors, stages.firsts.at(-1) ?? ''));
  const hasClasses = countedThrough.has(found.dialect.name);
  const isPublished = layout?.unit === undefined || layout.unit[0] === stages.depths.join(',');
  if (layout && (isPublished || !hasClasses)) return { ...stages, layout, likely: false };
  return hasClasses ? unpublished(found, stages) : undefined;
}

/**
 * The layout that the kernels allow. Two pairs share them: of one, one begins with convolutions
 * that are not depthwise; of the other, one weighs no channels.
 */
function layoutOf(tensors: Tensors, kernels: readonly number[], end: number): Layout | undefined {
  const fused = tensors.has('blocks.1.0.conv_exp.weight');
  const isChain = !hasPart(tensors, 'conv_pwl.weight');
  const weighs = tensors.has('blocks.0.0.se.conv_reduce.weight');
  return layouts.find(
    ({ fused: fuses = false, gated = weighs, kernels: allowed, chain = false, last: width = end }) =>
      allowed.test(kernels.join(',')) &&
      fuses === fused &&
      gated === weighs &&
      chain === isChain &&
      width === end,
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
  const { dialect } = sources.found;
  if (dialect.name === 'mmpretrain' && label.startsWith('efficientnet'))
    return stored<PaddingRule>('same', `as ${dialect.title} builds EfficientNets`);
  if (dialect.name !== 'transformers') return undefined;
  const source = `default of ${dialect.title}`;
  if (label === 'efficientnet') return stored<PaddingRule>('fixed', source);
  return /^mobilenet_v[12]$/.test(label) ? stored<PaddingRule>('same', source) : undefined;
}

function paddingOf(sources: Sources, label: string): Evidence<PaddingRule> {
  const { name, title } = sources.found.dialect;
  const why = 'weights made with TensorFlow have the same names and pad as “same”';
  return decide<PaddingRule>(sources, 'padding', {
    config: ['tf_padding'],
    words: { true: 'same', false: 'symmetric' },
    named: [[/^tf_/, 'same']],
    otherwise:
      libraryPadding(sources, label) ??
      (name === 'timm' ? assumed<PaddingRule>('symmetric', why) : stored<PaddingRule>('symmetric', title)),
    is: (value) => paddings.some((padding) => padding === value),
    needed: `one of ${paddings.join(', ')}`,
  });
}

/** Published networks whose batch norms torchvision sets apart: by their names and sizes. */
const torchvisionEps = /^(?:EfficientNet-B[567]|EfficientNet V2|MobileNet V3)/;

/** Epsilon of the batch norms as the library has it for a network of this title. */
function defaultEps(sources: Sources, { layout, likely }: Network, size?: PublishedSize): Evidence<number> {
  const { name, title, eps: dialectEps } = sources.found.dialect;
  const usual = stored(1e-5, 'default of PyTorch');
  if (name === 'transformers') return stored(1e-3, `default of ${title}`);
  if (name === 'mmpretrain') return stored(dialectEps, `as ${title} builds ${layout.name}`);
  if (name !== 'torchvision') return usual;
  const called = size ? `${layout.name}-${size.name}` : layout.name;
  // EfficientNet's class has PyTorch's default, which its functions for these change.
  const own = torchvisionEps.test(called) && !(likely && layout.name === 'EfficientNet V2');
  if (own) return stored(1e-3, `torchvision's of ${called}`);
  return likely ? assumed(1e-5, 'the default of PyTorch; a model may set its own') : usual;
}

function epsilonOf(sources: Sources, network: Network, size?: PublishedSize): Evidence<number> {
  return decide(sources, 'eps', {
    ...positive,
    config: ['batch_norm_eps', 'layer_norm_eps'],
    named: [[/^tf_/, 1e-3]],
    otherwise: defaultEps(sources, network, size),
  });
}

/** Evidence of what nobody can read off a network that is not published. */
const likelyValue = <T extends ConfigValue>(value: T, { layout, likely }: Network): Evidence<T> =>
  likely
    ? assumed(value, `as ${layout.name} has it, as far as this network is like it; no weight tells`)
    : stored<T>(value, `as published: ${layout.name}`);

function stridesOf(sources: Sources, network: Network): Evidence<readonly number[]> {
  const { layout, depths } = network;
  return decide(sources, 'strides', {
    otherwise: likelyValue<readonly number[]>(layout.strides.slice(0, depths.length), network),
    is: (value) =>
      [value].flat().length === depths.length && [value].flat().every((each) => each === 1 || each === 2),
    needed: `1 or 2 for each of ${depths.length} stages`,
  });
}

/** The activation inside of squeeze and excitation: transformers has one for all. */
const gateActivationOf = (
  { found }: Sources,
  activation: Evidence<string | readonly string[]>,
  published: Evidence<string>,
): Evidence<string> =>
  found.dialect.name === 'transformers' && typeof activation.value === 'string'
    ? { ...activation, value: activation.value }
    : published;

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
const isOwn = ({ name }: Layout, tensors: Tensors): boolean =>
  name === 'MobileNet V3 Large' && tensors.has('conv_head.weight') && !tensors.has('conv_head.bias');

/** Throws: the kernels of the stages are of no network whose strides are known. */
function unpublishedKernels(found: Found): never {
  const { firsts } = stagesOf(found);
  const kernels = firsts.map((path) => kernelOf(found.tensors, path));
  const [first = 'blocks.0.0'] = firsts;
  const names = ['conv_dw', 'conv_exp', 'conv'].map((part) => `${first}.${part}.weight`);
  const known = new Set(layouts.map((layout) => layout.kernels.source.replace(/[^\d,]/g, '')));
  throw new ParameterError(
    names.find((name) => found.tensors.has(name)) ?? `${first}.conv_dw.weight`,
    `kernels ${kernels.join(',')} stage by stage found, with the gates and kinds of blocks of none that is published; ${[...known].join(' or ')} needed`,
  );
}

/**
 * Stages whose first block adds no input, though its shape allows it: transformers writes the first
 * block of MobileNet V2 as a part of the stem, and those of EfficientNet's stages without.
 */
function plainFirsts({ dialect }: Found, label: string, stages: number): readonly number[] {
  if (dialect.name !== 'transformers') return [];
  if (label === 'mobilenet_v2') return [0];
  return label === 'efficientnet' ? range(stages) : [];
}

interface EfficientNetConfig {
  /** Stages whose first block is no residual, whatever its shape. */
  readonly plainFirsts: readonly number[];
  /** Stages without any. */
  readonly plainStages: readonly number[];
  /** Of stem and head, if it is not that of the last stage. */
  readonly endActivation: string | undefined;
  /** Blocks are no residuals: an activation ends each. */
  readonly chain: boolean;
  /** The last convolution stands behind the mean, where it has no norm. */
  readonly poolsFirst: boolean;
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
  const network = networkOf(found);
  if (network && isOwn(network.layout, tensors)) return undefined;
  if (!network) return unpublishedKernels(found);
  const { firsts, depths, flat, layout, likely } = network;
  const widths = firsts.map((path) => widthOf(tensors, path));
  const kernels = firsts.map((path) => kernelOf(tensors, path));
  const sources = sourcesOf(found);
  const size = layout.gated && !likely ? sizes[`${depths.join(',')} ${widths.at(-1)}`] : undefined;
  const side = size?.side ?? 224;
  const { imageSize, evidence: sized } = imageSizeOf(sources, [side, side]);
  const { name, activations, excite } = layout;
  const published = `as published: ${name}`;
  const activation = decide(sources, 'activation', {
    config: ['hidden_act', 'act_layer'],
    // One for all stages, or one each.
    is: (value) => [value].flat().every(knownActivation.is),
    needed: knownActivation.needed,
    otherwise: likelyValue<string | readonly string[]>(
      activations.length === 1 ? at(activations, 0) : activations,
      network,
    ),
  });
  const settled = {
    depth: stored(depths, 'blocks'),
    dim: stored(widths, 'blocks'),
    kernel: stored(kernels, 'first block of every stage'),
    strides: stridesOf(sources, network),
    image_size: sized,
    classes: classesOf(tensors, 'classifier'),
    activation,
    gate_activation: gateActivationOf(sources, activation, stored(excite[0], published)),
    gate: stored(excite[1], published),
    eps: epsilonOf(sources, network, size),
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
    config: {
      ...configOf(settled),
      flat,
      chain: layout.chain ?? false,
      poolsFirst: layout.label === 'mobilenet_v3',
      plainFirsts: layout.plainFirsts ?? plainFirsts(found, layout.label, depths.length),
      plainStages: layout.plainStages ?? [],
      endActivation: layout.endActivation,
    },
  });
}

/** What the blocks of one stage have in common. */
interface Unit {
  readonly chain: boolean;
  /** Adds its input if shapes allow. */
  readonly skips: boolean;
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

/** How far apart the places lie that a block's own kernel reads and writes. */
interface Spread {
  readonly stride: number;
  readonly dilation: number;
}

const standing: Spread = { stride: 1, dilation: 1 };

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
  blockKinds.find(({ has }) =>
    has.every((name) => weightsOf((each) => b.has(each), `${start}${name}`).length > 0),
  ) ?? plain;

/**
 * A convolution, or several side by side, each with a kernel of its own over its share of the
 * channels (Tan & Le 2019, MixConv §3).
 */
function mixed(b: GraphBuilder, x: ValueInfo, name: string, spread: Spread, unit: Unit): ValueInfo {
  const { stride, dilation } = spread;
  const paths = weightsOf((each) => b.has(each), name).map((weight) => weight.slice(0, -'.weight'.length));
  const convolved = (map: ValueInfo, path: string): ValueInfo => {
    if (dilation > 1) return convolution(b, map, path, spread);
    const padding = unit.padding(at(b.shapeOf(`${path}.weight`), 2), stride);
    return convolution(b, map, path, { stride, padding });
  };
  if (paths.length < 2) return convolved(x, name);
  const shapes = paths.map((path) => b.shapeOf(`${path}.weight`));
  const axis = shapes.every((shape) => shape[1] === 1) ? 0 : 1;
  const inputs = b.split(
    x,
    shapes.map((shape) => at(shape, axis)),
    1,
  );
  return b.concat(
    paths.map((path, index) => convolved(at(inputs, index), path)),
    1,
  );
}

/**
 * Expansion, depthwise convolution, squeeze and excitation, projection (Sandler et al. 2018; Howard
 * et al. 2019), and the input if shapes allow.
 */
function block(b: GraphBuilder, x: ValueInfo, spread: Spread, unit: Unit): ValueInfo {
  const kind = kindAt(b, '');
  const branch = kind.units.reduce((map, [conv, norm, strided, acts], index) => {
    const wide = mixed(b, map, conv, strided ? spread : standing, unit);
    const normed = b.has(`${norm}.running_mean`) ? batchNorm(b, wide, norm, unit.eps) : wide;
    const out = acts || unit.chain ? activate(b, normed, unit.activation) : normed;
    return index === kind.gated ? excite(b, out, unit) : out;
  }, x);
  // The last stage of MobileNet V3 is a layer for each position, not a residual block.
  const isLayer = kind === plain && b.shapeOf('conv.weight')[2] === 1;
  const skips = unit.skips && spread.stride === 1 && branch.shape[1] === x.shape[1] && !isLayer;
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

/** Settings by stage, number of the block among all, and its index in the stage. */
function unitsOf(config: EfficientNetConfig): (stage: number, block: number, index?: number) => Unit {
  const activations = [config.activation].flat();
  return (stage, number, index) => ({
    chain: config.chain,
    skips:
      !config.chain &&
      !config.plainStages.includes(stage) &&
      !(index === 0 && config.plainFirsts.includes(stage)),
    eps: config.eps,
    activation: activations[stage] ?? last(activations),
    gate: config.gate,
    gateActivation: config.gate_activation,
    padding: paddingRule(config.padding, config.depthwise_padding.includes(number)),
  });
}

/** Settings of stem and head, which are no blocks. */
function endUnit(config: EfficientNetConfig): Unit {
  const unit = unitsOf(config)(config.strides.length - 1, -1);
  return { ...unit, activation: config.endActivation ?? unit.activation };
}

/**
 * Strides of blocks by stage; the last strided stages dilate in their place, as segmenters have it
 * (Howard et al. 2019, §6.4).
 */
function spreadsOf({ strides }: EfficientNetConfig, dilated: number): (place: Place) => Spread {
  const strided = strides.flatMap((stride, stage) => (stride > 1 ? [stage] : []));
  const wide = dilated > 0 ? strided.slice(-dilated) : [];
  return ({ stage, index }) => {
    const passed = wide.filter((first) => first <= stage).length;
    const stride = index === 0 && !wide.includes(stage) ? at(strides, stage) : 1;
    return { stride, dilation: 2 ** passed };
  };
}

function build(
  b: GraphBuilder,
  config: EfficientNetConfig,
  { imageSize, batch, dilatedStages = 0 }: BuildOptions,
): ImageMaps {
  const { depth, flat } = config;
  const spreadOf = spreadsOf(config, dilatedStages);
  const unitOf = unitsOf(config);
  const end = endUnit(config);
  const numberOf = ({ stage, index }: Place): number => sum(depth.slice(0, stage)) + index;
  const pathOf = (place: Place): string =>
    flat ? `blocks.0.${numberOf(place)}` : `blocks.${place.stage}.${place.index}`;
  const pixels = images(b, [batch, ...imageSize], 'conv_stem');
  const side = at(b.shapeOf('conv_stem.weight'), 2);
  const stem = convNorm(b, pixels, 'conv_stem', 'bn1', { ...end, stride: 2, padding: end.padding(side, 2) });
  const ends: Stage[] = [];
  const maps = stages(b, stem, {
    depths: depth,
    path: pathOf,
    note: (place) => ({ title: kindAt(b, `${pathOf(place)}.`).title }),
    block: (x, place) => block(b, x, spreadOf(place), unitOf(place.stage, numberOf(place), place.index)),
    behind: (x) => {
      ends.push(mapStage(x, imageSize));
      return x;
    },
  });
  return { stages: maps.map((map) => mapStage(map, imageSize)), blocks: ends, map: last(maps) };
}

/**
 * The map before pooling, and the vector `[batch, channels]`: MobileNet V3 pools before its last
 * convolution, the others after it.
 */
function pooled(
  b: GraphBuilder,
  map: ValueInfo,
  { eps, activation }: Unit,
  poolsFirst: boolean,
): readonly [map: ValueInfo, features: ValueInfo] {
  if (!b.has('conv_head.weight')) return [map, meanOfMap(b, map)];
  if (!poolsFirst || b.has('bn2.running_mean')) {
    const wide = convNorm(b, map, 'conv_head', 'bn2', { eps, activation });
    return [wide, meanOfMap(b, wide)];
  }
  // torchvision has a linear layer in the place of timm's convolution.
  if (b.shapeOf('conv_head.weight').length === 2)
    return [map, activate(b, b.linear(meanOfMap(b, map), 'conv_head'), activation)];
  const wide = activate(b, convolution(b, globalMean(b, map), 'conv_head'), activation);
  return [map, b.reshape(wide, wide.shape.slice(0, 2))];
}

function head(b: GraphBuilder, { map }: ImageMaps, config: EfficientNetConfig): void {
  const [tokens, features] = pooled(b, map, endUnit(config), config.poolsFirst);
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
  assumable: ['strides', 'activation', 'eps', 'padding'],
  recognise,
  build,
  head,
};
