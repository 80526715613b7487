import type { Dialect } from '../dialect';
import { original, transformersBlock, transformersPyramid } from '../libraries/pyramids';

const transformers: Dialect = {
  ...transformersPyramid,
  families: ['pvt'],
  prefix: /^pvt\.(?=encoder\.)/,
  signature: [
    /^encoder\.patch_embeddings\.0\.position_embeddings$/,
    /^encoder\.block\.0\.0\.attention\.self\.query\.weight$/,
  ],
  renames: [
    [/^encoder\.patch_embeddings\.0\.projection\.(.+)$/, 'patch_embed.proj.$1'],
    [/^encoder\.patch_embeddings\.0\.layer_norm\.(.+)$/, 'patch_embed.norm.$1'],
    [/^encoder\.patch_embeddings\.([1-9]\d*)\.projection\.(.+)$/, 'stages.$1.downsample.proj.$2'],
    [/^encoder\.patch_embeddings\.([1-9]\d*)\.layer_norm\.(.+)$/, 'stages.$1.downsample.norm.$2'],
    [/^encoder\.patch_embeddings\.(\d+)\.position_embeddings$/, 'stages.$1.pos_embed'],
    [/^encoder\.patch_embeddings\.(\d+)\.cls_token$/, 'stages.$1.cls_token'],
    ...transformersBlock('encoder\\.block\\.(\\d+)\\.(\\d+)'),
    [/^encoder\.layer_norm\.(weight|bias)$/, 'norm.$1'],
    [/^classifier\.(weight|bias)$/, 'head.$1'],
  ],
  modules: [[/^stages\.(\d+)\.blocks\.(\d+)$/, 'encoder.block.$1.$2.attention.self']],
};

/** Pyramid Vision Transformers of the first version. */
export const pvtNames: readonly Dialect[] = [
  { ...original, families: ['pvt'], signature: [...original.signature, /^pos_embed1$/] },
  transformers,
];
