import type { Dialect, Rename } from '../dialect';

// The ports of Google's JAX code that people used before timm's was everywhere.

/** A row for a module of a layer of jeonsworld's. */
const inLayer = (from: string, to: string): Rename => [
  new RegExp(`^transformer\\.encoder\\.layer\\.(\\d+)\\.${from}\\.(weight|bias)$`),
  `blocks.$1.${to}.$2`,
];

/** jeonsworld/ViT-pytorch. Its hybrid, over Big Transfer's ResNet, is another network. */
export const jeonsworld: Dialect = {
  name: 'jeonsworld',
  title: 'jeonsworld/ViT-pytorch',
  resampling: ['bilinear, corners aligned', 'bilinear, corners aligned'],
  eps: 1e-6,
  territory: /^transformer\./,
  signature: [
    /^transformer\.embeddings\.patch_embeddings\.weight$/,
    /^transformer\.encoder\.layer\.0\.attn\.query\.weight$/,
    /^transformer\.encoder\.layer\.0\.ffn\.fc1\.weight$/,
  ],
  renames: [
    [/^transformer\.embeddings\.cls_token$/, 'cls_token'],
    [/^transformer\.embeddings\.position_embeddings$/, 'pos_embed'],
    [/^transformer\.embeddings\.patch_embeddings\.(weight|bias)$/, 'patch_embed.proj.$1'],
    inLayer('attention_norm', 'norm1'),
    inLayer('ffn_norm', 'norm2'),
    inLayer('attn\\.query', 'attn.q_proj'),
    inLayer('attn\\.key', 'attn.k_proj'),
    inLayer('attn\\.value', 'attn.v_proj'),
    inLayer('attn\\.out', 'attn.proj'),
    inLayer('ffn\\.fc1', 'mlp.fc1'),
    inLayer('ffn\\.fc2', 'mlp.fc2'),
    [/^transformer\.encoder\.encoder_norm\.(weight|bias)$/, 'norm.$1'],
    [/^head\.(weight|bias)$/, 'head.$1'],
  ],
  modules: [[/^blocks\.(\d+)$/, 'transformer.encoder.layer.$1']],
  habits: { activation: ['gelu', 'default of jeonsworld/ViT-pytorch'] },
};

/** A row for a module of a block of lukemelas'. */
const inBlock = (from: string, to: string): Rename => [
  new RegExp(`^transformer\\.blocks\\.(\\d+)\\.${from}\\.(weight|bias)$`),
  `blocks.$1.${to}.$2`,
];

const lukemelasRows: readonly Rename[] = [
  [/^class_token$/, 'cls_token'],
  [/^positional_embedding\.pos_embedding$/, 'pos_embed'],
  [/^patch_embedding\.(weight|bias)$/, 'patch_embed.proj.$1'],
  inBlock('norm1', 'norm1'),
  inBlock('norm2', 'norm2'),
  inBlock('attn\\.proj_q', 'attn.q_proj'),
  inBlock('attn\\.proj_k', 'attn.k_proj'),
  inBlock('attn\\.proj_v', 'attn.v_proj'),
  inBlock('proj', 'attn.proj'),
  inBlock('pwff\\.fc1', 'mlp.fc1'),
  inBlock('pwff\\.fc2', 'mlp.fc2'),
  [/^fc\.(weight|bias)$/, 'head.$1'],
];

const lukemelasNames: Dialect = {
  name: 'pytorch-pretrained-vit',
  title: 'pytorch_pretrained_vit (lukemelas)',
  resampling: ['bilinear, corners aligned', 'bilinear, corners aligned'],
  eps: 1e-6,
  territory: /^(?:transformer|patch_embedding|positional_embedding)\./,
  signature: [
    /^patch_embedding\.weight$/,
    /^transformer\.blocks\.0\.attn\.proj_q\.weight$/,
    /^transformer\.blocks\.0\.pwff\.fc1\.weight$/,
  ],
  absent: [/^pre_logits\.weight$/],
  renames: [...lukemelasRows, [/^norm\.(weight|bias)$/, 'norm.$1']],
  modules: [[/^blocks\.(\d+)$/, 'transformer.blocks.$1']],
  habits: { activation: ['gelu', 'default of pytorch_pretrained_vit'] },
};

/**
 * lukemelas/PyTorch-Pretrained-ViT; its norm is behind the layer of representations, if it has
 * one.
 */
export const lukemelas: readonly Dialect[] = [
  lukemelasNames,
  {
    ...lukemelasNames,
    signature: [...lukemelasNames.signature, /^pre_logits\.weight$/],
    absent: [],
    renames: [
      ...lukemelasRows,
      [/^pre_logits\.(weight|bias)$/, 'pre_logits.$1'],
      [/^norm\.(weight|bias)$/, 'head_norm.$1'],
    ],
  },
];
