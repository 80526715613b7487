import { timmNames, type Dialect } from '../dialect';

/** Twins-PCPVT and Twins-SVT, whose authors and timm use the same names. */
export const twinsNames: readonly Dialect[] = [
  timmNames('twins', [
    /^patch_embeds\.0\.proj\.weight$/,
    /^blocks\.0\.0\.attn\.proj\.weight$/,
    /^pos_block\.0\.proj\.0\.weight$/,
  ]),
];
