import { at } from '../../domain/lists';
import { timmNames, type Dialect, type Rename } from '../dialect';
import { openMmlabNames } from './openMmlab';
import { torchvisionNames } from './torchvision';

const shared = { families: ['efficientnet'], resampling: ['bicubic', 'bicubic'] as const, eps: 1e-3 };

/** Rows of a convolution and its norm. */
const unit = (
  from: string,
  convolution: string,
  norm: string,
  to: string,
  [conv, bn]: readonly string[],
): readonly Rename[] => [
  [new RegExp(`^${from}${convolution}\\.`), `${to}${conv}.`],
  [new RegExp(`^${from}${norm}\\.`), `${to}${bn}.`],
];

/** Convolutions and norms of a block in order, with and without an expansion before. */
const expanded = [
  ['conv_pw', 'bn1'],
  ['conv_dw', 'bn2'],
  ['conv_pwl', 'bn3'],
] as const;
const plain = [
  ['conv_dw', 'bn1'],
  ['conv_pw', 'bn2'],
] as const;

/**
 * transformers keeps one list of blocks; one without expansion begins with its depthwise
 * convolution.
 */
const transformersBlock = 'encoder\\.blocks\\.(\\d+)\\.';
const efficientnet: Dialect = {
  ...shared,
  name: 'transformers',
  title: 'Hugging Face transformers',
  prefix: /^efficientnet\./,
  signature: [
    /^embeddings\.convolution\.weight$/,
    /^encoder\.blocks\.0\.depthwise_conv\.depthwise_conv\.weight$/,
  ],
  renames: [
    ...unit('embeddings\\.', 'convolution', 'batchnorm', '', ['conv_stem', 'bn1']),
    ...unit(`${transformersBlock}expansion\\.`, 'expand_conv', 'expand_bn', 'blocks.0.$1.', expanded[0]),
    ...unit(
      `${transformersBlock}depthwise_conv\\.`,
      'depthwise_conv',
      'depthwise_norm',
      'blocks.0.$1.',
      expanded[1],
    ),
    ...unit(`${transformersBlock}projection\\.`, 'project_conv', 'project_bn', 'blocks.0.$1.', expanded[2]),
    [new RegExp(`^${transformersBlock}squeeze_excite\\.(reduce|expand)\\.`), 'blocks.0.$1.se.conv_$2.'],
    ...unit('encoder\\.', 'top_conv', 'top_bn', '', ['conv_head', 'bn2']),
    [/^classifier\./, 'classifier.'],
  ],
  modules: [[/^blocks\.0\.(\d+)\.se$/, 'encoder.blocks.$1.squeeze_excite']],
};

/** A block of MobileNet V1 is two layers: its depthwise convolution and the one of 1 × 1. */
const halves = (part: string, names: readonly [first: string, second: string]): Rename => [
  new RegExp(`^layer\\.(\\d+)\\.${part}\\.`),
  (_, layer) => `blocks.0.${Number(layer) >> 1}.${at(names, Number(layer) % 2)}.`,
];

const mobilenetV1: Dialect = {
  ...shared,
  name: 'transformers',
  title: 'Hugging Face transformers',
  prefix: /^mobilenet_v1\./,
  signature: [
    /^conv_stem\.convolution\.weight$/,
    /^layer\.0\.convolution\.weight$/,
    /^layer\.1\.convolution\.weight$/,
  ],
  renames: [
    ...unit('conv_stem\\.', 'convolution', 'normalization', '', ['conv_stem', 'bn1']),
    halves('convolution', ['conv_dw', 'conv_pw']),
    halves('normalization', ['bn1', 'bn2']),
    [/^classifier\./, 'classifier.'],
  ],
};

/** Blocks of MobileNet V2's stages after the first, which transformers counts through. */
const mobileDepths = [2, 3, 4, 3, 3, 1];
const mobileBlocks = mobileDepths.flatMap((depth, stage) =>
  Array.from({ length: depth }, (_, index) => `blocks.${stage + 1}.${index}.`),
);
const mobileUnits = ['expand_1x1', 'conv_3x3', 'reduce_1x1'];

const mobilenetV2: Dialect = {
  ...shared,
  name: 'transformers',
  title: 'Hugging Face transformers',
  prefix: /^mobilenet_v2\./,
  signature: [/^conv_stem\.first_conv\.convolution\.weight$/, /^layer\.0\.expand_1x1\.convolution\.weight$/],
  renames: [
    ...unit('conv_stem\\.first_conv\\.', 'convolution', 'normalization', '', ['conv_stem', 'bn1']),
    ...mobileUnits
      .slice(1)
      .flatMap((name, index) =>
        unit(`conv_stem\\.${name}\\.`, 'convolution', 'normalization', 'blocks.0.0.', at(plain, index)),
      ),
    ...mobileBlocks.flatMap((to, layer) =>
      mobileUnits.flatMap((name, index) =>
        unit(`layer\\.${layer}\\.${name}\\.`, 'convolution', 'normalization', to, at(expanded, index)),
      ),
    ),
    ...unit('conv_1x1\\.', 'convolution', 'normalization', '', ['conv_head', 'bn2']),
    [/^classifier\./, 'classifier.'],
  ],
};

/** Networks of inverted residuals. */
export const efficientnetNames: readonly Dialect[] = [
  timmNames('efficientnet', [
    /^conv_stem\.weight$/,
    // Folded into the convolutions or not.
    /^(?:blocks\.0\.0\.bn1\.weight|conv_stem\.bias)$/,
    /^blocks\.1\.0\.conv_pwl?(?:\.0)?\.weight$/,
  ]),
  ...torchvisionNames,
  efficientnet,
  mobilenetV1,
  mobilenetV2,
  ...openMmlabNames,
];
