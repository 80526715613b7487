import { timmNames, type Dialect } from '../dialect';
import { originalV2, transformersBlock, transformersPyramid } from '../libraries/pyramids';

const transformers: Dialect = {
  ...transformersPyramid,
  families: ['pvt_v2'],
  prefix: /^pvt_v2\.(?=encoder\.)/,
  signature: [
    /^encoder\.layers\.0\.patch_embedding\.proj\.weight$/,
    /^encoder\.layers\.0\.blocks\.0\.mlp\.dwconv\./,
  ],
  renames: [
    [/^encoder\.layers\.0\.patch_embedding\.proj\.(.+)$/, 'patch_embed.proj.$1'],
    [/^encoder\.layers\.0\.patch_embedding\.layer_norm\.(.+)$/, 'patch_embed.norm.$1'],
    [/^encoder\.layers\.([1-9]\d*)\.patch_embedding\.proj\.(.+)$/, 'stages.$1.downsample.proj.$2'],
    [/^encoder\.layers\.([1-9]\d*)\.patch_embedding\.layer_norm\.(.+)$/, 'stages.$1.downsample.norm.$2'],
    ...transformersBlock('encoder\\.layers\\.(\\d+)\\.blocks\\.(\\d+)'),
    [/^encoder\.layers\.(\d+)\.layer_norm\.(weight|bias)$/, 'stages.$1.norm.$2'],
    [/^classifier\.(weight|bias)$/, 'head.$1'],
  ],
  modules: [[/^stages\.(\d+)\.blocks\.(\d+)$/, 'encoder.layers.$1.blocks.$2.attention']],
};

/** Pyramid Vision Transformers of the second version. */
export const pvtV2Names: readonly Dialect[] = [
  originalV2,
  transformers,
  timmNames('pvt_v2', [
    /^patch_embed\.proj\.weight$/,
    /^stages\.0\.blocks\.0\.attn\.kv\.weight$/,
    /^stages\.0\.blocks\.0\.mlp\.dwconv\.weight$/,
    /^stages\.1\.downsample\.proj\.weight$/,
  ]),
];
