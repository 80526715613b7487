import type { Dialect, Rename } from '../dialect';
import { originalV2, transformersBlock, transformersPyramid } from '../libraries/pyramids';

const ported: Dialect = {
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
};

const inBlock = (from: string, to: string): Rename => [
  new RegExp(`^stages\\.(\\d+)\\.blocks\\.(\\d+)\\.${from}\\.(?<leaf>weight|bias)$`),
  `stages.$1.blocks.$2.${to}.$<leaf>`,
];

/** The same under the names that transformers 5 holds in memory. */
const ported5: Dialect = {
  ...ported,
  inner: ported,
  name: 'transformers-5',
  title: 'Hugging Face transformers 5',
  prefix: /^segformer\.(?=stages\.)/,
  signature: [
    /^stages\.0\.patch_embeddings\.proj\.weight$/,
    /^stages\.0\.blocks\.0\.mlp\.dwconv\.dwconv\.weight$/,
  ],
  renames: [
    [/^stages\.0\.patch_embeddings\.proj\.(.+)$/, 'patch_embed.proj.$1'],
    [/^stages\.0\.patch_embeddings\.layer_norm\.(.+)$/, 'patch_embed.norm.$1'],
    [/^stages\.([1-9]\d*)\.patch_embeddings\.proj\.(.+)$/, 'stages.$1.downsample.proj.$2'],
    [/^stages\.([1-9]\d*)\.patch_embeddings\.layer_norm\.(.+)$/, 'stages.$1.downsample.norm.$2'],
    inBlock('layernorm_before', 'norm1'),
    inBlock('layernorm_after', 'norm2'),
    inBlock('attention\\.q_proj', 'attn.q'),
    inBlock('attention\\.([kv]_proj)', 'attn.$3'),
    inBlock('attention\\.o_proj', 'attn.proj'),
    inBlock('attention\\.sequence_reduction\\.sequence_reduction', 'attn.sr'),
    inBlock('attention\\.sequence_reduction\\.layer_norm', 'attn.norm'),
    inBlock('(mlp\\.fc[12])', '$3'),
    inBlock('mlp\\.dwconv\\.dwconv', 'mlp.dwconv'),
    [/^stages\.(\d+)\.layer_norm\.(weight|bias)$/, 'stages.$1.norm.$2'],
    [/^classifier\.(weight|bias)$/, 'head.$1'],
    [/^decode_head\.(.+)$/, 'beside.decode_head.$1'],
  ],
  modules: [[/^stages\.(\d+)\.blocks\.(\d+)$/, 'stages.$1.blocks.$2.attention']],
};

/**
 * SegFormer as transformers names it, and its authors (NVlabs), whose names are those of PVT v2.
 */
export const segformerNames: readonly Dialect[] = [
  ported,
  ported5,
  {
    ...originalV2,
    name: 'segformer',
    title: 'SegFormer (NVlabs)',
    families: ['segformer'],
    renames: [...originalV2.renames, [/^decode_head\.(.+)$/, 'beside.decode_head.$1']],
  },
];
