import { timmNames, type Dialect } from '../dialect';

/** timm's MViTv2. */
export const mvitv2Names: readonly Dialect[] = [
  timmNames('mvitv2', [
    /^stages\.0\.blocks\.0\.attn\.pool_q\.weight$/,
    /^stages\.0\.blocks\.0\.attn\.rel_pos_h$/,
    /^patch_embed\.proj\.weight$/,
  ]),
];
