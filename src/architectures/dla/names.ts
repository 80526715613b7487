import { timmNames, type Dialect } from '../dialect';

/** Deep layer aggregation as timm and its authors name it. */
export const dlaNames: readonly Dialect[] = [
  timmNames('dla', [
    /^base_layer\.0\.weight$/,
    /^level0\.0\.weight$/,
    /^level2\.(?:tree1\.)*root\.conv\.weight$/,
    /^level5\.root\.conv\.weight$/,
  ]),
];
