import { rows, whole, type Dialect, type Layout, type Rename } from '../dialect';
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

/** A convolution of 1 × 1 as the linear layer that it is. */
const asLinear: Layout = (tensor) => [whole(tensor, tensor.shape.slice(0, 2))];

const inLayer = (from: string, to: string, layout: Layout = (tensor) => [whole(tensor)]): Rename => [
  new RegExp(`^layers\\.(\\d+)\\.1\\.(\\d+)\\.${from}(weight|bias)$`),
  `stages.$1.blocks.$2.${to}.$3`,
  layout,
];

/** mmsegmentation's MixVisionTransformer: torch's attention, and convolutions of 1 × 1 as MLP. */
const openMmlab: Dialect = {
  ...transformersPyramid,
  name: 'mmsegmentation',
  title: 'mmsegmentation',
  families: ['segformer'],
  prefix: /^backbone\./,
  signature: [
    /^layers\.0\.0\.projection\.weight$/,
    /^layers\.0\.1\.0\.attn\.attn\.in_proj_weight$/,
    /^layers\.0\.1\.0\.ffn\.layers\.4\.weight$/,
  ],
  renames: [
    [/^layers\.0\.0\.projection\./, 'patch_embed.proj.'],
    [/^layers\.0\.0\.norm\./, 'patch_embed.norm.'],
    [/^layers\.([1-9]\d*)\.0\.projection\./, 'stages.$1.downsample.proj.'],
    [/^layers\.([1-9]\d*)\.0\.norm\./, 'stages.$1.downsample.norm.'],
    inLayer('norm1\\.', 'norm1'),
    inLayer('norm2\\.', 'norm2'),
    inLayer('attn\\.sr\\.', 'attn.sr'),
    inLayer('attn\\.norm\\.', 'attn.norm'),
    inLayer('attn\\.attn\\.out_proj\\.', 'attn.proj'),
    inLayer('attn\\.attn\\.in_proj_', 'attn.q', rows(0, 3)),
    inLayer('attn\\.attn\\.in_proj_', 'attn.kv', rows(1, 3, 2)),
    [/^layers\.(\d+)\.1\.(\d+)\.ffn\.layers\.0\.weight$/, 'stages.$1.blocks.$2.mlp.fc1.weight', asLinear],
    [/^layers\.(\d+)\.1\.(\d+)\.ffn\.layers\.4\.weight$/, 'stages.$1.blocks.$2.mlp.fc2.weight', asLinear],
    [/^layers\.(\d+)\.1\.(\d+)\.ffn\.layers\.0\.bias$/, 'stages.$1.blocks.$2.mlp.fc1.bias'],
    [/^layers\.(\d+)\.1\.(\d+)\.ffn\.layers\.4\.bias$/, 'stages.$1.blocks.$2.mlp.fc2.bias'],
    inLayer('ffn\\.layers\\.1\\.', 'mlp.dwconv'),
    [/^layers\.(\d+)\.2\.(weight|bias)$/, 'stages.$1.norm.$2'],
  ],
  modules: [[/^stages\.(\d+)\.blocks\.(\d+)$/, 'layers.$1.1.$2.attn']],
};

/**
 * SegFormer as transformers names it, and its authors (NVlabs), whose names are those of PVT v2.
 */
export const segformerNames: readonly Dialect[] = [
  openMmlab,
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
