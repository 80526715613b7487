import type { Dialect, Rename } from '../dialect';

/** A row for a module of a block. */
const inBlock = (from: string, to: string): Rename => [
  new RegExp(`^blocks\\.(\\d+)\\.${from}\\.(weight|bias)$`),
  `blocks.$1.${to}.$2`,
];

/**
 * MONAI's ViT in two dimensions; in three its patch embedding is a Conv3d. The norm of
 * cross-attention is stored though there is none, as older versions store a class token of the
 * patch embedding.
 */
export const monai: Dialect = {
  name: 'monai',
  title: 'MONAI',
  resampling: ['bilinear', 'bilinear'],
  eps: 1e-5,
  territory: /^(?:blocks|patch_embedding|classification_head)\./,
  signature: [
    /^patch_embedding\.patch_embeddings\.(?:1\.)?weight$/,
    /^patch_embedding\.position_embeddings$/,
    /^blocks\.0\.mlp\.linear1\.weight$/,
  ],
  renames: [
    [/^cls_token$/, 'cls_token'],
    [/^patch_embedding\.position_embeddings$/, 'pos_embed'],
    [/^patch_embedding\.patch_embeddings\.(?:1\.)?(weight|bias)$/, 'patch_embed.proj.$1'],
    inBlock('norm1', 'norm1'),
    inBlock('norm2', 'norm2'),
    inBlock('attn\\.qkv', 'attn.qkv'),
    inBlock('attn\\.to_q', 'attn.q_proj'),
    inBlock('attn\\.to_k', 'attn.k_proj'),
    inBlock('attn\\.to_v', 'attn.v_proj'),
    inBlock('attn\\.out_proj', 'attn.proj'),
    inBlock('mlp\\.linear1', 'mlp.fc1'),
    inBlock('mlp\\.linear2', 'mlp.fc2'),
    [/^norm\.(weight|bias)$/, 'norm.$1'],
    [/^classification_head\.(?:0\.)?(weight|bias)$/, 'head.$1'],
    [/^(blocks\.\d+\.norm_cross_attn\.(?:weight|bias)|patch_embedding\.cls_token)$/, 'beside.$1'],
  ],
  modules: [[/^blocks\.(\d+)$/, 'blocks.$1']],
  habits: {
    activation: ['gelu', 'default of MONAI'],
    positions: 'patches',
    afterHead: (head) =>
      /(?:^|\.)classification_head\.0\./.test(head)
        ? ['tanh', 'classification_head.0: MONAI puts Tanh behind it']
        : undefined,
  },
};
