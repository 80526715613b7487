import { timmNames, type Dialect } from '../dialect';

/** HRNet as timm and its authors name it. */
export const hrNetNames: readonly Dialect[] = [
  timmNames('hrnet', [
    /^conv2\.weight$/,
    /^layer1\.0\.conv1\.weight$/,
    /^transition1\.1\.0\.0\.weight$/,
    /^stage4\.0\.branches\.0\.0\.conv1\.weight$/,
    /^stage4\.0\.fuse_layers\.0\.1\.0\.weight$/,
    /^incre_modules\.0\.0\.conv1\.weight$/,
  ]),
];
