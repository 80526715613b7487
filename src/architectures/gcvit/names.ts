import { timmNames, type Dialect } from '../dialect';

/**
 * GCViT as timm names it; its authors' names differ in every part, and timm ported their weights.
 */
export const gcvitNames: readonly Dialect[] = [
  timmNames('gcvit', [
    /^stem\.conv1\.weight$/,
    /^stages\.0\.global_block\.blocks\.conv1\.conv_dw\.weight$/,
    /^stages\.0\.blocks\.0\.attn\.rel_pos\.relative_position_bias_table$/,
  ]),
];
