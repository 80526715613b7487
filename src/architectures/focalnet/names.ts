import { timmNames, type Dialect, type Rename } from '../dialect';

/** A module of a block: transformers' stages are timm's layers. */
const inBlock = (from: string, to: string): Rename => [
  new RegExp(`^encoder\\.stages\\.(\\d+)\\.layers\\.(\\d+)\\.${from}$`),
  `layers.$1.blocks.$2.${to}`,
];

/** transformers downsamples at the end of a stage, timm at the start of the next one. */
const downsampling: readonly Rename[] = [0, 1, 2, 3].flatMap((stage): Rename[] => [
  [
    new RegExp(`^encoder\\.stages\\.${stage}\\.downsample\\.projection\\.(.+)$`),
    `layers.${stage + 1}.downsample.proj.$1`,
  ],
  [
    new RegExp(`^encoder\\.stages\\.${stage}\\.downsample\\.norm\\.(.+)$`),
    `layers.${stage + 1}.downsample.norm.$1`,
  ],
]);

const transformers: Dialect = {
  name: 'transformers',
  title: 'Hugging Face transformers',
  prefix: /^focalnet\.(?=embeddings\.)/,
  families: ['focalnet'],
  resampling: ['bicubic', 'bicubic'],
  eps: 1e-5,
  signature: [
    /^embeddings\.patch_embeddings\.projection\.weight$/,
    /^encoder\.stages\.0\.layers\.0\.modulation\.projection_in\.weight$/,
  ],
  renames: [
    [/^embeddings\.patch_embeddings\.projection\.(.+)$/, 'stem.proj.$1'],
    [/^embeddings\.norm\.(.+)$/, 'stem.norm.$1'],
    [/^embeddings\.mask_token$/, 'mask_token'],
    ...downsampling,
    inBlock('((?:norm[12]|mlp\\.fc[12])\\..+)', '$3'),
    inBlock('gamma_([12])', 'ls$3.gamma'),
    inBlock('modulation\\.projection_in\\.(.+)', 'modulation.f.$3'),
    inBlock('modulation\\.projection_context\\.(.+)', 'modulation.h.$3'),
    inBlock('modulation\\.projection_out\\.(.+)', 'modulation.proj.$3'),
    inBlock('modulation\\.layernorm\\.(.+)', 'modulation.norm.$3'),
    inBlock('(modulation\\.focal_layers\\..+)', '$3'),
    [/^layernorm\.(.+)$/, 'norm.$1'],
    [/^classifier\.(.+)$/, 'head.fc.$1'],
  ],
};

/** A block's parts that are named otherwise by the authors. */
const originalBlock = (from: string, to: string): Rename => [
  new RegExp(`^layers\\.(\\d+)\\.blocks\\.(\\d+)\\.${from}`),
  `layers.$1.blocks.$2.${to}`,
];

/**
 * microsoft/FocalNet: downsampling at the end of a stage, and norms of one name before or after the
 * branches.
 */
const original: Dialect = {
  name: 'focalnet',
  title: 'FocalNet (Microsoft)',
  families: ['focalnet'],
  resampling: ['bicubic', 'bicubic'],
  eps: 1e-5,
  signature: [/^patch_embed\.proj\.weight$/, /^layers\.0\.blocks\.0\.modulation\.f\.weight$/],
  renames: [
    [/^patch_embed\./, 'stem.'],
    ...[0, 1, 2, 3].map((stage): Rename => [
      new RegExp(`^layers\\.${stage}\\.downsample\\.`),
      `layers.${stage + 1}.downsample.`,
    ]),
    originalBlock('gamma_([12])$', 'ls$3.gamma'),
    originalBlock('modulation\\.ln\\.', 'modulation.norm.'),
    originalBlock('(?!gamma_|modulation\\.ln\\.)', ''),
    [/^norm\./, 'norm.'],
    [/^head\.(weight|bias)$/, 'head.fc.$1'],
  ],
};

export const focalnetNames: readonly Dialect[] = [
  timmNames('focalnet', [/^stem\.proj\.weight$/, /^layers\.0\.blocks\.0\.modulation\.f\.weight$/]),
  transformers,
  original,
];
