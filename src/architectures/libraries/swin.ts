import { whole, type Dialect, type Layout, type Rename } from '../dialect';
import { earlierNorms, openMmlab as openMmlabFacts, withLastNorm } from './openMmlab';

/** More stages than any published model has. */
const stages = Array.from({ length: 8 }, (_, stage) => stage);

/** Downsampling that stands at the end of a stage belongs to the next one in timm. */
const nextStage = (before: string): readonly Rename[] =>
  stages.map((stage) => [
    new RegExp(`^${before}${stage}\\.downsample\\.(.+)$`),
    `layers.${stage + 1}.downsample.$1`,
  ]);

/** What the libraries of all versions have in common. */
export const common = { resampling: ['bicubic', 'bicubic'], eps: 1e-5 } as const satisfies Partial<Dialect>;

/**
 * microsoft/Swin-Transformer, both versions. SimMIM's files hold the network as `encoder` and a
 * decoder beside it.
 */
export function original(family: string, table: string): Dialect {
  return {
    ...common,
    name: family,
    title: 'Swin Transformer (Microsoft)',
    families: [family],
    prefix: /^(?:encoder|backbone)\.(?=layers\.|patch_embed\.|norm\.)/,
    signature: [/^layers\.0\.downsample\./, new RegExp(`^layers\\.0\\.blocks\\.0\\.attn\\.${table}$`)],
    renames: [
      ...nextStage('layers\\.'),
      [/^(layers\.\d+\.blocks\..+)$/, '$1'],
      [/^(patch_embed\..+|norm\..+|mask_token|decoder\..+)$/, '$1'],
      [/^head\.(weight|bias)$/, 'head.fc.$1'],
    ],
  };
}

/** A block of a stage in transformers. */
export const block = '^encoder\\.layers\\.(\\d+)\\.blocks\\.(\\d+)\\.';

const inBlock = (from: string, to: string): Rename => [
  new RegExp(`${block}${from}$`),
  `layers.$1.blocks.$2.${to}`,
];

/**
 * Hugging Face transformers; its fifth version holds Swin under other names in memory, which files
 * may have as well.
 */
export function transformers(family: string, table: string): Dialect {
  return {
    ...common,
    name: 'transformers',
    title: 'Hugging Face transformers',
    families: [family],
    prefix: new RegExp(`^${family}\\.`),
    signature: [
      /^embeddings\.patch_embeddings\.projection\.weight$/,
      new RegExp(`${block}attention\\.self\\.${table}$`),
    ],
    renames: [
      [/^embeddings\.patch_embeddings\.projection\.(.+)$/, 'patch_embed.proj.$1'],
      [/^embeddings\.norm\.(.+)$/, 'patch_embed.norm.$1'],
      [/^embeddings\.mask_token$/, 'mask_token'],
      ...nextStage('encoder\\.layers\\.'),
      inBlock('attention\\.(?:self\\.query|q_proj)\\.(.+)', 'attn.q_proj.$3'),
      inBlock('attention\\.(?:self\\.key|k_proj)\\.(.+)', 'attn.k_proj.$3'),
      inBlock('attention\\.(?:self\\.value|v_proj)\\.(.+)', 'attn.v_proj.$3'),
      inBlock('attention\\.(?:output\\.dense|o_proj)\\.(.+)', 'attn.proj.$3'),
      inBlock(
        'attention\\.(?:self|relative_position_bias)\\.(relative_position_bias_table|relative_coords_table|logit_scale)',
        'attn.$3',
      ),
      inBlock('attention\\.self\\.continuous_position_bias_mlp\\.(.+)', 'attn.cpb_mlp.$3'),
      inBlock('layernorm_before\\.(.+)', 'norm1.$3'),
      inBlock('layernorm_after\\.(.+)', 'norm2.$3'),
      inBlock('(?:intermediate\\.dense|mlp\\.fc1)\\.(.+)', 'mlp.fc1.$3'),
      inBlock('(?:output\\.dense|mlp\\.fc2)\\.(.+)', 'mlp.fc2.$3'),
      [/^layernorm\.(.+)$/, 'norm.$1'],
      [/^classifier\.(.+)$/, 'head.fc.$1'],
      [/^(decoder\..+)$/, '$1'],
    ],
    modules: [[/^layers\.(\d+)\.blocks\.(\d+)$/, 'encoder.layers.$1.blocks.$2.attention.self']],
  };
}

