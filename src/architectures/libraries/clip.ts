import { asTokens, rows, transposed, type Dialect, type Rename } from '../dialect';
import { timmNames, timmTerritory } from './timm';

/** Rows for a block of Hugging Face's CLIP and SigLIP towers. */
function inBlock(from: string, to: string): Rename {
  return [new RegExp(`^encoder\\.layers\\.(\\d+)\\.${from}\\.(weight|bias)$`), `blocks.$1.${to}.$2`];
}

/**
 * The text tower and what binds the two: they count as parameters, the image tower does not read
 * them.
 */
const text: readonly Rename[] = [
  [/^(text(?:_model)?\..+|text_projection(?:\.weight)?)$/, 'text.$1'],
  [/^(logit_scale|logit_bias)$/, '$1'],
];

/**
 * Hugging Face transformers: CLIP, SigLIP, SigLIP 2 and VisionTextDualEncoder, whole or the image
 * tower alone.
 */
export const transformersClip: Dialect = {
  name: 'transformers',
  title: 'Hugging Face transformers',
  prefix: /^vision_model\.(?:vision_model\.)?/,
  dualEncoder: true,
  resampling: ['bicubic', 'bicubic'],
  eps: 1e-5,
  territory: /^(?:embeddings|encoder|head)\./,
  signature: [/^embeddings\.patch_embedding\.weight$/, /^encoder\.layers\.0\.self_attn\./],
  renames: [
    [/^embeddings\.class_embedding$/, 'cls_token', asTokens],
    [/^embeddings\.patch_embedding\.(weight|bias)$/, 'patch_embed.proj.$1'],
    [/^embeddings\.position_embedding\.weight$/, 'pos_embed', asTokens],
    [/^pre_layrnorm\.(weight|bias)$/, 'norm_pre.$1'],
    inBlock('self_attn\\.q_proj', 'attn.q_proj'),
    inBlock('self_attn\\.k_proj', 'attn.k_proj'),
    inBlock('self_attn\\.v_proj', 'attn.v_proj'),
    inBlock('self_attn\\.out_proj', 'attn.proj'),
    inBlock('layer_norm1', 'norm1'),
    inBlock('layer_norm2', 'norm2'),
    inBlock('mlp\\.fc1', 'mlp.fc1'),
    inBlock('mlp\\.fc2', 'mlp.fc2'),
    [/^post_layernorm\.(weight|bias)$/, 'norm.$1'],
    [/^head\.probe$/, 'attn_pool.latent'],
    [/^head\.attention\.in_proj_(weight|bias)$/, 'attn_pool.q.$1', rows(0, 3)],
    [/^head\.attention\.in_proj_(weight|bias)$/, 'attn_pool.kv.$1', rows(1, 3, 2)],
    [/^head\.attention\.out_proj\.(weight|bias)$/, 'attn_pool.proj.$1'],
    [/^head\.layernorm\.(weight|bias)$/, 'attn_pool.norm.$1'],
    [/^head\.mlp\.(fc[12])\.(weight|bias)$/, 'attn_pool.mlp.$1.$2'],
    [/^visual_projection\.weight$/, 'projection.weight'],
    ...text,
  ],
  modules: [
    [/^blocks\.(\d+)$/, 'encoder.layers.$1.self_attn'],
    [/^attn_pool$/, 'head.attention'],
  ],
};

/** Rows for a block of OpenAI's residual attention transformer. */
function inResblock(from: string, to: string): Rename {
  return [
    new RegExp(`^visual\\.transformer\\.resblocks\\.(\\d+)\\.${from}(weight|bias)$`),
    `blocks.$1.${to}.$2`,
  ];
}

/** The text tower of OpenAI's names, whose own lie at the root. */
export const openAiText: readonly Rename[] = [
  ...text,
  [/^(positional_embedding|transformer\..+|token_embedding\.weight|ln_final\.(?:weight|bias))$/, 'text.$1'],
];

/** openai/CLIP (TorchScript archives) and open_clip's own image tower: the names are the same. */
export const openAiClip: Dialect = {
  name: 'clip',
  title: 'OpenAI CLIP / open_clip',
  dualEncoder: true,
  resampling: ['bicubic, antialias', 'bicubic, antialias'],
  eps: 1e-5,
  territory: /^visual\./,
  signature: [/^visual\.conv1\.weight$/, /^visual\.transformer\.resblocks\.0\./],
  renames: [
    [/^visual\.class_embedding$/, 'cls_token', asTokens],
    [/^visual\.conv1\.weight$/, 'patch_embed.proj.weight'],
    [/^visual\.positional_embedding$/, 'pos_embed', asTokens],
    [/^visual\.ln_pre\.(weight|bias)$/, 'norm_pre.$1'],
    inResblock('attn\\.in_proj_', 'attn.qkv'),
    inResblock('attn\\.out_proj\\.', 'attn.proj'),
    inResblock('ln_1\\.', 'norm1'),
    inResblock('ln_2\\.', 'norm2'),
    inResblock('mlp\\.c_fc\\.', 'mlp.fc1'),
    inResblock('mlp\\.c_proj\\.', 'mlp.fc2'),
    [/^visual\.transformer\.resblocks\.(\d+)\.ls_([12])\.gamma$/, 'blocks.$1.ls$2.gamma'],
    [/^visual\.ln_post\.(weight|bias)$/, 'norm.$1'],
    [/^visual\.proj$/, 'projection.weight', transposed],
    ...openAiText,
  ],
  modules: [[/^blocks\.(\d+)$/, 'visual.transformer.resblocks.$1']],
};

/**
 * open_clip over a timm model: `visual.trunk.*` has timm's names, `visual.head.proj` maps to the
 * joint space.
 */
export const openClipTrunk: Dialect = {
  name: 'open_clip',
  title: 'open_clip over timm',
  prefix: /^visual\.trunk\./,
  dualEncoder: true,
  resampling: ['bicubic, antialias', 'bicubic, antialias'],
  eps: 1e-6,
  territory: timmTerritory,
  signature: [/^patch_embed\.proj\.weight$/, /^blocks\.0\./, /^logit_scale$/],
  renames: [...timmNames, [/^visual\.head\.proj\.(weight|bias)$/, 'head.$1'], ...openAiText],
};
