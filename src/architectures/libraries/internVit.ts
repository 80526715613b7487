import type { Dialect, Rename } from '../dialect';

/** A row for a module of a layer. */
const inLayer = (from: string, to: string): Rename => [
  new RegExp(`^encoder\\.layers\\.(\\d+)\\.${from}\\.(weight|bias)$`),
  `blocks.$1.${to}.$2`,
];

/**
 * InternViT (Chen et al. 2024, InternVL) as its own code on the hub names it: CLIP's embeddings,
 * timm's blocks, no norm behind them. The 6B model normalises queries and keys over all heads.
 */
export const internVit: Dialect = {
  name: 'internvit',
  title: 'InternViT',
  resampling: ['bicubic', 'bicubic'],
  eps: 1e-6,
  territory: /^(?:embeddings|encoder)\./,
  signature: [
    /^embeddings\.patch_embedding\.weight$/,
    /^encoder\.layers\.0\.attn\.qkv\.weight$/,
    /^encoder\.layers\.0\.ls1$/,
  ],
  renames: [
    [/^embeddings\.class_embedding$/, 'cls_token'],
    [/^embeddings\.position_embedding$/, 'pos_embed'],
    [/^embeddings\.patch_embedding\.(weight|bias)$/, 'patch_embed.proj.$1'],
    inLayer('norm1', 'norm1'),
    inLayer('norm2', 'norm2'),
    inLayer('attn\\.qkv', 'attn.qkv'),
    inLayer('attn\\.proj', 'attn.proj'),
    inLayer('attn\\.q_norm', 'attn.q_wide_norm'),
    inLayer('attn\\.k_norm', 'attn.k_wide_norm'),
    inLayer('mlp\\.fc1', 'mlp.fc1'),
    inLayer('mlp\\.fc2', 'mlp.fc2'),
    [/^encoder\.layers\.(\d+)\.ls([12])$/, 'blocks.$1.ls$2.gamma'],
  ],
  modules: [[/^blocks\.(\d+)$/, 'encoder.layers.$1']],
  habits: {
    activation: ['gelu', 'default of InternViT', 'assumed'],
    // InternViT-6B: 25 heads of 3200 channels.
    perHead: (width) => (width === 3200 ? 128 : 64),
  },
};
