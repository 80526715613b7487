import { timmNames, type Dialect, type Rename } from '../dialect';

const leaf = '(weight|bias|running_mean|running_var|num_batches_tracked)';

const layer = '^blocks\\.(\\d+)\\.layers\\.(\\d+)\\.layers';

/** A module of torchvision's MBConv and timm's name for it. */
const inConvolution = (from: string, to: string): Rename => [
  new RegExp(`${layer}\\.MBconv\\.${from}\\.${leaf}$`),
  `stages.$1.blocks.$2.conv.${to}.$3`,
];

const partitions = [
  ['window_attention', 'attn_block'],
  ['grid_attention', 'attn_grid'],
] as const;

/** A module of torchvision's attention layers. */
const inAttention = (from: string, to: string): readonly Rename[] =>
  partitions.map(([own, canonical]) => [
    new RegExp(`${layer}\\.${own}\\.${from}\\.(weight|bias)$`),
    `stages.$1.blocks.$2.${canonical}.${to}.$3`,
  ]);

/** torchvision.models.maxvit. */
const torchvisionMaxVit: Dialect = {
  name: 'torchvision',
  title: 'torchvision',
  families: ['maxvit'],
  resampling: ['bicubic', 'bicubic'],
  eps: 1e-5,
  signature: [/^stem\.0\.0\.weight$/, /^blocks\.0\.layers\.0\.layers\.MBconv\./],
  renames: [
    [new RegExp(`^stem\\.0\\.0\\.${leaf}$`), 'stem.conv1.$1'],
    [new RegExp(`^stem\\.0\\.1\\.${leaf}$`), 'stem.norm1.$1'],
    [new RegExp(`^stem\\.1\\.0\\.${leaf}$`), 'stem.conv2.$1'],
    inConvolution('proj\\.1', 'shortcut.expand'),
    inConvolution('layers\\.pre_norm', 'pre_norm'),
    inConvolution('layers\\.conv_a\\.0', 'conv1_1x1'),
    inConvolution('layers\\.conv_a\\.1', 'norm1'),
    inConvolution('layers\\.conv_b\\.0', 'conv2_kxk'),
    inConvolution('layers\\.conv_b\\.1', 'norm2'),
    inConvolution('layers\\.squeeze_excitation\\.fc1', 'se.fc1'),
    inConvolution('layers\\.squeeze_excitation\\.fc2', 'se.fc2'),
    inConvolution('layers\\.conv_c', 'conv3_1x1'),
    ...inAttention('attn_layer\\.0', 'norm1'),
    ...inAttention('attn_layer\\.1\\.to_qkv', 'attn.qkv'),
    ...inAttention('attn_layer\\.1\\.merge', 'attn.proj'),
    ...inAttention('mlp_layer\\.0', 'norm2'),
    ...inAttention('mlp_layer\\.1', 'mlp.fc1'),
    ...inAttention('mlp_layer\\.3', 'mlp.fc2'),
    ...partitions.map(([own, canonical]): Rename => [
      new RegExp(`${layer}\\.${own}\\.attn_layer\\.1\\.relative_position_bias_table$`),
      `stages.$1.blocks.$2.${canonical}.attn.rel_pos.relative_position_bias_table`,
    ]),
    [/^classifier\.2\.(weight|bias)$/, 'head.norm.$1'],
    [/^classifier\.3\.(weight|bias)$/, 'head.pre_logits.fc.$1'],
    [/^classifier\.5\.(weight|bias)$/, 'head.fc.$1'],
  ],
  modules: partitions.map(
    ([own, canonical]) =>
      [
        new RegExp(`^stages\\.(\\d+)\\.blocks\\.(\\d+)\\.${canonical}$`),
        `blocks.$1.layers.$2.layers.${own}`,
      ] as const,
  ),
};

/** MaxViT, CoAtNet and their mixes as timm and torchvision name them. */
export const maxVitNames: readonly Dialect[] = [
  timmNames('maxvit', [
    /^stem\.conv1\.weight$/,
    /^stem\.conv2\.weight$/,
    /^stages\.0\.blocks\.0\.(?:conv\.(?:0\.)?)?(?:conv1_1x1|conv_dw)\.weight$/,
    /^stages\.\d+\.blocks\.\d+\.(?:attn_grid\.)?attn\.(?:attn_grid\.)?rel_pos\./,
  ]),
  torchvisionMaxVit,
];
