import { timmNames, type Dialect } from '../dialect';

/** StarNet as timm and as its authors name it. */
export const starnetNames: readonly Dialect[] = [
  timmNames('starnet', [
    /^stem\.0\.conv\.weight$/,
    /^stages\.0\.0\.conv\.weight$/,
    /^stages\.0\.1\.f1\.conv\.weight$/,
    /^stages\.0\.1\.dwconv2\.conv\.weight$/,
  ]),
];
