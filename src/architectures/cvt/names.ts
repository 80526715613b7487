import type { Dialect, Rename } from '../dialect';

const block = '^encoder\\.stages\\.(\\d+)\\.layers\\.(\\d+)\\.';

/** A module inside a block of transformers and its canonical name. */
const inBlock = (from: string, to: string): Rename => [
  new RegExp(`${block}${from}\\.(weight|bias)$`),
  `stages.$1.blocks.$2.${to}.$3`,
];

/** The convolutional projection of queries, keys or values and the linear one behind it. */
const projection = (name: string, short: string): readonly Rename[] => {
  const path = `${block}attention\\.attention\\.convolution_projection_${name}\\.convolution_projection`;
  return [
    [
      new RegExp(`${path}\\.convolution\\.weight$`),
      `stages.$1.blocks.$2.attn.conv_proj_${short}.conv.weight`,
    ],
    [new RegExp(`${path}\\.normalization\\.(\\w+)$`), `stages.$1.blocks.$2.attn.conv_proj_${short}.bn.$3`],
    inBlock(`attention\\.attention\\.projection_${name}`, `attn.proj_${short}`),
  ];
};

const common = { families: ['cvt'], resampling: ['bicubic', 'bicubic'], eps: 1e-5 } as const;

/** CvT as transformers and as its authors (microsoft/CvT) name it. */
export const cvtNames: readonly Dialect[] = [
  {
    ...common,
    name: 'transformers',
    title: 'Hugging Face transformers',
    prefix: /^cvt\.(?=encoder\.)/,
    signature: [
      /^encoder\.stages\.0\.embedding\.convolution_embeddings\.projection\.weight$/,
      /\.convolution_projection_query\.convolution_projection\.convolution\.weight$/,
    ],
    renames: [
      [/^encoder\.stages\.(\d+)\.cls_token$/, 'stages.$1.cls_token'],
      [
        /^encoder\.stages\.(\d+)\.embedding\.convolution_embeddings\.projection\.(.+)$/,
        'stages.$1.patch_embed.proj.$2',
      ],
      [
        /^encoder\.stages\.(\d+)\.embedding\.convolution_embeddings\.normalization\.(.+)$/,
        'stages.$1.patch_embed.norm.$2',
      ],
      ...projection('query', 'q'),
      ...projection('key', 'k'),
      ...projection('value', 'v'),
      inBlock('attention\\.output\\.dense', 'attn.proj'),
      inBlock('intermediate\\.dense', 'mlp.fc1'),
      inBlock('output\\.dense', 'mlp.fc2'),
      inBlock('layernorm_before', 'norm1'),
      inBlock('layernorm_after', 'norm2'),
      [/^layernorm\.(weight|bias)$/, 'norm.$1'],
      [/^classifier\.(weight|bias)$/, 'head.$1'],
    ],
    modules: [[/^stages\.(\d+)\.blocks\.(\d+)$/, 'encoder.stages.$1.layers.$2.attention.attention']],
  },
  {
    ...common,
    name: 'cvt',
    title: 'CvT (Microsoft)',
    signature: [
      /^stage0\.patch_embed\.proj\.weight$/,
      /^stage0\.blocks\.0\.attn\.conv_proj_q\.conv\.weight$/,
    ],
    renames: [
      [/^stage(\d+)\.(.+)$/, 'stages.$1.$2'],
      [/^((?:norm|head)\.(?:weight|bias))$/, '$1'],
    ],
    modules: [[/^stages\.(\d+)\.blocks\.(\d+)$/, 'stage$1.blocks.$2']],
  },
];
