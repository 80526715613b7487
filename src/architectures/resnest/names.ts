import { timmNames, type Dialect } from '../dialect';

/** ResNeSt as timm and its authors name it. */
export const resNeStNames: readonly Dialect[] = [
  timmNames('resnest', [
    /^conv1\.(?:0\.)?weight$/,
    /^layer1\.0\.conv2\.conv\.weight$/,
    /^layer1\.0\.conv2\.fc1\.weight$/,
    /^layer1\.0\.conv2\.fc2\.weight$/,
  ]),
];
