import type { Dialect, Rename } from '../dialect';

const block = '(?:encoder\\.)?layers?\\.(\\d+)\\.';

/**
 * A row for a module inside a block; `from` may be several alternatives (version 4 writes the
 * first, 5 holds the second in memory).
 */
function inBlock(from: string, to: string): Rename {
  return [new RegExp(`^${block}(?:${from})\\.(weight|bias)$`), `blocks.$1.${to}.$2`];
}

/** Hugging Face transformers: ViT, DeiT, DINOv2 (with registers), MAE, MSN, I-JEPA. */
export const transformers: Dialect = {
  name: 'transformers',
  title: 'Hugging Face transformers',
  prefix: /^(?:vit|deit|dinov2|dinov2_with_registers|ijepa|vit_mae|vit_msn)\.(?=embeddings\.)/,
  resampling: ['bicubic', 'bicubic, antialias'],
  eps: 1e-12,
  territory: /^(?:embeddings|encoder|layers)\./,
  signature: [/^embeddings\.patch_embeddings\.projection\.weight$/, new RegExp(`^${block}attention\\.`)],
  renames: [
    [/^embeddings\.cls_token$/, 'cls_token'],
    [/^embeddings\.distillation_token$/, 'dist_token'],
    [/^embeddings\.register_tokens$/, 'reg_token'],
    [/^embeddings\.mask_token$/, 'mask_token'],
    [/^embeddings\.position_embeddings$/, 'pos_embed'],
    [/^embeddings\.patch_embeddings\.projection\.(weight|bias)$/, 'patch_embed.proj.$1'],
    inBlock('attention\\.attention\\.query|attention\\.q_proj', 'attn.q_proj'),
    inBlock('attention\\.attention\\.key|attention\\.k_proj', 'attn.k_proj'),
    inBlock('attention\\.attention\\.value|attention\\.v_proj', 'attn.v_proj'),
    inBlock('attention\\.output\\.dense|attention\\.o_proj', 'attn.proj'),
    inBlock('layernorm_before|norm1', 'norm1'),
    inBlock('layernorm_after|norm2', 'norm2'),
    inBlock('intermediate\\.dense|mlp\\.fc1|mlp\\.weights_in', 'mlp.fc1'),
    inBlock('output\\.dense|mlp\\.fc2|mlp\\.weights_out', 'mlp.fc2'),
    [new RegExp(`^${block}layer_scale([12])\\.lambda1$`), 'blocks.$1.ls$2.gamma'],
    [/^layernorm\.(weight|bias)$/, 'norm.$1'],
    [/^pooler\.dense\.(weight|bias)$/, 'pooler.$1'],
    [/^(?:cls_)?classifier\.(weight|bias)$/, 'head.$1'],
    [/^distillation_classifier\.(weight|bias)$/, 'head_dist.$1'],
    [/^decoder\.(.+)$/, 'decoder.$1'],
  ],
  modules: [[/^blocks\.(\d+)$/, 'encoder.layer.$1.attention']],
  firstRegister: 1,
};

/**
 * The same models under the names that transformers 5 holds in memory: `layers.0.attention.q_proj`.
 */
export const transformers5: Dialect = {
  ...transformers,
  name: 'transformers-5',
  title: 'Hugging Face transformers 5',
  signature: [...transformers.signature, /^layers\.0\.attention\.q_proj\.weight$/],
  modules: [[/^blocks\.(\d+)$/, 'layers.$1.attention']],
};
