import { timmNames, type Dialect } from '../dialect';

/** Networks without norms as timm names them. */
export const nfNetNames: readonly Dialect[] = [
  timmNames('nfnet', [
    /^stem\.conv1?\.gain$/,
    /^stages\.0\.0\.conv1\.gain$/,
    /^stages\.0\.0\.conv2\.gain$/,
    /^stages\.0\.0\.conv3\.gain$/,
  ]),
];
