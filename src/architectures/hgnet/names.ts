import { timmNames, type Dialect } from '../dialect';

/** PP-HGNet and V2 as timm names them. */
export const hgNetNames: readonly Dialect[] = [
  timmNames('hgnet', [
    /^stem\.stem(?:\.0|1)\.conv\.weight$/,
    /^stages\.0\.blocks\.0\.layers\.0\.conv\.weight$/,
    /^stages\.0\.blocks\.0\.aggregation\.1\.conv\.weight$/,
  ]),
];
