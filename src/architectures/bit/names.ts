import { timmNames, type Dialect } from '../dialect';

/** ResNet V2 and Big Transfer. */
export const bitNames: readonly Dialect[] = [
  timmNames('bit', [
    /^stem\.conv3?\.weight$/,
    /^stages\.0\.blocks\.0\.norm1\.weight$/,
    /^stages\.0\.blocks\.0\.conv2\.weight$/,
  ]),
  {
    name: 'transformers',
    title: 'Hugging Face transformers',
    families: ['bit'],
    prefix: /^bit\./,
    resampling: ['bicubic', 'bicubic'],
    eps: 1e-5,
    signature: [/^embedder\.convolution\.weight$/, /^encoder\.stages\.0\.layers\.0\.conv3\.weight$/],
    renames: [
      [/^embedder\.convolution\./, 'stem.conv.'],
      [/^encoder\.stages\.(\d+)\.layers\.(\d+)\./, 'stages.$1.blocks.$2.'],
      [/^norm\./, 'norm.'],
      [/^classifier\.1\./, 'head.fc.'],
    ],
  },
];
