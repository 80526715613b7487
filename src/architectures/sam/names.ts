import { asNamed, timmNames, type Dialect, type Rename } from '../dialect';
import { inLayer, openMmlab, plainRows } from '../libraries/openMmlab';

const positions = /^blocks\.0\.attn\.rel_pos_h$/;

/** Prompts and masks are other parts of the model. */
const beside: Rename = [/^((?:prompt_encoder|mask_decoder|shared_image_embedding)\..+)$/, 'beside.$1'];

/**
 * facebookresearch/segment-anything: timm's names but for the MLP's, beside a prompt encoder and a
 * mask decoder.
 */
const original: Dialect = timmNames(
  'sam',
  [/^image_encoder\.blocks\.0\.attn\.rel_pos_h$/, /^image_encoder\.neck\.0\.weight$/],
  {
    name: 'sam',
    title: 'facebookresearch/segment-anything',
    renames: [
      [/^image_encoder\.(blocks\.\d+\.mlp)\.lin([12])\.(weight|bias)$/, '$1.fc$2.$3'],
      [/^image_encoder\.(.+)$/, '$1'],
      beside,
    ],
    buffers: /^prompt_encoder\.pe_layer\.positional_encoding_gaussian_matrix$/,
    modules: [[/^blocks\.(\d+)$/, 'image_encoder.blocks.$1']],
  },
);

/** The same encoder alone, as training code saves it. */
const originalEncoder: Dialect = timmNames(
  'sam',
  [positions, /^neck\.0\.weight$/, /^blocks\.0\.mlp\.lin1\.weight$/],
  {
    name: 'sam-encoder',
    title: 'facebookresearch/segment-anything',
    renames: [
      [/^(blocks\.\d+\.mlp)\.lin([12])\.(weight|bias)$/, '$1.fc$2.$3'],
      [/^(?!blocks\.\d+\.mlp\.lin)/, ''],
    ],
  },
);

const encoder = '^vision_encoder\\.';

/** Hugging Face transformers: SamModel and its image encoder alone. */
const transformers: Dialect = {
  name: 'transformers',
  title: 'Hugging Face transformers',
  families: ['sam'],
  resampling: ['bicubic, antialias', 'bicubic, antialias'],
  eps: 1e-6,
  signature: [/^vision_encoder\.layers\.0\.attn\.rel_pos_h$/, /^vision_encoder\.neck\.layer_norm1\.weight$/],
  renames: [
    [new RegExp(`${encoder}patch_embed\\.projection\\.(weight|bias)$`), 'patch_embed.proj.$1'],
    [new RegExp(`${encoder}pos_embed$`), 'pos_embed'],
    [new RegExp(`${encoder}layers\\.(\\d+)\\.layer_norm([12])\\.(weight|bias)$`), 'blocks.$1.norm$2.$3'],
    [new RegExp(`${encoder}layers\\.(\\d+)\\.mlp\\.lin([12])\\.(weight|bias)$`), 'blocks.$1.mlp.fc$2.$3'],
    [new RegExp(`${encoder}layers\\.(\\d+)\\.(attn\\..+)$`), 'blocks.$1.$2'],
    [new RegExp(`${encoder}neck\\.conv1\\.weight$`), 'neck.0.weight'],
    [new RegExp(`${encoder}neck\\.layer_norm1\\.(weight|bias)$`), 'neck.1.$1'],
    [new RegExp(`${encoder}neck\\.conv2\\.weight$`), 'neck.2.weight'],
    [new RegExp(`${encoder}neck\\.layer_norm2\\.(weight|bias)$`), 'neck.3.$1'],
    beside,
  ],
  modules: [[/^blocks\.(\d+)$/, 'vision_encoder.layers.$1.attn']],
};

/** OpenMMLab: ViTSAM, the encoder alone. */
const mmpretrain: Dialect = {
  ...openMmlab,
  families: ['sam'],
  eps: 1e-6,
  signature: [
    /^patch_embed\.projection\.weight$/,
    /^layers\.0\.attn\.rel_pos_h$/,
    /^channel_reduction\.0\.weight$/,
  ],
  renames: [
    ...plainRows,
    [/^layers\.(\d+)\.attn\.(rel_pos_[hw])$/, 'blocks.$1.attn.$2'],
    inLayer('attn\\.qkv', 'attn.qkv'),
    inLayer('attn\\.proj', 'attn.proj'),
    [/^channel_reduction\./, 'neck.'],
  ],
  modules: [[/^blocks\.(\d+)$/, 'layers.$1']],
};

/** SAM's image encoder alone (timm) and with prompts and masks. */
export const samNames: readonly Dialect[] = [
  original,
  originalEncoder,
  transformers,
  mmpretrain,
  // nn.LayerNorm's own epsilon, if the authors set one.
  timmNames('sam', [positions, /^neck\.(?:0\.)?weight$/], { renames: [asNamed], eps: 1e-5 }),
];