const asStored: Layout = (tensor) => [whole(tensor)];

/**
 * A row for a part of a block: what follows the block's path in torchvision, in timm, and the
 * layout if it differs.
 */
type Part = readonly [from: string, to: string, layout?: Layout];

const torchvisionParts: readonly Part[] = [
  ['(norm[12]\\..+)', '$2'],
  ['mlp\\.0\\.(.+)', 'mlp.fc1.$2'],
  ['mlp\\.3\\.(.+)', 'mlp.fc2.$2'],
  ['(attn\\.(?:qkv\\.weight|proj|cpb_mlp|logit_scale|relative).*)', '$2'],
];

/** torchvision counts patch embedding, stages and merging in one list: 0, 1, 2 … */
export function torchvision(family: string, table: string, bias: readonly Part[]): Dialect {
  const inStage = (stage: number): readonly Rename[] =>
    [...torchvisionParts, ...bias].map(([from, to, layout = asStored]) => [
      new RegExp(`^features\\.${2 * stage + 1}\\.(\\d+)\\.${from}$`),
      `layers.${stage}.blocks.$1.${to}`,
      layout,
    ]);
  return {
    ...common,
    name: 'torchvision',
    title: 'torchvision',
    families: [family],
    signature: [/^features\.0\.0\.weight$/, new RegExp(`^features\\.1\\.0\\.attn\\.${table}$`)],
    renames: [
      [/^features\.0\.0\.(.+)$/, 'patch_embed.proj.$1'],
      [/^features\.0\.2\.(.+)$/, 'patch_embed.norm.$1'],
      ...stages
        .slice(1)
        .map((stage): Rename => [
          new RegExp(`^features\\.${2 * stage}\\.((?:reduction|norm)\\..+)$`),
          `layers.${stage}.downsample.$1`,
        ]),
      ...stages.flatMap(inStage),
      [/^(norm\..+)$/, '$1'],
      [/^head\.(.+)$/, 'head.fc.$1'],
    ],
    modules: stages.map((stage) => [
      new RegExp(`^layers\\.${stage}\\.blocks\\.(\\d+)$`),
      `features.${2 * stage + 1}.$1`,
    ]),
  };
}

/** Names of a stage and its patch embedding as timm has them. */
export const timmStages = [/^patch_embed\.proj\.weight$/, /^layers\.0\.blocks\.0\.mlp\.fc1\.weight$/];

/**
 * OpenMMLab's mmpretrain, mmdetection and mmsegmentation. The first version merges patches at the
 * end of a stage, the second at the start of the next one.
 */
export function openMmlab(family: string, table: string, merging: 'end' | 'start'): Dialect {
  const downsample: readonly Rename[] =
    merging === 'end'
      ? nextStage('stages\\.')
      : [[/^stages\.(\d+)\.downsample\.(.+)$/, 'layers.$1.downsample.$2']];
  const path = '^stages\\.(\\d+)\\.blocks\\.(\\d+)\\.';
  const part = (from: string, to: string): Rename => [
    new RegExp(`${path}${from}`),
    `layers.$1.blocks.$2.${to}`,
  ];
  return {
    ...common,
    ...openMmlabFacts,
    families: [family],
    signature: [
      /^patch_embed\.projection\.weight$/,
      new RegExp(`^stages\\.0\\.blocks\\.0\\.attn\\.w_msa\\.${table}$`),
    ],
    numbering: withLastNorm('norm'),
    renames: [
      [/^patch_embed\.projection\./, 'patch_embed.proj.'],
      [/^patch_embed\.norm\./, 'patch_embed.norm.'],
      [/^mask_token$/, 'mask_token'],
      ...downsample,
      part('norm([12])\\.', 'norm$3.'),
      part('attn\\.w_msa\\.', 'attn.'),
      part('ffn\\.layers\\.0\\.0\\.', 'mlp.fc1.'),
      part('ffn\\.layers\\.1\\.', 'mlp.fc2.'),
      [/^norm\./, 'norm.'],
      earlierNorms,
      [/^head\.fc\./, 'head.fc.'],
    ],
    modules: [[/^layers\.(\d+)\.blocks\.(\d+)$/, 'stages.$1.blocks.$2']],
  };
}
