import type { Dialect } from './dialect';
import { originalV2, transformersBlock, transformersPyramid } from './pvt';

/** SegFormer as transformers names it, and its authors (NVlabs), whose names are those of PVT v2. */
export const segformerDialects: readonly Dialect[] = [
  {
    ...transformersPyramid,
    families: ['segformer'],
    prefix: /^segformer\.(?=encoder\.)/,
    signature: [
      /^encoder\.patch_embeddings\.0\.proj\.weight$/,
      /^encoder\.block\.0\.0\.mlp\.dwconv\.dwconv\.weight$/,
      /^encoder\.layer_norm\.0\.weight$/,
    ],
    renames: [
      [/^encoder\.patch_embeddings\.0\.proj\.(.+)$/, 'patch_embed.proj.$1'],
      [/^encoder\.patch_embeddings\.0\.layer_norm\.(.+)$/, 'patch_embed.norm.$1'],
      [/^encoder\.patch_embeddings\.([1-9]\d*)\.proj\.(.+)$/, 'stages.$1.downsample.proj.$2'],
      [/^encoder\.patch_embeddings\.([1-9]\d*)\.layer_norm\.(.+)$/, 'stages.$1.downsample.norm.$2'],
      ...transformersBlock('encoder\\.block\\.(\\d+)\\.(\\d+)'),
      [/^encoder\.layer_norm\.(\d+)\.(weight|bias)$/, 'stages.$1.norm.$2'],
      [/^classifier\.(weight|bias)$/, 'head.$1'],
      [/^decode_head\.(.+)$/, 'beside.decode_head.$1'],
    ],
    modules: [[/^stages\.(\d+)\.blocks\.(\d+)$/, 'encoder.block.$1.$2.attention.self']],
  },
  {
    ...originalV2,
    name: 'segformer',
    title: 'SegFormer (NVlabs)',
    families: ['segformer'],
    renames: [...originalV2.renames, [/^decode_head\.(.+)$/, 'beside.decode_head.$1']],
  },
];
