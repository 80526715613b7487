import { timmNames, type Dialect, type Rename } from '../dialect';

const leaf = '(weight|bias|running_mean|running_var|num_batches_tracked)';

/**
 * A convolution and its batch norm: `from` and `to` are the module's paths, which may hold `$1` …;
 * `groups` are those of `from`.
 */
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

/** A convolution and its norm as apple/ml-cvnets keeps them, in a list of two. */
const cvnetsUnit = (from: string, to: string): readonly Rename[] => [
  [new RegExp(`^${from}\\.block\\.conv\\.${leaf}$`), `${to}.conv.$1`],
  [new RegExp(`^${from}\\.block\\.norm\\.${leaf}$`), `${to}.bn.$1`],
];

/**
 * Blocks of the stage that cvnets counts from 1; names of both versions, which differ inside of the
 * transformer.
 */
function cvnetsStage(stage: number): readonly Rename[] {
  const own = `layer_${stage + 1}`;
  const block = `^${own}\\.1\\.global_rep\\.(\\d+)`;
  const inBlock = (from: string, to: string): Rename => [
    new RegExp(`${block}\\.${from}\\.(weight|bias)$`),
    `stages.${stage}.1.transformer.$1.${to}.$2`,
  ];
  const residuals = [0, 1, 2].flatMap((index) => [
    ...cvnetsUnit(`${own}\\.${index}\\.block\\.exp_1x1`, `stages.${stage}.${index}.conv1_1x1`),
    ...cvnetsUnit(`${own}\\.${index}\\.block\\.conv_3x3`, `stages.${stage}.${index}.conv2_kxk`),
    ...cvnetsUnit(`${own}\\.${index}\\.block\\.red_1x1`, `stages.${stage}.${index}.conv3_1x1`),
  ]);
  return [
    ...residuals,
    ...cvnetsUnit(`${own}\\.1\\.local_rep\\.(?:conv_3x3|0)`, `stages.${stage}.1.conv_kxk`),
    [
      new RegExp(`^${own}\\.1\\.local_rep\\.(?:conv_1x1|1)\\.block\\.conv\\.weight$`),
      `stages.${stage}.1.conv_1x1.weight`,
    ],
    inBlock('pre_norm_(?:mha|attn)\\.0', 'norm1'),
    inBlock('pre_norm_mha\\.1\\.qkv_proj', 'attn.qkv'),
    inBlock('pre_norm_mha\\.1\\.out_proj', 'attn.proj'),
    inBlock('pre_norm_attn\\.1\\.qkv_proj\\.block\\.conv', 'attn.qkv_proj'),
    inBlock('pre_norm_attn\\.1\\.out_proj\\.block\\.conv', 'attn.out_proj'),
    inBlock('pre_norm_ffn\\.0', 'norm2'),
    inBlock('pre_norm_ffn\\.1(?:\\.block\\.conv)?', 'mlp.fc1'),
    inBlock('pre_norm_ffn\\.(?:4|3\\.block\\.conv)', 'mlp.fc2'),
    [new RegExp(`${block}\\.(weight|bias)$`), `stages.${stage}.1.norm.$2`],
    ...cvnetsUnit(`${own}\\.1\\.conv_proj`, `stages.${stage}.1.conv_proj`),
    ...cvnetsUnit(`${own}\\.1\\.fusion`, `stages.${stage}.1.conv_fusion`),
  ];
}

const stages = [0, 1, 2, 3, 4] as const;

/**
 * apple/ml-cvnets, the repository of the authors: both versions, also below a segmentation head.
 */
const cvnets: Dialect = {
  name: 'cvnets',
  title: 'CVNets',
  families: ['mobilevit'],
  prefix: /^encoder\.(?=conv_1\.)/,
  resampling: ['bicubic', 'bicubic'],
  eps: 1e-5,
  signature: [/^conv_1\.block\.conv\.weight$/, /^layer_[345]\.1\.global_rep\.0\.pre_norm_(?:mha|attn)\./],
  renames: [
    ...cvnetsUnit('conv_1', 'stem'),
    ...stages.flatMap(cvnetsStage),
    ...cvnetsUnit('conv_1x1_exp', 'final_conv'),
    [/^classifier\.(?:fc|1)\.(weight|bias)$/, 'head.fc.$1'],
    [/^seg_head\.(.+)$/, 'beside.segmentation_head.$1'],
  ],
  modules: stages.map(
    (stage) =>
      [
        new RegExp(`^stages\\.${stage}\\.1\\.transformer\\.(\\d+)$`),
        `layer_${stage + 1}.1.global_rep.$1`,
      ] as const,
  ),
};

/** MobileViT and MobileViTv2 as timm, transformers and CVNets name them. */
export const mobileVitNames: readonly Dialect[] = [
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
  cvnets,
];
