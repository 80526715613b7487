import { answer } from '../heads/classifier';
import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { convNorm, convolution, globalMean, squeezeExcite, type Padding } from '../blocks/convolution';
import { activate, residual } from '../blocks/layers';
import { meanOfMap } from '../blocks/maps';
import { configured } from '../config';
import type { BuildOptions, Evidence, EvidenceRecord, Family, Found, Recognised } from '../family';
import { assumed, numberOf, numbersOf, stored, wordOf } from '../figures';
import { type Layout, layouts } from './layouts';
import { sizeTitle } from '../sizes';
import { classesOf, countOf, decide, imageSizeOf, recognisedFrom, sourcesOf, type Sources } from '../sources';
import { efficientnetNames } from './names';

type Tensors = Found['tensors'];

/** EfficientNets by the blocks of their stages and the last width (Tan & Le 2019): side of their pictures, blocks whose map is odd there. */
const sizes: readonly (readonly [blocks: string, name: string, side: number, odd: readonly number[]])[] = [
  ['1,2,2,3,3,4,1 320', 'B0', 224, []],
  ['2,3,3,4,4,5,2 320', 'B1', 240, [16]],
  ['2,3,3,4,4,5,2 352', 'B2', 260, [5, 8, 16]],
  ['2,3,3,5,5,6,2 384', 'B3', 300, [5, 18]],
  ['2,4,4,6,6,8,2 448', 'B4', 380, [6]],
  ['3,5,5,7,7,9,3 512', 'B5', 456, [13, 27]],
  ['3,6,6,8,8,11,3 576', 'B6', 528, [31]],
  ['4,7,7,10,10,13,4 640', 'B7', 600, [18]],
];

const range = (count: number): readonly number[] => Array.from({ length: count }, (_, index) => index);

/** Channels that a block gives. */
function widthOf(tensors: Tensors, path: string): number {
  const last = ['conv_pwl', 'conv_pw', 'conv'].find((name) => tensors.has(`${path}.${name}.weight`));
  return last === undefined ? 0 : tensors.get(`${path}.${last}.weight`)!.shape[0]!;
}

/** Paths of the blocks, stage by stage; where the file has one list of all blocks, a stage ends where the width changes. */
function stagesOf(tensors: Tensors): readonly (readonly string[])[] {
  const lists = range(countOf(tensors, 'blocks')).map((stage) =>
    range(countOf(tensors, `blocks.${stage}`)).map((index) => `blocks.${stage}.${index}`),
  );
  if (lists.length > 1) return lists;
  const stages: string[][] = [];
  for (const path of lists[0] ?? [])
    if (stages.length > 0 && widthOf(tensors, stages.at(-1)![0]!) === widthOf(tensors, path))
      stages.at(-1)!.push(path);
    else stages.push([path]);
  return stages;
}

/** Side of the kernel that looks around, in the first block of a stage. */
function kernelOf(tensors: Tensors, [first]: readonly string[]): number {
  const name = ['conv_dw', 'conv_exp', 'conv'].find((each) => tensors.has(`${first}.${each}.weight`));
  return name === undefined ? 0 : tensors.get(`${first}.${name}.weight`)!.shape[2]!;
}

/**
 * The layout that the kernels allow. Two pairs share them: of one, one begins with convolutions that are not depthwise; of the other, one weighs
 * no channels.
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
  const multiplier =
    unit?.[0] === depths.join(',') ? Number((widths.at(-1)! / unit[1]).toFixed(2)) : undefined;
  if (multiplier === undefined) return sizeTitle(name, others, depths, widths);
  return multiplier === 1 ? name : `${name} ${multiplier}`;
}

/** Half of the kernel on both sides; TensorFlow's rule; or what Keras' port to transformers fixed of it for one size. */
const paddings = ['symmetric', 'same', 'fixed'] as const;

