import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { channelAttention, channelAttentions, type ChannelAttention } from '../blocks/channelAttention';
import { averagePool, convNorm, maxPool } from '../blocks/convolution';
import { answer, meanOfMap } from '../blocks/maps';
import { activate, residual } from '../blocks/transformer';
import type { BuildOptions, Evidences, Family, Figures, Recognised } from '../family';
import { numberOf, numbersOf, stored, wordOf } from '../figures';
import {
  classesOf,
  countOf,
  decide,
  imageSizeOf,
  namesOf,
  recognisedFrom,
  sourcesOf,
  type Sources,
} from '../sources';

type Tensors = Evidences['tensors'];

/** Variants that blur where they stride, with the names and shapes of those that do not: the weights alone never tell. */
const antialiased = /^(?:se|eca)?resne[xt]t?(?:aa|blur)/;

/** Blocks by the number of their convolutions. */
const blockWords: Readonly<Record<number, string>> = { 2: 'basic', 3: 'bottleneck' };

/** `layer1`, `layer2` …: three for pictures of 32 × 32 and where a backbone is cut, else four. */
function stagesOf(tensors: Tensors): readonly string[] {
  const stages: string[] = [];
  while (countOf(tensors, `layer${stages.length + 1}`) > 0) stages.push(`layer${stages.length + 1}`);
  return stages;
}

/** What the first block of every stage stores. */
function measureStages(tensors: Tensors) {
  const width = (name: string, axis: number): number => tensors.get(`${name}.weight`)?.shape[axis] ?? 0;
  const convolutions = tensors.has('layer1.0.conv3.weight') ? 3 : 2;
  const stages = stagesOf(tensors);
  return {
    convolutions,
    depths: stages.map((stage) => countOf(tensors, stage)),
    dims: stages.map((stage) => width(`${stage}.0.conv${convolutions}`, 0)),
    /** Channels of the 3 × 3 convolution, and of one of its groups. */
    inner: width('layer1.0.conv2', 0),
    perGroup: width('layer1.0.conv2', 1),
    attention: channelAttentions.find(({ has }) => tensors.has(`layer1.0.se.${has}`)),
    deepStem: tensors.has('conv1.0.weight'),
    averageDown: tensors.has('layer2.0.downsample.2.weight'),
  };
}

type Measures = ReturnType<typeof measureStages>;

/** `SE-ResNeXt-50 32×4d`, `Wide ResNet-50-2`, `ResNet-50-D`: names by what differs from He et al. 2016. */
function titleOf(measures: Measures): string {
  const { depths, convolutions, inner, perGroup, attention, deepStem, averageDown, dims } = measures;
  const layers = 2 + convolutions * depths.reduce((sum, depth) => sum + depth, 0);
  const groups = inner / perGroup;
  const wide = convolutions === 3 && groups === 1 ? (4 * inner) / dims[0]! : 1;
  const words = [
    wide > 1 ? 'Wide ' : '',
    attention ? `${attention.name}-` : '',
    groups > 1 ? 'ResNeXt' : 'ResNet',
    `-${layers}`,
    wide > 1 ? `-${wide}` : '',
    deepStem && averageDown ? '-D' : '',
    groups > 1 ? ` ${groups}×${perGroup}d` : '',
  ];
  return words.join('');
}

/** Names of the models with an attention module, as they are published. */
const labels: Readonly<Record<ChannelAttention['name'], string>> = {
  SE: 'seresnet',
  CBAM: 'cbam-resnet',
  ECA: 'eca-resnet',
  GC: 'gc-resnet',
  NL: 'nonlocal-resnet',
};

/** Where the map is halved: not stored, but every library has the same defaults. */
function strideFigures(sources: Sources): Figures {
  const usual = stored(false, 'as published after 2016: in the 3 × 3 convolution, from the second stage on');
  const isFlag = (value: unknown): boolean => typeof value === 'boolean';
  const flag = (key: string) =>
    decide(sources, key, { config: [key], otherwise: usual, is: isFlag, needed: 'true or false' });
  return {
    downsample_in_bottleneck: flag('downsample_in_bottleneck'),
    downsample_in_first_stage: flag('downsample_in_first_stage'),
  };
}

function recognise(evidences: Evidences): Recognised | undefined {
  const { tensors } = evidences;
  const sources = sourcesOf(evidences);
  const measures = measureStages(tensors);
  const { depths, dims, inner, perGroup, convolutions, attention } = measures;
  if (depths.length === 0 || dims.includes(0) || perGroup === 0) return undefined;
  if (namesOf(sources).some((name) => antialiased.test(name))) return undefined;
  const { imageSize, figure } = imageSizeOf(sources);
  return recognisedFrom(sources, {
    label: attention ? labels[attention.name]! : inner > perGroup ? 'resnext' : 'resnet',
    title: titleOf(measures),
    imageSize,
    sizeStep: [2 ** (depths.length + 1), 2 ** (depths.length + 1)],
    pixels: 'imagenet',
    figures: {
      depth: stored(depths, `layer1.* … layer${depths.length}.*`),
      dim: stored(
        dims,
        `layer1.0.conv${convolutions}.weight … layer${dims.length}.0.conv${convolutions}.weight`,
      ),
      block: stored(blockWords[convolutions]!, `layer1.0.conv${convolutions}.weight`),
      groups: stored(inner / perGroup, 'layer1.0.conv2.weight'),
      image_size: figure,
      classes: classesOf(tensors, 'fc'),
      activation: decide(sources, 'activation', {
        config: ['hidden_act', 'act_layer'],
        otherwise: stored('relu', 'as published'),
      }),
      eps: stored(1e-5, 'default of PyTorch’s batch norms'),
      ...strideFigures(sources),
    },
  });
}

