import { timmNames, type Dialect } from '../dialect';

/** TinyViT as timm names it. */
export const tinyVitNames: readonly Dialect[] = [
  timmNames('tiny_vit', [
    /^patch_embed\.conv1\.conv\.weight$/,
    /^stages\.0\.blocks\.0\.conv1\.conv\.weight$/,
    /^stages\.1\.blocks\.0\.local_conv\.conv\.weight$/,
  ]),
];
