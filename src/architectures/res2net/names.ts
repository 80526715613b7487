import { timmNames, type Dialect } from '../dialect';

/** Res2Net as timm and its authors name it. */
export const res2NetNames: readonly Dialect[] = [
  timmNames('res2net', [
    /^conv1\.(?:0\.)?weight$/,
    /^layer1\.0\.convs\.0\.weight$/,
    /^layer1\.0\.bns\.0\.weight$/,
    /^layer1\.0\.conv3\.weight$/,
  ]),
];
