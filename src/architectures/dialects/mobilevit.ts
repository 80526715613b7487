import { timmNames, type Dialect, type Rename } from './dialect';

const leaf = '(weight|bias|running_mean|running_var|num_batches_tracked)';

/** A convolution and its batch norm: `from` and `to` are the module's paths, which may hold `$1` …; `groups` are those of `from`. */
function unit(from: string, to: string, groups: number): readonly Rename[] {
  return [
    [new RegExp(`^${from}\\.convolution\\.${leaf}$`), `${to}.conv.$${groups + 1}`],
    [new RegExp(`^${from}\\.normalization\\.${leaf}$`), `${to}.bn.$${groups + 1}`],
  ];
}

const residualUnits = [
  ['expand_1x1', 'conv1_1x1'],
  ['conv_3x3', 'conv2_kxk'],
  ['reduce_1x1', 'conv3_1x1'],
] as const;

const layer = 'encoder\\.layer\\.(\\d+)';
const block = `${layer}\\.transformer\\.layer\\.(\\d+)`;

/** A linear layer or norm inside a transformer block. */
const inBlock = (from: string, to: string): Rename => [
  new RegExp(`^${block}\\.${from}\\.(weight|bias)$`),
  `stages.$1.1.transformer.$2.${to}.$3`,
];

/** What both versions have in common. */
const common: readonly Rename[] = [
  ...unit('conv_stem', 'stem', 0),
  ...residualUnits.flatMap(([from, to]) => [
    ...unit(`${layer}\\.layer\\.(\\d+)\\.${from}`, `stages.$1.$2.${to}`, 2),
    ...unit(`${layer}\\.downsampling_layer\\.${from}`, `stages.$1.0.${to}`, 1),
  ]),
  ...unit(`${layer}\\.conv_kxk`, 'stages.$1.1.conv_kxk', 1),
  [new RegExp(`^${layer}\\.conv_1x1\\.convolution\\.weight$`), 'stages.$1.1.conv_1x1.weight'],
  inBlock('layernorm_before', 'norm1'),
  inBlock('layernorm_after', 'norm2'),
  [new RegExp(`^${layer}\\.layernorm\\.(weight|bias)$`), 'stages.$1.1.norm.$2'],
  ...unit(`${layer}\\.conv_projection`, 'stages.$1.1.conv_proj', 1),
  ...unit('conv_1x1_exp', 'final_conv', 0),
  [/^classifier\.(weight|bias)$/, 'head.fc.$1'],
  [/^segmentation_head\.(.+)$/, 'beside.segmentation_head.$1'],
];

const transformers = {
  name: 'transformers',
  title: 'Hugging Face transformers',
  families: ['mobilevit'],
  prefix: /^mobilevit(?:v2)?\.(?=conv_stem\.)/,
  resampling: ['bicubic', 'bicubic'],
  eps: 1e-5,
} as const satisfies Partial<Dialect>;

/** Hugging Face transformers: MobileViT, as classifier or below a segmentation head. */
const transformersMobileVit: Dialect = {
  ...transformers,
  signature: [/^conv_stem\.convolution\.weight$/, new RegExp(`^${block}\\.attention\\.attention\\.query\\.`)],
  renames: [
    ...common,
    inBlock('attention\\.attention\\.query', 'attn.q_proj'),
    inBlock('attention\\.attention\\.key', 'attn.k_proj'),
    inBlock('attention\\.attention\\.value', 'attn.v_proj'),
    inBlock('attention\\.output\\.dense', 'attn.proj'),
    inBlock('intermediate\\.dense', 'mlp.fc1'),
    inBlock('output\\.dense', 'mlp.fc2'),
    ...unit(`${layer}\\.fusion`, 'stages.$1.1.conv_fusion', 1),
  ],
  modules: [
    [/^stages\.(\d+)\.1\.transformer\.(\d+)$/, 'encoder.layer.$1.transformer.layer.$2.attention.attention'],
  ],
};

/** Hugging Face transformers: MobileViTv2. */
const transformersMobileVitV2: Dialect = {
  ...transformers,
  signature: [
    /^conv_stem\.convolution\.weight$/,
    new RegExp(`^${block}\\.attention\\.qkv_proj\\.convolution\\.`),
  ],
  renames: [
    ...common,
    inBlock('attention\\.qkv_proj\\.convolution', 'attn.qkv_proj'),
    inBlock('attention\\.out_proj\\.convolution', 'attn.out_proj'),
    inBlock('ffn\\.conv1\\.convolution', 'mlp.fc1'),
    inBlock('ffn\\.conv2\\.convolution', 'mlp.fc2'),
  ],
  modules: [[/^stages\.(\d+)\.1\.transformer\.(\d+)$/, 'encoder.layer.$1.transformer.layer.$2.attention']],
};

/** MobileViT and MobileViTv2 as timm and as transformers name them. */
export const mobileVitDialects: readonly Dialect[] = [
  timmNames(
    'mobilevit',
    [
      /^stem\.conv\.weight$/,
      /^stages\.\d+\.1\.conv_1x1\.weight$/,
      /^stages\.\d+\.1\.transformer\.0\.attn\.(?:qkv|qkv_proj)\.weight$/,
    ],
    { eps: 1e-5 },
  ),
  transformersMobileVit,
  transformersMobileVitV2,
];
