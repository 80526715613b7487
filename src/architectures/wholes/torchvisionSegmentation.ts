import { at, last, sum } from '../../domain/lists';
import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { batchNorm, convolution, globalMean } from '../blocks/convolution';
import { activate } from '../blocks/layers';
import { gridOf, repeatedMap, resizedMap } from '../blocks/maps';
import { countOf } from '../decide';
import { numbersIn, stored } from '../evidence';
import { settle, type FoundWhole, type PartContext, type Whole } from '../whole';
import { mapOf, seenAs, sideOf, titleAround } from './detectors';

/** Epsilon of PyTorch's batch norms. */
const eps = 1e-5;

/** Last stages of torchvision's residual networks that keep an eighth of the image. */
const dilated = 2;

/** What torchvision takes its segmenters' images through, by the name of its preset. */
const preset = 'torchvision-segmentation';

/** A convolution, its batch norm and ReLU in a list, the convolution at `name.index`. */
function unit(b: GraphBuilder, map: ValueInfo, name: string, index = 0, dilation = 1): ValueInfo {
  const mixed = convolution(b, map, `${name}.${index}`, { dilation });
  return activate(b, batchNorm(b, mixed, `${name}.${index + 1}`, eps), 'relu');
}

/** Scores of the training head, which torchvision computes in every pass if it is there. */
function auxiliary(b: GraphBuilder, map: ValueInfo, { imageSize }: PartContext): void {
  if (!b.has('aux_classifier.4.weight')) return;
  const scores = b.scope('aux_classifier', () => fcnHead(b, map), { title: 'Auxiliary head' });
  b.output('auxiliary_logits', resizedMap(b, scores, imageSize), 'state');
}

/** A convolution of 3 × 3 and one of 1 × 1 to scores (Long et al. 2015), inside its module. */
const fcnHead = (b: GraphBuilder, map: ValueInfo): ValueInfo => {
  const mixed = activate(b, batchNorm(b, convolution(b, map, '0'), '1', eps), 'relu');
  return convolution(b, mixed, '4');
};

/** The maps of the backbone, the last two of a residual network an eighth of the image. */
const mapsOf = (b: GraphBuilder, { backbone }: PartContext): readonly ValueInfo[] =>
  backbone({ dilatedStages: dilated }).stages.map((stage) => mapOf(b, stage));

/** What all models are recognised by: the network that they stand over; sizes are alike. */
function recogniseAround(
  found: FoundWhole,
  label: string,
  title: string,
  { classes, over = 'resnet' }: { readonly classes: string; readonly over?: string },
) {
  if (found.backbone.architecture !== over) return undefined;
  const { evidence, ...seen } = seenAs(found, preset);
  return {
    label,
    title: titleAround(title, found),
    evidence: { ...evidence, classes: sideOf(found, classes, 0) },
    config: {},
    reading: { task: 'segment', rule: 'semantic' } as const,
    sizeStep: [1, 1] as const,
    ...seen,
  };
}

/** FCN over a dilated residual network, as torchvision publishes it (Long et al. 2015). */
export const fcn: Whole<object> = {
  name: 'fcn',
  row: 'segmentation',
  title: 'FCN',
  task: 'segment',
  signature: [
    'backbone.conv1.weight',
    'classifier.0.weight',
    'classifier.1.running_mean',
    'classifier.4.weight',
  ],
  absent: ['classifier.0.project.0.weight'],
  hasNoBias: (path) => /^(?:aux_)?classifier\.0$/.test(path),
  isTower: true,
  assumable: [],
  recognise: (found) => recogniseAround(found, 'fcn', 'FCN', { classes: 'classifier.4.weight' }),
  parts: [
    {
      name: 'whole',
      build(b, _, context) {
        const maps = mapsOf(b, context);
        const scores = b.scope('classifier', () => fcnHead(b, at(maps, 3)), { title: 'FCN head' });
        b.output('logits', resizedMap(b, scores, context.imageSize), 'masks');
        auxiliary(b, at(maps, 2), context);
      },
    },
  ],
};

/** Rates of the dilated convolutions; 12, 24 and 36 at an eighth of the image in every library. */
function ratesOf(found: FoundWhole) {
  // One of 1 × 1 in front, and the pooled one last.
  const count = countOf(found.tensors, 'classifier.0.convs') - 2;
  return settle<readonly number[]>(found, 'atrous_rates', {
    config: ['atrous_rates'],
    otherwise: stored<readonly number[]>(
      [12, 24, 36].slice(0, count),
      'as published at an eighth of the image (Chen et al. 2017, §3.3)',
    ),
    is: (value) => Array.isArray(value) && value.length === count && value.every(Number.isInteger),
    needed: `${count} whole numbers`,
  });
}

/** Convolutions of several rates side by side, and the mean of the image (ibid., §3.3, ASPP). */
function pyramid(b: GraphBuilder, map: ValueInfo, rates: readonly number[]): ValueInfo {
  const spread = rates.map((rate, index) => unit(b, map, `convs.${index + 1}`, 0, rate));
  const mean = unit(b, globalMean(b, map), `convs.${rates.length + 1}`, 1);
  const branches = [unit(b, map, 'convs.0'), ...spread, repeatedMap(b, mean, gridOf(map))];
  return unit(b, b.concat(branches, 1), 'project');
}

