import type { Dialect, Rename } from '../dialect';

/** A row for a module of a layer that has a weight and a bias. */
const inLayer = (from: string, to: string): Rename => [
  new RegExp(`^layers\\.(\\d+)\\.${from}\\.(weight|bias)$`),
  `blocks.$1.${to}.$2`,
];

const common = {
  resampling: ['bicubic', 'bicubic'],
  eps: 1e-6,
  territory: /^(?:layers|patch_embed|pre_norm)\./,
  modules: [[/^blocks\.(\d+)$/, 'layers.$1']],
} as const satisfies Partial<Dialect>;

const shared: readonly Rename[] = [
  [/^(cls_token|dist_token|pos_embed|mask_token)$/, '$1'],
  [/^patch_embed\.projection\.(weight|bias)$/, 'patch_embed.proj.$1'],
  [/^patch_embed\.norm\.(weight|bias)$/, 'patch_embed.norm.$1'],
  [/^pre_norm\.(weight|bias)$/, 'norm_pre.$1'],
  inLayer('(?:ln|norm)1', 'norm1'),
  inLayer('(?:ln|norm)2', 'norm2'),
  inLayer('ffn\\.layers\\.0\\.0', 'mlp.fc1'),
  inLayer('ffn\\.layers\\.1', 'mlp.fc2'),
  // The gated unit: gate and values in one product, gate first.
  inLayer('ffn\\.w12', 'mlp.fc1'),
  inLayer('ffn\\.w3', 'mlp.fc2'),
  // The norm behind the blocks has the name that a layer's first has; `ln2` is that of the mean.
  [/^(?:ln|norm)1\.(weight|bias)$/, 'norm.$1'],
  [/^(?:ln|norm)2\.(weight|bias)$/, 'fc_norm.$1'],
  [/^head\.(?:layers\.)?pre_logits\.(weight|bias)$/, 'pre_logits.$1'],
  [/^head\.(?:layers\.head|fc)\.(weight|bias)$/, 'head.$1'],
];

/** open-mmlab/mmpretrain (mmcls before): VisionTransformer and what is built over it. */
export const mmpretrain: Dialect = {
  ...common,
  name: 'mmpretrain',
  title: 'mmpretrain',
  signature: [/^patch_embed\.projection\.weight$/, /^layers\.0\.attn\.qkv\.weight$/, /^layers\.0\.ffn\./],
  // BEiT and others of the library have a table of their own in each layer.
  absent: [/^layers\.0\.attn\.relative_position/],
  renames: [
    ...shared,
    inLayer('attn\\.qkv', 'attn.qkv'),
    inLayer('attn\\.proj', 'attn.proj'),
    [/^layers\.(\d+)\.attn\.gamma1\.weight$/, 'blocks.$1.ls1.gamma'],
    [/^layers\.(\d+)\.ffn\.gamma2\.weight$/, 'blocks.$1.ls2.gamma'],
  ],
  habits: { activation: ['gelu', 'default of mmpretrain', 'assumed'] },
};

/** open-mmlab/mmsegmentation: VisionTransformer over torch's attention, SETR's and Segmenter's. */
export const mmsegmentation: Dialect = {
  ...common,
  name: 'mmsegmentation',
  title: 'mmsegmentation',
  signature: [/^patch_embed\.projection\.weight$/, /^layers\.0\.attn\.attn\.in_proj_weight$/],
  renames: [
    ...shared,
    [/^layers\.(\d+)\.attn\.attn\.in_proj_(weight|bias)$/, 'blocks.$1.attn.qkv.$2'],
    inLayer('attn\\.attn\\.out_proj', 'attn.proj'),
  ],
  habits: { activation: ['gelu', 'default of mmsegmentation', 'assumed'] },
};
