import { timmNames, type Dialect } from '../dialect';
import { common } from '../libraries/swin';

/** timm's own second version. */
export const swinv2CrNames: readonly Dialect[] = [
  timmNames(
    'swinv2_cr',
    [/^patch_embed\.proj\.weight$/, /^stages\.0\.blocks\.0\.attn\.meta_mlp\.fc1\.weight$/],
    common,
  ),
];
