import { timmNames, type Dialect, type Rename } from '../dialect';

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

/** Residual networks: timm and torchvision share their names. */
export const resnetNames: readonly Dialect[] = [
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
