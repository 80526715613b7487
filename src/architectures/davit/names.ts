import { timmNames, type Dialect } from '../dialect';

/** dingmyu/davit. */
const original: Dialect = {
  name: 'davit',
  title: 'DaViT (dingmyu)',
  families: ['davit'],
  resampling: ['bicubic', 'bicubic'],
  eps: 1e-5,
  signature: [/^patch_embeds\.0\.proj\.weight$/, /^main_blocks\.0\.0\.0\.cpe\.0\.proj\.weight$/],
  renames: [
    [/^patch_embeds\.0\.proj\.(.+)$/, 'stem.conv.$1'],
    [/^patch_embeds\.0\.norm\.(.+)$/, 'stem.norm.$1'],
    [/^patch_embeds\.([1-9]\d*)\.proj\.(.+)$/, 'stages.$1.downsample.conv.$2'],
    [/^patch_embeds\.([1-9]\d*)\.norm\.(.+)$/, 'stages.$1.downsample.norm.$2'],
    [/^main_blocks\.(\d+)\.(\d+\.[01])\.cpe\.0\.(.+)$/, 'stages.$1.blocks.$2.cpe1.$3'],
    [/^main_blocks\.(\d+)\.(\d+\.[01])\.cpe\.1\.(.+)$/, 'stages.$1.blocks.$2.cpe2.$3'],
    [/^main_blocks\.(\d+)\.(\d+\.[01]\.(?!cpe\.).+)$/, 'stages.$1.blocks.$2'],
    [/^norms\.(.+)$/, 'head.norm.$1'],
    [/^head\.(.+)$/, 'head.fc.$1'],
  ],
  modules: [[/^stages\.(\d+)\.blocks\.(\d+)\.([01])$/, 'main_blocks.$1.$2.$3']],
};

/** Dual Attention Vision Transformers. */
export const davitNames: readonly Dialect[] = [
  original,
  timmNames(
    'davit',
    [/^stem\.conv\.weight$/, /^stages\.0\.blocks\.0\.(?:0|spatial_block)\.cpe1\.proj\.weight$/],
    {
      eps: 1e-5,
    },
  ),
];