function paddingOf(sources: Sources, label: string): Evidence {
  const { checkpoint, dialect } = sources.found;
  const ported = dialect.name === 'transformers';
  const tensorflow = configured(checkpoint, ['tf_padding']);
  const usual = {
    efficientnet: ported ? stored('fixed', `default of ${dialect.title}`) : undefined,
    mobilenet_v2:
      ported && tensorflow?.value !== false
        ? stored('same', tensorflow?.source ?? `default of ${dialect.title}`)
        : undefined,
  }[label];
  const why = 'weights made with TensorFlow have the same names and pad as “same”';
  return decide(sources, 'padding', {
    named: [[/^tf_/, 'same']],
    otherwise:
      usual ?? (dialect.name === 'timm' ? assumed('symmetric', why) : stored('symmetric', dialect.title)),
    is: (value) => paddings.some((padding) => padding === value),
    needed: `one of ${paddings.join(', ')}`,
  });
}

function epsilonOf(sources: Sources): Evidence {
  const { name, title } = sources.found.dialect;
  return decide(sources, 'eps', {
    config: ['batch_norm_eps', 'layer_norm_eps'],
    named: [[/^tf_/, 1e-3]],
    otherwise:
      name === 'transformers' ? stored(1e-3, `default of ${title}`) : stored(1e-5, 'default of PyTorch'),
  });
}

/** Whether it is timm's own MobileNet V3 (`mobilenetv3_rw`), which computes otherwise: the only one whose last convolution has no bias. */
const isOwn = ({ label }: Layout, tensors: Tensors): boolean =>
  label === 'mobilenet_v3' && tensors.has('conv_head.weight') && !tensors.has('conv_head.bias');

