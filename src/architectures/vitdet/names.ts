import type { Dialect, Rename } from '../dialect';

/** A module of a layer and its canonical name. */
const inLayer = (from: string, to: string): Rename => [
  new RegExp(`^encoder\\.layer\\.(\\d+)\\.${from}\\.(.+)$`),
  `blocks.$1.${to}.$2`,
];

/** detectron2's ViT and mmdetection's project of it: timm's names, with relative positions. */
export const detectron2: Dialect = {
  name: 'detectron2',
  title: 'detectron2 / mmdetection',
  families: ['vitdet'],
  resampling: ['bicubic', 'bicubic'],
  eps: 1e-6,
  territory: /^(?:blocks|patch_embed|neck)\./,
  signature: [
    /^patch_embed\.proj\.weight$/,
    /^blocks\.0\.attn\.rel_pos_h$/,
    /^blocks\.0\.attn\.qkv\.weight$/,
  ],
  // SAM's encoder has a neck; MViT's tables lie in stages.
  absent: [/^neck\./, /^cls_token$/],
  renames: [
    [/^pos_embed$/, 'pos_embed'],
    [/^(patch_embed\.proj\.(?:weight|bias))$/, '$1'],
    [/^(blocks\.\d+\.(?:norm[12]|attn|mlp|residual)\..+)$/, '$1'],
  ],
};

/** Hugging Face transformers: VitDet. */
export const vitdetNames: readonly Dialect[] = [
  detectron2,
  {
    name: 'transformers',
    title: 'Hugging Face transformers',
    families: ['vitdet'],
    prefix: /^(?:vitdet|backbone)\.(?=embeddings\.|encoder\.)/,
    resampling: ['bicubic', 'bicubic'],
    eps: 1e-6,
    signature: [
      /^embeddings\.projection\.weight$/,
      /^encoder\.layer\.0\.attention\.rel_pos_h$/,
      /^encoder\.layer\.0\.attention\.qkv\.weight$/,
    ],
    renames: [
      [/^embeddings\.position_embeddings$/, 'pos_embed'],
      [/^embeddings\.projection\.(weight|bias)$/, 'patch_embed.proj.$1'],
      inLayer('attention', 'attn'),
      inLayer('norm1', 'norm1'),
      inLayer('norm2', 'norm2'),
      inLayer('mlp', 'mlp'),
      inLayer('residual', 'residual'),
    ],
    modules: [[/^blocks\.(\d+)$/, 'encoder.layer.$1.attention']],
  },
];
