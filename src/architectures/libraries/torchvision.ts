import type { Dialect } from '../dialect';

/** torchvision.models.vision_transformer. */
export const torchvision: Dialect = {
  name: 'torchvision',
  title: 'torchvision',
  resampling: ['bicubic, corners aligned', 'bicubic, corners aligned'],
  eps: 1e-6,
  territory: /^encoder\./,
  signature: [/^conv_proj\.weight$/, /^encoder\.layers\.encoder_layer_0\./],
  renames: [
    [/^class_token$/, 'cls_token'],
    [/^conv_proj\.(weight|bias)$/, 'patch_embed.proj.$1'],
    [/^encoder\.pos_embedding$/, 'pos_embed'],
    [/^encoder\.layers\.encoder_layer_(\d+)\.ln_([12])\.(weight|bias)$/, 'blocks.$1.norm$2.$3'],
    [
      /^encoder\.layers\.encoder_layer_(\d+)\.self_attention\.in_proj_(weight|bias)$/,
      'blocks.$1.attn.qkv.$2',
    ],
    [
      /^encoder\.layers\.encoder_layer_(\d+)\.self_attention\.out_proj\.(weight|bias)$/,
      'blocks.$1.attn.proj.$2',
    ],
    [/^encoder\.layers\.encoder_layer_(\d+)\.mlp\.(?:0|linear_1)\.(weight|bias)$/, 'blocks.$1.mlp.fc1.$2'],
    [/^encoder\.layers\.encoder_layer_(\d+)\.mlp\.(?:3|linear_2)\.(weight|bias)$/, 'blocks.$1.mlp.fc2.$2'],
    [/^encoder\.ln\.(weight|bias)$/, 'norm.$1'],
    [/^heads\.pre_logits\.(weight|bias)$/, 'pre_logits.$1'],
    [/^heads\.head\.(weight|bias)$/, 'head.$1'],
  ],
  modules: [[/^blocks\.(\d+)$/, 'encoder.layers.encoder_layer_$1']],
};
