import { timmNames, type Dialect, type Rename } from '../dialect';

/** More stages than any published model has. */
const stages = [0, 1, 2, 3, 4, 5];

/** A convolution and its norm, which the authors call `c` and `bn`. */
const unit = (from: string, to: string): readonly Rename[] => [
  [new RegExp(`^${from}c\\.`), `${to}conv.`],
  [new RegExp(`^${from}bn\\.`), `${to}bn.`],
];

/** Microsoft's TinyViT: merging at the end of a stage. MobileSAM keeps its names and adds a neck. */
export const originalTinyVit: Dialect = {
  name: 'tiny-vit',
  title: 'TinyViT (Microsoft)',
  families: ['tiny_vit'],
  resampling: ['bicubic', 'bicubic'],
  eps: 1e-5,
  signature: [
    /^patch_embed\.seq\.0\.c\.weight$/,
    /^layers\.0\.blocks\.0\.conv1\.c\.weight$/,
    /^layers\.1\.blocks\.0\.local_conv\.c\.weight$/,
  ],
  renames: [
    ...unit('patch_embed\\.seq\\.0\\.', 'patch_embed.conv1.'),
    ...unit('patch_embed\\.seq\\.2\\.', 'patch_embed.conv2.'),
    ...unit('layers\\.(\\d+)\\.blocks\\.(\\d+)\\.(conv[123]|local_conv)\\.', 'stages.$1.blocks.$2.$3.'),
    ...stages.flatMap((stage) =>
      unit(`layers\\.${stage}\\.downsample\\.(conv[123])\\.`, `stages.${stage + 1}.downsample.$1.`),
    ),
    [/^layers\.(\d+)\.blocks\.(\d+)\.((?:attn|mlp)\..+)$/, 'stages.$1.blocks.$2.$3'],
    [/^norm_head\./, 'head.norm.'],
    [/^head\.(weight|bias)$/, 'head.fc.$1'],
    [/^neck\./, 'neck.'],
  ],
  modules: [[/^stages\.(\d+)\.blocks\.(\d+)$/, 'layers.$1.blocks.$2']],
};

/** TinyViT as timm and its authors name it. */
export const tinyVitNames: readonly Dialect[] = [
  timmNames('tiny_vit', [
    /^patch_embed\.conv1\.conv\.weight$/,
    /^stages\.0\.blocks\.0\.conv1\.conv\.weight$/,
    /^stages\.1\.blocks\.0\.local_conv\.conv\.weight$/,
  ]),
  originalTinyVit,
];
