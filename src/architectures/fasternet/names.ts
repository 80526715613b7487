import { timmNames, type Dialect } from '../dialect';

/** FasterNet as timm and its authors name it. */
export const fasterNetNames: readonly Dialect[] = [
  timmNames('fasternet', [
    /^patch_embed\.proj\.weight$/,
    /^stages\.0\.blocks\.0\.spatial_mixing\.partial_conv3\.weight$/,
    /^stages\.0\.blocks\.0\.mlp\.0\.weight$/,
    /^stages\.1\.downsample\.reduction\.weight$/,
  ]),
];
