import { timmNames, type Dialect } from '../dialect';

/** GhostNet, V2, V3 and RepGhost as timm and their authors name them. */
export const ghostNetNames: readonly Dialect[] = [
  timmNames('ghostnet', [
    /^conv_stem\.weight$/,
    /^blocks\.0\.0\.ghost1\.(?:primary_conv\.0|primary_rpr_conv\.0\.conv)\.weight$/,
    /^blocks\.0\.0\.ghost2\.(?:primary_conv\.0|primary_rpr_conv\.0\.conv)\.weight$/,
  ]),
];
