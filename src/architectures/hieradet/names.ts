import { asNamed, timmNames, type Dialect } from '../dialect';

/**
 * facebookresearch/sam2: the image encoder's trunk; neck, memory, prompts and masks are other parts
 * of the model.
 */
const sam2: Dialect = timmNames(
  'hieradet',
  [/^image_encoder\.trunk\.pos_embed_window$/, /^image_encoder\.trunk\.blocks\.0\.attn\.qkv\.weight$/],
  {
    name: 'sam2',
    title: 'facebookresearch/sam2',
    renames: [
      [/^image_encoder\.trunk\.(blocks\.\d+\.mlp)\.layers\.0\.(weight|bias)$/, '$1.fc1.$2'],
      [/^image_encoder\.trunk\.(blocks\.\d+\.mlp)\.layers\.1\.(weight|bias)$/, '$1.fc2.$2'],
      [/^image_encoder\.trunk\.(.+)$/, '$1'],
      [/^(?!image_encoder\.trunk\.)(.+)$/, 'beside.$1'],
    ],
    buffers: /\.positional_encoding_gaussian_matrix$/,
    modules: [[/^blocks\.(\d+)$/, 'image_encoder.trunk.blocks.$1']],
  },
);

const ported = 'vision_encoder\\.backbone\\.';
const inPorted = (from: string): RegExp => new RegExp(`^${ported}${from}`);

/** Hugging Face transformers: the backbone of its SAM 2. */
const transformers: Dialect = timmNames(
  'hieradet',
  [inPorted('pos_embed_window$'), inPorted('blocks\\.0\\.attn\\.qkv\\.weight$')],
  {
    name: 'transformers',
    title: 'Hugging Face transformers',
    eps: 1e-6,
    renames: [
      [inPorted('patch_embed\\.projection\\.(weight|bias)$'), 'patch_embed.proj.$1'],
      [inPorted('(blocks\\.\\d+)\\.layer_norm(\\d)\\.(weight|bias)$'), '$1.norm$2.$3'],
      [inPorted('(blocks\\.\\d+\\.mlp)\\.proj_in\\.(weight|bias)$'), '$1.fc1.$2'],
      [inPorted('(blocks\\.\\d+\\.mlp)\\.proj_out\\.(weight|bias)$'), '$1.fc2.$2'],
      [inPorted('(.+)$'), '$1'],
      [new RegExp(`^(?!${ported})(.+)$`), 'beside.$1'],
    ],
    buffers: /\.positional_embedding$/,
    modules: [[/^blocks\.(\d+)$/, 'vision_encoder.backbone.blocks.$1.attn']],
  },
);

/** SAM 2's variant of Hiera with windows. */
export const hieradetNames: readonly Dialect[] = [
  transformers,
  sam2,
  timmNames('hieradet', [/^pos_embed_window$/, /^blocks\.0\.attn\.qkv\.weight$/], { renames: [asNamed] }),
];
