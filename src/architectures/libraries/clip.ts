import { asTokens, rows, transposed, type Dialect, type Layout, type Rename } from '../dialect';
import { timmNames, timmTerritory } from './timm';

/** Rows for a block of Hugging Face's CLIP and SigLIP towers. */
function inBlock(from: string, to: string): Rename {
  // transformers 5 writes AltCLIP's lists as `layer`.
  return [new RegExp(`^encoder\\.layers?\\.(\\d+)\\.${from}\\.(weight|bias)$`), `blocks.$1.${to}.$2`];
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
  signature: [/^embeddings\.patch_embedding\.weight$/, /^encoder\.layers?\.0\.self_attn\./],
  renames: [
    [/^embeddings\.class_embedding$/, 'cls_token', asTokens],
    [/^embeddings\.patch_embedding\.(weight|bias)$/, 'patch_embed.proj.$1'],
    [/^embeddings\.position_embedding\.weight$/, 'pos_embed', asTokens],
    // Misspelt in CLIP, not in OWL-ViT.
    [/^pre_lay(?:r|er)norm\.(weight|bias)$/, 'norm_pre.$1'],
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
    [/^classifier\.(weight|bias)$/, 'classifier.$1'],
    ...text,
  ],
  modules: [
    [/^blocks\.(\d+)$/, 'encoder.layers.$1.self_attn'],
    [/^attn_pool$/, 'head.attention'],
  ],
};

/** The text tower of OpenAI's names, whose own lie at the root. */
export const openAiText: readonly Rename[] = [
  ...text,
  [/^(positional_embedding|transformer\..+|token_embedding\.weight|ln_final\.(?:weight|bias))$/, 'text.$1'],
];

/** openai/CLIP's and open_clip's own image tower, whose names begin with `at`. */
function openAiTower(at: string, text: readonly Rename[], more: Partial<Dialect>): Dialect {
  const root = at.replaceAll('.', '\\.');
  const row = (from: string, to: string, layout?: Layout): Rename => [
    new RegExp(`^${root}${from}$`),
    to,
    ...(layout ? ([layout] as const) : ([] as const)),
  ];
  const inResblock = (from: string, to: string): Rename =>
    row(`transformer\\.resblocks\\.(\\d+)\\.${from}(weight|bias)`, `blocks.$1.${to}.$2`);
  return {
    name: 'clip',
    title: 'OpenAI CLIP / open_clip',
    dualEncoder: true,
    resampling: ['bicubic, antialias', 'bicubic, antialias'],
    eps: 1e-5,
    signature: [new RegExp(`^${root}conv1\\.weight$`), new RegExp(`^${root}transformer\\.resblocks\\.0\\.`)],
    renames: [
      row('class_embedding', 'cls_token', asTokens),
      row('conv1\\.weight', 'patch_embed.proj.weight'),
      row('positional_embedding', 'pos_embed', asTokens),
      row('ln_pre\\.(weight|bias)', 'norm_pre.$1'),
      inResblock('attn\\.in_proj_', 'attn.qkv'),
      inResblock('attn\\.out_proj\\.', 'attn.proj'),
      inResblock('ln_1\\.', 'norm1'),
      inResblock('ln_2\\.', 'norm2'),
      inResblock('mlp\\.c_fc\\.', 'mlp.fc1'),
      inResblock('mlp\\.c_proj\\.', 'mlp.fc2'),
      row('transformer\\.resblocks\\.(\\d+)\\.ls_([12])\\.gamma', 'blocks.$1.ls$2.gamma'),
      row('ln_post\\.(weight|bias)', 'norm.$1'),
      row('proj', 'projection.weight', transposed),
      ...text,
    ],
    modules: [[/^blocks\.(\d+)$/, `${at}transformer.resblocks.$1`]],
    ...more,
  };
}

/** openai/CLIP (TorchScript archives) and open_clip: the tower beside the text's. */
export const openAiClip: Dialect = openAiTower('visual.', openAiText, { territory: /^visual\./ });

/**
 * The tower saved alone, `model.visual.state_dict()`: its names are those of the text tower of a
 * whole model, which has no convolution.
 */
export const openAiTowerAlone: Dialect = openAiTower('', [], {
  territory: /^(?:transformer|attn_pool\w*|conv\d|bn\d|layer\d|attnpool|downsample|ln_\w+)\./,
  absent: [/^token_embedding\.weight$/, /^attn_pool\./],
});

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