interface Unit {
  readonly eps: number;
  readonly activation: string;
}

/** One 7 × 7 convolution, or three of 3 × 3 (He et al. 2019, ResNet-C), then a maximum or a convolution (ResNet-RS): a quarter of the size. */
function stem(b: GraphBuilder, pixels: ValueInfo, unit: Unit): ValueInfo {
  const deep = [
    ['conv1.0', 'conv1.1', 2],
    ['conv1.3', 'conv1.4', 1],
    ['conv1.6', 'bn1', 1],
  ] as const;
  const rows = b.has('conv1.0.weight') ? deep : ([['conv1', 'bn1', 2]] as const);
  const map = rows.reduce(
    (x, [conv, norm, stride]) => convNorm(b, x, conv, norm, { ...unit, stride }),
    pixels,
  );
  return b.has('maxpool.0.weight')
    ? convNorm(b, map, 'maxpool.0', 'maxpool.1', { ...unit, stride: 2 })
    : maxPool(b, map, { kernel: 3, stride: 2, padding: 1 });
}

/** The input in the shape of the block's output: itself, or projected; ResNet-D takes means before a projection without stride. */
function shortcut(b: GraphBuilder, x: ValueInfo, stride: number, eps: number): ValueInfo {
  if (b.has('downsample.0.weight')) return convNorm(b, x, 'downsample.0', 'downsample.1', { eps, stride });
  if (!b.has('downsample.1.weight')) return x;
  const mean = stride === 1 ? x : averagePool(b, x, { kernel: 2, stride, ceil: true, countPadding: false });
  return convNorm(b, mean, 'downsample.1', 'downsample.2', { eps });
}

/** Residual block (He et al. 2016): two 3 × 3 convolutions, or 1 × 1, 3 × 3, 1 × 1 with the stride at index `strided`. */
function block(b: GraphBuilder, x: ValueInfo, unit: Unit, strides: readonly number[]): ValueInfo {
  const branch = strides.reduce((map, stride, index) => {
    const activation = index < strides.length - 1 ? unit.activation : undefined;
    const names = [`conv${index + 1}`, `bn${index + 1}`] as const;
    return convNorm(b, map, ...names, { eps: unit.eps, activation, stride });
  }, x);
  const stride = Math.max(...strides);
  const attended = channelAttention(b, branch, 'se');
  return activate(b, residual(b, attended, shortcut(b, x, stride, unit.eps)), unit.activation);
}

/** Strides of a block's convolutions: `stride` in the first of a basic block, in the 3 × 3 one of a bottleneck (or in the one before). */
function stridesOf({ block: kind, downsample_in_bottleneck: early }: Figures, stride: number): number[] {
  if (kind!.value === 'basic') return [stride, 1];
  return early!.value === true ? [stride, 1, 1] : [1, stride, 1];
}

/** The last map: 1/32 of the picture's size after four stages. */
export function encodeResnet(b: GraphBuilder, figures: Figures, pixels: ValueInfo): ValueInfo {
  const unit = { eps: numberOf(figures, 'eps'), activation: wordOf(figures, 'activation') };
  const early = figures['downsample_in_first_stage']!.value === true;
  const note = {
    title: `Residual block, ${wordOf(figures, 'block')}`,
    formula: `${unit.activation}(x + convolutions(x))`,
  };
  return numbersOf(figures, 'depth').reduce(
    (map, depth, stage) =>
      b.scope(`layer${stage + 1}`, () => {
        const first = stage > 0 || early ? 2 : 1;
        return Array.from({ length: depth }, (_, index) => index).reduce((x, index) => {
          const strides = stridesOf(figures, index === 0 ? first : 1);
          return b.scope(`${index}`, () => block(b, x, unit, strides), note);
        }, map);
      }),
    stem(b, pixels, unit),
  );
}

function build(b: GraphBuilder, recognised: Recognised, { imageSize, batch }: BuildOptions): void {
  const pixels = b.input('pixel_values', [batch, 3, ...imageSize]);
  const map = encodeResnet(b, recognised.figures, pixels);
  answer(b, meanOfMap(b, map), map, 'fc');
}

/** ResNets (He et al. 2016) with everything that timm's resnet.py tells by names and shapes: ResNeXt, wide, deep stems, attention modules. */
export const resnet: Family = {
  name: 'resnet',
  row: 'cnn',
  title: 'Residual network',
  assumable: ['activation', 'downsample_in_bottleneck', 'downsample_in_first_stage'],
  recognise,
  build,
};