function recognise(evidences: Found): Recognised | undefined {
  const { tensors } = evidences;
  const sources = sourcesOf(evidences);
  const stages = stagesOf(tensors);
  const widths = stages.map(([first]) => widthOf(tensors, first!));
  const kernels = stages.map((stage) => kernelOf(tensors, stage));
  const layout = layoutOf(tensors, kernels);
  if (!layout || isOwn(layout, tensors)) return undefined;
  const depths = stages.map((stage) => stage.length);
  const size = layout.gated
    ? sizes.find(([blocks]) => blocks === `${depths.join(',')} ${widths.at(-1)}`)
    : undefined;
  const side = size?.[2] ?? 224;
  const { imageSize, figure } = imageSizeOf(sources, [side, side]);
  const { activations } = layout;
  return recognisedFrom(sources, {
    label: layout.label,
    title: size ? `${layout.name}-${size[1]}` : titleOf(layout, depths, widths),
    imageSize,
    sizeStep: [32, 32],
    pixels: 'imagenet',
    evidence: {
      depth: stored(depths, 'blocks'),
      dim: stored(widths, 'blocks'),
      kernel: stored(kernels, 'first block of every stage'),
      strides: stored(layout.strides.slice(0, stages.length), `as published: ${layout.name}`),
      image_size: figure,
      classes: classesOf(tensors, 'classifier'),
      activation: decide(sources, 'activation', {
        config: ['hidden_act', 'act_layer'],
        otherwise: stored(
          activations.length === 1 ? activations[0]! : activations,
          `as published: ${layout.name}`,
        ),
      }),
      gate_activation: stored(layout.excite[0], `as published: ${layout.name}`),
      gate: stored(layout.excite[1], `as published: ${layout.name}`),
      eps: epsilonOf(sources),
      padding: paddingOf(sources, layout.label),
      depthwise_padding: decide(sources, 'depthwise_padding', {
        config: ['depthwise_padding'],
        otherwise: stored(evidences.checkpoint.sidecars.config ? [] : (size?.[3] ?? []), 'as published'),
      }),
    },
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

/** A block's units in order: name and norm of each convolution, whether it strides, whether an activation follows, whether it is gated then. */
interface BlockKind {
  readonly has: readonly string[];
  readonly title: string;
  readonly units: readonly (readonly [conv: string, norm: string, strided: boolean, acts: boolean])[];
  /** Index of the unit that squeeze and excitation follows. */
  readonly gated?: number;
}

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
  { has: ['conv'], title: 'Convolution', units: [['conv', 'bn1', true, true]] },
];

/** Expansion, depthwise convolution, squeeze and excitation, projection (Sandler et al. 2018; Howard et al. 2019), and the input where shapes allow. */
function block(b: GraphBuilder, path: string, x: ValueInfo, stride: number, unit: Unit): ValueInfo {
  const kind =
    blockKinds.find(({ has }) => has.every((name) => b.has(`${path}.${name}.weight`))) ?? blockKinds.at(-1)!;
  return b.scope(
    path,
    () => {
      const branch = kind.units.reduce((map, [conv, norm, strided, acts], index) => {
        const step = strided ? stride : 1;
        const out = convNorm(b, map, conv, norm, {
          eps: unit.eps,
          activation: acts ? unit.activation : undefined,
          stride: step,
          padding: unit.padding(b.shapeOf(`${conv}.weight`)[2]!, step),
        });
        return index === kind.gated ? excite(b, out, unit) : out;
      }, x);
      // The last stage of MobileNet V3 is a layer for each position, not a residual block.
      const isLayer = kind.units.length === 1 && b.shapeOf('conv.weight')[2] === 1;
      const skips = stride === 1 && branch.shape[1] === x.shape[1] && !isLayer;
      return skips ? residual(b, x, branch) : branch;
    },
    { title: kind.title },
  );
}

/** Zeros before and behind: those of TensorFlow's rule for an even map where it is fixed. */
function paddingRule(word: string, odd: boolean): Unit['padding'] {
  return (side, stride) => {
    const half = side >> 1;
    if (word === 'same') return 'same';
    const uneven = word === 'fixed' && stride === 2 && !odd;
    return uneven ? [half - 1, half - 1, half, half] : [half, half, half, half];
  };
}

/** The map before pooling, and the vector `[batch, channels]`: MobileNet V3 pools before its last convolution, the others after it. */
function head(
  b: GraphBuilder,
  map: ValueInfo,
  { eps, activation }: Unit,
): [map: ValueInfo, features: ValueInfo] {
  if (!b.has('conv_head.weight')) return [map, meanOfMap(b, map)];
  if (b.has('bn2.running_mean')) {
    const last = convNorm(b, map, 'conv_head', 'bn2', { eps, activation });
    return [last, meanOfMap(b, last)];
  }
  const wide = activate(b, convolution(b, globalMean(b, map), 'conv_head'), activation);
  return [map, b.reshape(wide, [wide.shape[0]!, wide.shape[1]!])];
}

function build(b: GraphBuilder, { evidence: figures }: Recognised, { imageSize, batch }: BuildOptions): void {
  const strides = numbersOf(figures, 'strides');
  const flat = !b.has('blocks.1.0.bn1.weight');
  const unitOf = unitsOf(figures);
  const last = unitOf(strides.length - 1, -1);
  const pixels = b.input('pixel_values', [batch, 3, ...imageSize]);
  let map = convNorm(b, pixels, 'conv_stem', 'bn1', { ...last, stride: 2, padding: last.padding(3, 2) });
  let count = 0;
  for (const [stage, depth] of numbersOf(figures, 'depth').entries())
    for (const index of range(depth)) {
      const path = flat ? `blocks.0.${count}` : `blocks.${stage}.${index}`;
      map = block(b, path, map, index === 0 ? strides[stage]! : 1, unitOf(stage, count++));
    }
  const [tokens, features] = head(b, map, last);
  answer(b, features, tokens, 'classifier');
}

/** Settings by stage and number of the block. */
function unitsOf(figures: EvidenceRecord): (stage: number, block: number) => Unit {
  const activations = [figures['activation']!.value].flat().map(String);
  const odd = [figures['depthwise_padding']!.value].flat();
  return (stage, number) => ({
    eps: numberOf(figures, 'eps'),
    activation: activations[Math.min(stage, activations.length - 1)]!,
    gate: wordOf(figures, 'gate'),
    gateActivation: wordOf(figures, 'gate_activation'),
    padding: paddingRule(
      wordOf(figures, 'padding'),
      odd.some((each) => each === number),
    ),
  });
}

/** Networks of inverted residuals: EfficientNet (Tan & Le 2019; V2: 2021), MobileNet V2 (Sandler et al. 2018) and V3 (Howard et al. 2019). */
export const efficientnet: Family<Recognised, void> = {
  name: 'efficientnet',
  row: 'cnn',
  title: 'Inverted residual network',
  names: efficientnetNames,
  assumable: ['activation', 'eps', 'padding'],
  recognise,
  build,
};
