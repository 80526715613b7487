import { timmNames, type Dialect, type Rename } from '../dialect';
import { openMmlab } from '../libraries/openMmlab';

const block = 'trunk_output\\.block(\\d+)\\.block\\d+-(\\d+)\\.';

/** A convolution and its norm. */
const unit = (from: string, to: string): readonly Rename[] => [
  [new RegExp(`^${from}0\\.`), `${to}conv.`],
  [new RegExp(`^${from}1\\.`), `${to}bn.`],
];

/** A block of transformers, which counts stages from 0; a gate takes a place among its layers. */
const layer = '^encoder\\.stages\\.(\\d+)\\.layers\\.(\\d+)\\.';

const inLayer = (from: string, to: string): Rename => [
  new RegExp(`${layer}${from}\\.`),
  (_, stage, index) => `stages.${Number(stage) + 1}.${index}.${to}.`,
];

const transformers: Dialect = {
  name: 'transformers',
  title: 'Hugging Face transformers',
  families: ['regnet'],
  prefix: /^regnet\.(?=embedder\.|encoder\.)/,
  resampling: ['bicubic', 'bicubic'],
  eps: 1e-5,
  signature: [
    /^embedder\.embedder\.convolution\.weight$/,
    // A ResNet's bottleneck has these names, too; the family tells it by its widths and stem.
    /^encoder\.stages\.0\.layers\.0\.layer\.(?:2\.attention\.0|2\.convolution)\.weight$/,
  ],
  renames: [
    [/^embedder\.embedder\.convolution\./, 'stem.conv.'],
    [/^embedder\.embedder\.normalization\./, 'stem.bn.'],
    inLayer('layer\\.0\\.convolution', 'conv1.conv'),
    inLayer('layer\\.0\\.normalization', 'conv1.bn'),
    inLayer('layer\\.1\\.convolution', 'conv2.conv'),
    inLayer('layer\\.1\\.normalization', 'conv2.bn'),
    inLayer('layer\\.2\\.attention\\.0', 'se.fc1'),
    inLayer('layer\\.2\\.attention\\.2', 'se.fc2'),
    inLayer('layer\\.[23]\\.convolution', 'conv3.conv'),
    inLayer('layer\\.[23]\\.normalization', 'conv3.bn'),
    inLayer('shortcut\\.convolution', 'downsample.conv'),
    inLayer('shortcut\\.normalization', 'downsample.bn'),
    [/^classifier\.1\./, 'head.fc.'],
  ],
  holders: [[/^(stages\.\d+\.\d+\.se)$/, '$1.fc1.weight', 2]],
};

/**
 * classy_vision's block; it counts from 0, with the stage before the number; its
 * private list is taken for what a wrapper put in between.
 */
const classyBlock = '(?:_feature_blocks\\.)?res\\d+\\.block(\\d+)-(\\d+)\\.';

const classy = (from: string, to: string): Rename => [
  new RegExp(`^${classyBlock}${from}\\.`),
  `stages.$1.$2.${to}.`,
];

/** facebookresearch/ClassyVision and vissl (SEER): heads lie in another state dict. */
const classyVision: Dialect = {
  name: 'classy-vision',
  title: 'ClassyVision, vissl (SEER)',
  families: ['regnet'],
  resampling: ['bicubic', 'bicubic'],
  eps: 1e-5,
  signature: [
    /^(?:_feature_blocks\.)?conv1\.stem\.0\.weight$/,
    new RegExp(`^${classyBlock}f\\.a\\.0\\.weight$`),
  ],
  renames: [
    [/^(?:_feature_blocks\.)?conv1\.stem\.0\./, 'stem.conv.'],
    [/^(?:_feature_blocks\.)?conv1\.stem\.1\./, 'stem.bn.'],
    classy('f\\.a\\.0', 'conv1.conv'),
    classy('f\\.a\\.1', 'conv1.bn'),
    classy('f\\.b\\.0', 'conv2.conv'),
    classy('f\\.b\\.1', 'conv2.bn'),
    classy('f\\.c', 'conv3.conv'),
    classy('f\\.final_bn', 'conv3.bn'),
    classy('f\\.se\\.excitation\\.0', 'se.fc1'),
    classy('f\\.se\\.excitation\\.2', 'se.fc2'),
    classy('proj', 'downsample.conv'),
    classy('bn', 'downsample.bn'),
    [/^(?:heads\.)?0\.clf\.0\./, 'head.fc.'],
  ],
};

/** OpenMMLab's words are a ResNet's; the family tells it by its widths and stem. */
const mmpretrain: Dialect = {
  ...openMmlab,
  families: ['regnet'],
  eps: 1e-5,
  signature: [/^conv1\.weight$/, /^layer1\.0\.conv3\.weight$/, /^layer1\.0\.downsample\.0\.weight$/],
  absent: [/\.se\./, /\.se_layer\./],
  renames: [
    [/^conv1\./, 'stem.conv.'],
    [/^bn1\./, 'stem.bn.'],
    [/^layer(\d)\.(\d+)\.conv([123])\./, 'stages.$1.$2.conv$3.conv.'],
    [/^layer(\d)\.(\d+)\.bn([123])\./, 'stages.$1.$2.conv$3.bn.'],
    [/^layer(\d)\.(\d+)\.downsample\.0\./, 'stages.$1.$2.downsample.conv.'],
    [/^layer(\d)\.(\d+)\.downsample\.1\./, 'stages.$1.$2.downsample.bn.'],
    [/^head\.fc\./, 'head.fc.'],
  ],
};

/** RegNet; canonical names are timm's with `stages.1.2` for its `s1.b2`. */
export const regnetNames: readonly Dialect[] = [
  timmNames('regnet', [/^stem\.conv\.weight$/, /^s1\.b1\.conv1\.conv\.weight$/], {
    renames: [
      [/^s(\d)\.b(\d+)\./, 'stages.$1.$2.'],
      [/^(stem|head)\./, '$1.'],
    ],
    modules: [[/^stages\.(\d)\.(\d+)/, 's$1.b$2']],
  }),
  transformers,
  classyVision,
  mmpretrain,
  {
    name: 'torchvision',
    title: 'torchvision',
    families: ['regnet'],
    resampling: ['bicubic', 'bicubic'],
    eps: 1e-5,
    signature: [/^stem\.0\.weight$/, new RegExp(`^${block}f\\.a\\.0\\.weight$`)],
    renames: [
      ...unit('stem\\.', 'stem.'),
      ...unit(`${block}f\\.a\\.`, 'stages.$1.$2.conv1.'),
      ...unit(`${block}f\\.b\\.`, 'stages.$1.$2.conv2.'),
      ...unit(`${block}f\\.c\\.`, 'stages.$1.$2.conv3.'),
      ...unit(`${block}proj\\.`, 'stages.$1.$2.downsample.'),
      [new RegExp(`^${block}f\\.se\\.`), 'stages.$1.$2.se.'],
      [/^fc\./, 'head.fc.'],
    ],
    modules: [[/^stages\.(\d)\.(\d+)\.se$/, 'trunk_output.block$1.block$1-$2.f.se']],
  },
];
