import { timmNames, type Dialect, type Rename } from '../dialect';
import { earlierNorms, openMmlab, withLastNorm } from '../libraries/openMmlab';

/** More stages than any published model has. */
const stages = [0, 1, 2, 3, 4, 5];

/** A convolution and its norm, which the authors call `c` and `bn`. */
const unit = (from: string, to: string): readonly Rename[] => [
  [new RegExp(`^${from}c\\.`), `${to}conv.`],
  [new RegExp(`^${from}bn\\.`), `${to}bn.`],
];

const neck = /^neck\.0\.weight$/;

/** Rows of the stages, which the two repositories have in common. */
const network: readonly Rename[] = [
  ...unit('patch_embed\\.seq\\.0\\.', 'patch_embed.conv1.'),
  ...unit('patch_embed\\.seq\\.2\\.', 'patch_embed.conv2.'),
  ...unit('layers\\.(\\d+)\\.blocks\\.(\\d+)\\.(conv[123]|local_conv)\\.', 'stages.$1.blocks.$2.$3.'),
  ...stages.flatMap((stage) =>
    unit(`layers\\.${stage}\\.downsample\\.(conv[123])\\.`, `stages.${stage + 1}.downsample.$1.`),
  ),
  [/^layers\.(\d+)\.blocks\.(\d+)\.((?:attn|mlp)\..+)$/, 'stages.$1.blocks.$2.$3'],
];

/** Microsoft's TinyViT: merging at the end of a stage. */
const original: Dialect = {
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
  absent: [neck],
  renames: [...network, [/^norm_head\./, 'head.norm.'], [/^head\.(weight|bias)$/, 'head.fc.$1']],
  modules: [[/^stages\.(\d+)\.blocks\.(\d+)$/, 'layers.$1.blocks.$2']],
};

/** MobileSAM's image encoder: the same with a neck; norm and classifier are left over. */
export const mobileSam: Dialect = {
  ...original,
  name: 'mobile-sam',
  title: 'MobileSAM',
  signature: [...original.signature, neck],
  absent: undefined,
  renames: [...network, [/^neck\./, 'neck.'], [/^(?:norm_head|head)\./, 'beside.$&']],
};

/** A convolution and its norm of OpenMMLab's. */
const unit2d = (from: string, to: string): readonly Rename[] => [
  [new RegExp(`^${from}conv2d\\.`), `${to}conv.`],
  [new RegExp(`^${from}bn2d\\.`), `${to}bn.`],
];

/** OpenMMLab, which merges patches at the end of a stage, too. */
const mmpretrain: Dialect = {
  ...openMmlab,
  families: ['tiny_vit'],
  eps: 1e-5,
  signature: [
    /^patch_embed\.seq\.0\.conv2d\.weight$/,
    /^stages\.0\.blocks\.0\.conv1\.conv2d\.weight$/,
    /^stages\.1\.blocks\.0\.local_conv\.conv2d\.weight$/,
  ],
  numbering: withLastNorm('norm'),
  renames: [
    ...unit2d('patch_embed\\.seq\\.0\\.', 'patch_embed.conv1.'),
    ...unit2d('patch_embed\\.seq\\.2\\.', 'patch_embed.conv2.'),
    ...unit2d('stages\\.(\\d+)\\.blocks\\.(\\d+)\\.(conv[123]|local_conv)\\.', 'stages.$1.blocks.$2.$3.'),
    ...stages.flatMap((stage) =>
      unit2d(`stages\\.${stage}\\.downsample\\.(conv[123])\\.`, `stages.${stage + 1}.downsample.$1.`),
    ),
    [/^stages\.(\d+)\.blocks\.(\d+)\.((?:attn|mlp)\..+)$/, '$&'],
    [/^norm\./, 'head.norm.'],
    earlierNorms,
    [/^head\.fc\./, 'head.fc.'],
  ],
};

/** TinyViT as timm and its authors name it. */
export const tinyVitNames: readonly Dialect[] = [
  timmNames('tiny_vit', [
    /^patch_embed\.conv1\.conv\.weight$/,
    /^stages\.0\.blocks\.0\.conv1\.conv\.weight$/,
    /^stages\.1\.blocks\.0\.local_conv\.conv\.weight$/,
  ]),
  mobileSam,
  original,
  mmpretrain,
];
