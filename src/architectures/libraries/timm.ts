import { whole, type Dialect, type Layout, type Rename } from '../dialect';

/** Modules of a block, in every variant that timm's vision_transformer.py builds. */
const block = [
  'norm1|norm2|ls1|ls2|in_norm|in_proj|q_norm|k_norm|sub_norm|out_proj|attn_out_proj|mlp_out_proj|ls|mlp_bias|lambda_[qk][12]|lambda_[ab]',
  'attn\\.(?:qkv|proj|q_norm|k_norm|norm|sub_norm|gate|lambda_[qk][12]|lambda_[ab])|mlp\\.(?:fc1|fc2|fc1_g|fc1_x|norm)',
  '(?:attns|ffns)\\.\\d+\\.(?:norm|ls|attn\\.(?:qkv|proj|q_norm|k_norm|norm)|mlp\\.(?:fc1|fc2|fc1_g|fc1_x|norm))',
].join('|');

const leaf = '(?:\\.(?:weight|bias|gamma))?';

/**
 * The embedding of a patch as a kernel: timm's first models kept a linear layer over the values of
 * a patch, channel by channel.
 */
const asKernel: Layout = (tensor) => {
  const [dim = 0, width = 0] = tensor.shape;
  const side = Math.sqrt(width / 3);
  return [
    tensor.shape.length === 2 && Number.isInteger(side) ? whole(tensor, [dim, 3, side, side]) : whole(tensor),
  ];
};

/**
 * Canonical names are timm's: these rows list which names belong to the model, everything else
 * beside them does not.
 */
export const timmNames: readonly Rename[] = [
  [/^(cls_token|dist_token|reg_token|pos_embed|mask_token)$/, '$1'],
  [/^(patch_embed\.proj\.weight)$/, '$1', asKernel],
  [/^(patch_embed\.proj\.bias)$/, '$1'],
  [/^((?:patch_embed\.norm|norm_pre|norm|fc_norm|head|head_dist)\.(?:weight|bias))$/, '$1'],
  [/^pre_logits\.fc\.(weight|bias)$/, 'pre_logits.$1'],
  [/^(attn_pool\.(?:latent|(?:q|kv|proj|norm|q_norm|k_norm|mlp\.fc1|mlp\.fc2)\.(?:weight|bias)))$/, '$1'],
  [new RegExp(`^(blocks\\.\\d+\\.(?:${block})${leaf})$`), '$1'],
];

/**
 * Modules of timm's network, and those that encoders of language models put behind theirs: they
 * rotate queries and keys, and no other of their names differs from a plain transformer's.
 */
export const timmTerritory = /^(?:blocks|patch_embed|attn_pool|merger|aligner)\./;

/**
 * rwightman/pytorch-image-models; also the original repositories of DeiT and DINO, whose names are
 * the same.
 */
export const timm: Dialect = {
  name: 'timm',
  title: 'timm',
  prefix: /^(?:(?:teacher\.)?backbone\.|student\.module\.backbone\.)/,
  outside: /^linear_head\./,
  resampling: ['bicubic, antialias', 'bicubic, antialias'],
  eps: 1e-6,
  territory: timmTerritory,
  signature: [/^patch_embed\.proj\.weight$/, /^blocks\.0\./],
  // ViTPose's: its positions are read otherwise.
  absent: [/^last_norm\./],
  renames: timmNames,
};
