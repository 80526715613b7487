import { timmNames, type Dialect, type Rename } from '../dialect';
import { convModule, openMmlab } from '../libraries/openMmlab';

const stem = '^embedder\\.embedder\\.';
const layer = (stage: number): string => `^encoder\\.stages\\.${stage}\\.layers\\.(\\d+)\\.`;

/** Rows of one stage: libraries count stages and convolutions from 1, transformers from 0. */
const stageRows = (stage: number): readonly Rename[] => {
  const block = `layer${stage + 1}.$1`;
  const units = [0, 1, 2].flatMap((index): readonly Rename[] => [
    [new RegExp(`${layer(stage)}layer\\.${index}\\.convolution\\.`), `${block}.conv${index + 1}.`],
    [new RegExp(`${layer(stage)}layer\\.${index}\\.normalization\\.`), `${block}.bn${index + 1}.`],
  ]);
  return [
    ...units,
    [new RegExp(`${layer(stage)}shortcut\\.convolution\\.`), `${block}.downsample.0.`],
    [new RegExp(`${layer(stage)}shortcut\\.normalization\\.`), `${block}.downsample.1.`],
  ];
};

/**
 * OpenMMLab's mmpretrain, where it differs: stems of three convolutions (ResNetV1c, V1d) and gates
 * (SEResNet). Its plain networks have timm's names.
 */
const mmpretrain: Dialect = {
  ...openMmlab,
  families: ['resnet'],
  eps: 1e-5,
  signature: [
    /^layer1\.0\.conv1\.weight$/,
    /^layer4\.0\.conv2\.weight$/,
    /^(?:stem\.0\.conv|layer1\.0\.se_layer\.conv1(?:\.conv)?)\.weight$/,
  ],
  renames: [
    ...convModule('stem\\.0', 'conv1.0', 'conv1.1'),
    ...convModule('stem\\.1', 'conv1.3', 'conv1.4'),
    ...convModule('stem\\.2', 'conv1.6', 'bn1'),
    [/^(layer\d+\.\d+)\.se_layer\.conv([12])\.(?:conv\.)?(weight|bias)$/, '$1.se.fc$2.$3'],
    [/^(?:layer\d+\.\d+\.(?!se_layer)|(?:conv1|bn1)\.)/, '$&'],
    [/^head\.fc\./, 'fc.'],
  ],
};

/** kuangliu/pytorch-cifar, which half of all code for small images began with. */
const pytorchCifar: Dialect = timmNames(
  'resnet',
  [/^layer1\.0\.conv1\.weight$/, /^layer4\.0\.conv2\.weight$/, /^layer2\.0\.shortcut\.0\.weight$/],
  {
    name: 'pytorch-cifar',
    title: 'kuangliu/pytorch-cifar',
    renames: [
      [/^(layer\d+\.\d+)\.shortcut\./, '$1.downsample.'],
      [/^linear\./, 'fc.'],
      [/^(?:layer\d+\.\d+\.(?!shortcut)|(?:conv1|bn1)\.)/, '$&'],
    ],
  },
);

/** Residual networks: timm and torchvision share their names. */
export const resnetNames: readonly Dialect[] = [
  mmpretrain,
  pytorchCifar,
  timmNames(
    'resnet',
    [/^layer1\.0\.conv1\.weight$/, /^layer4\.0\.conv2\.weight$/, /^conv1\.(?:0\.)?weight$/],
    {
      title: 'timm or torchvision',
    },
  ),
  {
    name: 'transformers',
    title: 'Hugging Face transformers',
    families: ['resnet'],
    prefix: /^resnet\./,
    resampling: ['bicubic', 'bicubic'],
    eps: 1e-5,
    signature: [
      /^embedder\.embedder\.convolution\.weight$/,
      /^encoder\.stages\.0\.layers\.0\.layer\.0\.convolution\.weight$/,
    ],
    renames: [
      [new RegExp(`${stem}convolution\\.`), 'conv1.'],
      [new RegExp(`${stem}normalization\\.`), 'bn1.'],
      ...[0, 1, 2, 3].flatMap(stageRows),
      [/^classifier\.1\./, 'fc.'],
    ],
  },
];
