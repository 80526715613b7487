import { answer } from '../heads/classifier';
import type { GraphBuilder } from '../../graph/builder';
import { channelAttentions, type ChannelAttention } from '../blocks/channelAttention';
import { meanOfMap } from '../blocks/maps';
import { configuredArchitecture } from '../config';
import type { BuildOptions, EvidenceRecord, Family, Found, Recognised } from '../family';
import { assumed, stored } from '../figures';
import { encodeResnet } from '../groups/residualNetwork';
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
import { resnetNames } from './names';

type Tensors = Found['tensors'];

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
    /** Channels behind the first of three convolutions in the stem; undefined where it has one. */
    stem: tensors.get('conv1.0.weight')?.shape[0],
    averageDown: tensors.has('layer2.0.downsample.2.weight'),
  };
}

type Measures = ReturnType<typeof measureStages>;

/** Letters of stems of three convolutions by the width of the first, and where maps are averaged before a shortcut (He et al. 2019; T is timm's). */
const stems: Readonly<Record<string, string>> = {
  '32': '-C',
  '64': '-S',
  '32 averaged': '-D',
  '24 averaged': '-T',
};

/** `SE-ResNeXt-50 32×4d`, `Wide ResNet-50-2`, `ResNet-50-D`: names by what differs from He et al. 2016. */
function titleOf(measures: Measures): string {
  const { depths, convolutions, inner, perGroup, attention, stem, averageDown, dims } = measures;
  const layers = 2 + convolutions * depths.reduce((sum, depth) => sum + depth, 0);
  const groups = inner / perGroup;
  const wide = convolutions === 3 && groups === 1 ? (4 * inner) / dims[0]! : 1;
  const words = [
    wide > 1 ? 'Wide ' : '',
    attention ? `${attention.name}-` : '',
    groups > 1 ? 'ResNeXt' : 'ResNet',
    `-${layers}`,
    wide > 1 ? `-${wide}` : '',
    stems[`${stem}${averageDown ? ' averaged' : ''}`] ?? '',
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
function strideFigures(sources: Sources): EvidenceRecord {
  const usual = stored(false, 'as published after 2016: in the 3 × 3 convolution, from the second stage on');
  const isFlag = (value: unknown): boolean => typeof value === 'boolean';
  const flag = (key: string) =>
    decide(sources, key, { config: [key], otherwise: usual, is: isFlag, needed: 'true or false' });
  return {
    downsample_in_bottleneck: flag('downsample_in_bottleneck'),
    downsample_in_first_stage: flag('downsample_in_first_stage'),
  };
}

/** timm alone has variants that blur: without a name nothing tells them apart. */
function blurFigure({ dialect, checkpoint }: Found): EvidenceRecord {
  if (dialect.name !== 'timm') return {};
  const named = configuredArchitecture(checkpoint) !== undefined;
  return {
    anti_aliasing: named
      ? stored('none', 'config.json: architecture')
      : assumed('none', 'variants that blur where they stride have the same names and shapes'),
  };
}

function recognise(evidences: Found): Recognised | undefined {
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
    evidence: {
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
      ...blurFigure(evidences),
    },
  });
}

function build(b: GraphBuilder, recognised: Recognised, { imageSize, batch }: BuildOptions): void {
  const pixels = b.input('pixel_values', [batch, 3, ...imageSize]);
  const map = encodeResnet(b, recognised.evidence, pixels);
  answer(b, meanOfMap(b, map), map, 'fc');
}

/** ResNets (He et al. 2016) with everything that timm's resnet.py tells by names and shapes: ResNeXt, wide, deep stems, attention modules. */
export const resnet: Family<Recognised, void> = {
  name: 'resnet',
  row: 'cnn',
  title: 'Residual network',
  names: resnetNames,
  assumable: ['activation', 'downsample_in_bottleneck', 'downsample_in_first_stage'],
  recognise,
  build,
};
