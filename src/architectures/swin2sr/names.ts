import type { Dialect, Rename } from '../dialect';
import { common } from '../libraries/swin';

const stage = '^encoder\\.stages\\.(\\d+)\\.';

const inBlock = (from: string, to: string): Rename => [
  new RegExp(`${stage}layers\\.(\\d+)\\.${from}\\.(.+)$`),
  `layers.$1.blocks.$2.${to}.$3`,
];

/** Hugging Face transformers' own names; what enlarges the image stands beside the network. */
const transformers: Dialect = {
  ...common,
  name: 'transformers',
  title: 'Hugging Face transformers',
  families: ['swin2sr'],
  prefix: /^swin2sr\./,
  signature: [
    /^first_convolution\.weight$/,
    /^encoder\.stages\.0\.layers\.0\.attention\.self\.logit_scale$/,
    /^conv_after_body\.weight$/,
  ],
  renames: [
    [/^first_convolution\.(.+)$/, 'conv_first.$1'],
    [/^embeddings\.patch_embeddings\.projection\.(.+)$/, 'patch_embed.proj.$1'],
    [/^embeddings\.patch_embeddings\.layernorm\.(.+)$/, 'patch_embed.norm.$1'],
    inBlock('attention\\.self\\.query', 'attn.q_proj'),
    inBlock('attention\\.self\\.key', 'attn.k_proj'),
    inBlock('attention\\.self\\.value', 'attn.v_proj'),
    inBlock('attention\\.self\\.continuous_position_bias_mlp', 'attn.cpb_mlp'),
    [
      new RegExp(`${stage}layers\\.(\\d+)\\.attention\\.self\\.(logit_scale|relative_coords_table)$`),
      'layers.$1.blocks.$2.attn.$3',
    ],
    inBlock('attention\\.output\\.dense', 'attn.proj'),
    inBlock('layernorm_before', 'norm1'),
    inBlock('layernorm_after', 'norm2'),
    inBlock('intermediate\\.dense', 'mlp.fc1'),
    inBlock('output\\.dense', 'mlp.fc2'),
    [new RegExp(`${stage}(conv\\..+)$`), 'layers.$1.$2'],
    [new RegExp(`${stage}patch_embed\\.projection\\.(.+)$`), 'layers.$1.patch_embed.proj.$2'],
    [/^layernorm\.(.+)$/, 'norm.$1'],
    [/^((?:conv_after_body|upsample|final_convolution)\..+)$/, '$1'],
  ],
  modules: [[/^layers\.(\d+)\.blocks\.(\d+)$/, 'encoder.stages.$1.layers.$2.attention.self']],
};

export const swin2srNames: readonly Dialect[] = [transformers];
