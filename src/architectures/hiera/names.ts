import { timmNames, type Dialect, type Rename } from '../dialect';

/**
 * A module of a layer in transformers and its canonical name: blocks are counted in each stage
 * there.
 */
const inLayer = (from: string, to: string): Rename => [
  new RegExp(`^encoder\\.stages\\.(\\d+)\\.layers\\.(\\d+)\\.${from}\\.(weight|bias)$`),
  `stages.$1.blocks.$2.${to}.$3`,
];

/** Hugging Face transformers: Hiera, the encoder of its masked autoencoder among them. */
const transformers: Dialect = {
  name: 'transformers',
  title: 'Hugging Face transformers',
  families: ['hiera'],
  prefix: /^hiera\.(?=embeddings\.|encoder\.)/,
  resampling: ['bicubic', 'bicubic'],
  eps: 1e-6,
  signature: [
    /^encoder\.stages\.0\.layers\.0\.attn\.qkv\.weight$/,
    /^encoder\.stages\.0\.layers\.0\.layernorm_before\.weight$/,
    /^embeddings\.position_embeddings$/,
  ],
  renames: [
    [/^embeddings\.position_embeddings$/, 'pos_embed'],
    [/^embeddings\.patch_embeddings\.projection\.(weight|bias)$/, 'patch_embed.proj.$1'],
    inLayer('layernorm_before', 'norm1'),
    inLayer('layernorm_after', 'norm2'),
    inLayer('attn\\.qkv', 'attn.qkv'),
    inLayer('attn\\.proj', 'attn.proj'),
    inLayer('mlp\\.fc1', 'mlp.fc1'),
    inLayer('mlp\\.fc2', 'mlp.fc2'),
    inLayer('proj', 'proj'),
    // timm takes the norm before the decoder for that of the pooled vector, too.
    [/^(?:pooler\.layernorm|encoder_norm)\.(weight|bias)$/, 'head.norm.$1'],
    [/^classifier\.(weight|bias)$/, 'head.fc.$1'],
    [/^((?:decoder|multiscale_fusion)\..+)$/, 'beside.$1'],
  ],
  modules: [[/^stages\.(\d+)\.blocks\.(\d+)$/, 'encoder.stages.$1.layers.$2.attn']],
};

/**
 * facebookresearch/hiera: timm's names but for the head's, the encoder of its masked autoencoder
 * among them.
 */
const original: Dialect = {
  name: 'hiera',
  title: 'Hiera (facebookresearch)',
  families: ['hiera'],
  resampling: ['bicubic', 'bicubic'],
  eps: 1e-6,
  signature: [
    /^pos_embed(?:_abs)?$/,
    /^blocks\.0\.attn\.qkv\.weight$/,
    /^blocks\.\d+\.proj\.weight$/,
    /^(?:encoder_)?norm\.weight$/,
  ],
  // MViT pools its queries and keys by convolutions.
  absent: [/^head\.norm\.weight$/, /\.pool_q\.weight$/, /^pos_embed_window$/],
  renames: [
    [/^pos_embed(?:_abs)?$/, 'pos_embed'],
    [/^pos_embed_win$/, 'pos_embed_win'],
    [/^(patch_embed\.proj|blocks\.\d+)\./, '$1.'],
    [/^(?:encoder_)?norm\./, 'head.norm.'],
    [/^head\.projection\./, 'head.fc.'],
    [/^(?:mask_token|decoder_.+|multi_scale_fusion_heads\..+)$/, 'beside.$&'],
  ],
};

/** Hiera, the encoder of its masked autoencoder among them. */
export const hieraNames: readonly Dialect[] = [
  transformers,
  timmNames('hiera', [/^pos_embed$/, /^blocks\.0\.attn\.qkv\.weight$/, /^head\.norm\.weight$/], {
    absent: [/^pos_embed_window$/],
  }),
  original,
];
