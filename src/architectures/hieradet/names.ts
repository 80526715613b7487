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

/** SAM 2's variant of Hiera with windows. */
export const hieradetNames: readonly Dialect[] = [
  sam2,
  timmNames('hieradet', [/^pos_embed_window$/, /^blocks\.0\.attn\.qkv\.weight$/], { renames: [asNamed] }),
];
