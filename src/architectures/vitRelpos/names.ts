import { timmNames, type Dialect } from '../dialect';

/** timm's Vision Transformers with relative positions in every block, or once for all. */
export const vitRelposNames: readonly Dialect[] = [
  timmNames('vit-relpos', [
    /^patch_embed\.proj\.weight$/,
    /^blocks\.0\.norm1\.weight$/,
    /^blocks\.0\.attn\.rel_pos\.(?:mlp\.fc1\.weight|relative_position_bias_table)$/,
  ]),
  timmNames('vit-relpos', [/^patch_embed\.proj\.weight$/, /^blocks\.0\.norm1\.weight$/, /^shared_rel_pos\./]),
];
