import type { Dialect, Rename } from '../dialect';

/** Stages of the original repository are numbered from 1, in names such as `block1`. */
const originalStages: readonly (readonly [number: number, stage: number])[] = [
  [1, 0],
  [2, 1],
  [3, 2],
  [4, 3],
];

const patchesOf = (stage: number): string => (stage === 0 ? 'patch_embed' : `stages.${stage}.downsample`);

const originalRenames: readonly Rename[] = [
  ...originalStages.flatMap(([number, stage]): Rename[] => [
    [new RegExp(`^patch_embed${number}\\.(.+)$`), `${patchesOf(stage)}.$1`],
    [new RegExp(`^block${number}\\.(\\d+\\.mlp\\.dwconv)\\.dwconv\\.(.+)$`), `stages.${stage}.blocks.$1.$2`],
    [new RegExp(`^block${number}\\.(?!\\d+\\.mlp\\.dwconv\\.)(.+)$`), `stages.${stage}.blocks.$1`],
    [new RegExp(`^norm${number}\\.(.+)$`), `stages.${stage}.norm.$1`],
    [new RegExp(`^pos_embed${number}$`), `stages.${stage}.pos_embed`],
  ]),
  [/^cls_token$/, 'stages.3.cls_token'],
  [/^((?:norm|head)\.(?:weight|bias))$/, '$1'],
];

/** whai362/PVT, both versions. */
export const original: Dialect = {
  name: 'pvt',
  title: 'PVT (whai362)',
  prefix: /^backbone\.(?=patch_embed1\.)/,
  resampling: ['bilinear', 'bilinear'],
  eps: 1e-6,
  signature: [/^patch_embed1\.proj\.weight$/, /^block1\.0\.attn\.kv\.weight$/],
  renames: originalRenames,
  modules: originalStages.map(
    ([number, stage]) => [new RegExp(`^stages\\.${stage}\\.blocks\\.`), `block${number}.`] as const,
  ),
};

/**
 * Modules of a block that transformers names alike in PVT, PVT v2 and SegFormer; `block` captures
 * stage and index.
 */
export function transformersBlock(block: string): readonly Rename[] {
  const row = (from: string, to: string): Rename => [
    new RegExp(`^${block}\\.${from}\\.(weight|bias)$`),
    `stages.$1.blocks.$2.${to}.$3`,
  ];
  return [
    row('layer_norm_1', 'norm1'),
    row('layer_norm_2', 'norm2'),
    row('attention\\.(?:self\\.)?query', 'attn.q'),
    row('attention\\.(?:self\\.)?key', 'attn.k_proj'),
    row('attention\\.(?:self\\.)?value', 'attn.v_proj'),
    row('attention\\.(?:self\\.)?(?:sr|sequence_reduction|spatial_reduction)', 'attn.sr'),
    row('attention\\.(?:self\\.)?layer_norm', 'attn.norm'),
    row('attention\\.(?:output\\.dense|proj)', 'attn.proj'),
    row('mlp\\.dense1', 'mlp.fc1'),
    row('mlp\\.dwconv\\.dwconv', 'mlp.dwconv'),
    row('mlp\\.dense2', 'mlp.fc2'),
  ];
}

/** What the three have in common besides. */
export const transformersPyramid = {
  name: 'transformers',
  title: 'Hugging Face transformers',
  resampling: ['bilinear', 'bilinear'],
  eps: 1e-6,
} as const satisfies Partial<Dialect>;

/** PVT v2 as its authors name it. */
export const originalV2: Dialect = {
  ...original,
  families: ['pvt_v2'],
  signature: [...original.signature, /^block1\.0\.mlp\.dwconv\.dwconv\.weight$/],
};