/** Scores of the pyramid's map, mixed once more. */
const deepLabHead = (b: GraphBuilder, map: ValueInfo, rates: readonly number[]): ValueInfo =>
  b.scope(
    'classifier',
    () => {
      const pooled = b.scope('0', () => pyramid(b, map, rates), {
        title: 'Atrous spatial pyramid pooling',
      });
      const mixed = activate(b, batchNorm(b, convolution(b, pooled, '1'), '2', eps), 'relu');
      return convolution(b, mixed, '4');
    },
    { title: 'DeepLab head' },
  );

/** DeepLabV3 over a dilated residual network, as torchvision publishes it (Chen et al. 2017). */
export const deepLab: Whole<{ readonly rates: readonly number[] }> = {
  name: 'deeplabv3',
  row: 'segmentation',
  title: 'DeepLabV3',
  task: 'segment',
  signature: [
    'backbone.conv1.weight',
    'classifier.0.convs.0.0.weight',
    'classifier.0.project.0.weight',
    'classifier.4.weight',
  ],
  hasNoBias: (path) => !path.endsWith('classifier.4'),
  isTower: true,
  assumable: ['atrous_rates'],
  recognise(found) {
    const around = recogniseAround(found, 'deeplabv3', 'DeepLabV3', { classes: 'classifier.4.weight' });
    const rates = ratesOf(found);
    return (
      around && {
        ...around,
        evidence: { ...around.evidence, atrous_rates: rates },
        config: { rates: rates.value },
      }
    );
  },
  parts: [
    {
      name: 'whole',
      build(b, { rates }, context) {
        const maps = mapsOf(b, context);
        const scores = deepLabHead(b, at(maps, 3), rates);
        b.output('logits', resizedMap(b, scores, context.imageSize), 'masks');
        auxiliary(b, at(maps, 2), context);
      },
    },
  ],
};

/** Maps of a MobileNet whose last stage dilates: the last, and one of an eighth of the image. */
interface MobileMaps {
  readonly high: ValueInfo;
  readonly low: ValueInfo;
}

/**
 * The block whose map is an eighth of the image as torchvision counts them: the first of the third
 * last stage that strides.
 */
function lowBlock({ backbone }: FoundWhole): number {
  const [strides, depth] = ['strides', 'depth'].map((key) => numbersIn(backbone.evidence[key]?.value ?? []));
  const strided = (strides ?? []).flatMap((stride, stage) => (stride > 1 ? [stage] : []));
  return sum((depth ?? []).slice(0, at(strided, strided.length - 3)));
}

function mobileMaps(b: GraphBuilder, low: number, { backbone }: PartContext): MobileMaps {
  const { stages, blocks = [] } = backbone({ dilatedStages: 1 });
  return { high: mapOf(b, last(stages)), low: mapOf(b, at(blocks, low)) };
}

/** DeepLabV3 over MobileNet V3, as torchvision publishes it. */
export const deepLabMobile: Whole<{ readonly rates: readonly number[]; readonly low: number }> = {
  ...deepLab,
  name: 'deeplabv3-mobilenet',
  signature: ['backbone.0.0.weight', ...deepLab.signature.slice(1)],
  recognise(found) {
    const named = { classes: 'classifier.4.weight', over: 'efficientnet' };
    const around = recogniseAround(found, 'deeplabv3', 'DeepLabV3', named);
    if (!around) return undefined;
    const rates = ratesOf(found);
    const evidence = { ...around.evidence, atrous_rates: rates };
    return { ...around, evidence, config: { rates: rates.value, low: lowBlock(found) } };
  },
  parts: [
    {
      name: 'whole',
      build(b, { rates, low: block }, context) {
        const { high, low } = mobileMaps(b, block, context);
        b.output('logits', resizedMap(b, deepLabHead(b, high, rates), context.imageSize), 'masks');
        auxiliary(b, low, context);
      },
    },
  ],
};

/** Scores of a fine and a coarse map, this one weighed by its mean (Howard et al. 2019, §6.4). */
function liteHead(b: GraphBuilder, { high, low }: MobileMaps): ValueInfo {
  const gate = activate(b, convolution(b, globalMean(b, high), 'scale.1'), 'sigmoid');
  const weighed = b.add('Mul', [unit(b, high, 'cbr'), gate]);
  const coarse = convolution(b, resizedMap(b, weighed, gridOf(low)), 'high_classifier');
  return b.add('Add', [convolution(b, low, 'low_classifier'), coarse]);
}

/** LR-ASPP over MobileNet V3 (Howard et al. 2019, §6.4), as torchvision publishes it. */
export const lraspp: Whole<{ readonly low: number }> = {
  name: 'lraspp',
  row: 'segmentation',
  title: 'LR-ASPP',
  task: 'segment',
  signature: [
    'backbone.0.0.weight',
    'classifier.cbr.0.weight',
    'classifier.cbr.1.running_mean',
    'classifier.scale.1.weight',
    'classifier.low_classifier.weight',
    'classifier.high_classifier.weight',
  ],
  hasNoBias: (path) => !path.endsWith('_classifier'),
  isTower: true,
  assumable: [],
  recognise(found) {
    const named = { classes: 'classifier.low_classifier.weight', over: 'efficientnet' };
    const around = recogniseAround(found, 'lraspp', 'LR-ASPP', named);
    return around && { ...around, config: { low: lowBlock(found) } };
  },
  parts: [
    {
      name: 'whole',
      build(b, { low }, context) {
        const maps = mobileMaps(b, low, context);
        const scores = b.scope('classifier', () => liteHead(b, maps), { title: 'LR-ASPP head' });
        b.output('logits', resizedMap(b, scores, context.imageSize), 'masks');
      },
    },
  ],
};
