import { timmNames, type Dialect } from '../dialect';

/** Darknets and cross-stage partial networks as timm names them. */
export const cspNetNames: readonly Dialect[] = [
  timmNames('cspnet', [
    /^stem\.conv1\.conv\.weight$/,
    /^stages\.0\.blocks\.0\.conv1\.conv\.weight$/,
    /^stages\.0\.blocks\.0\.conv2\.conv\.weight$/,
    /^stages\.1\.conv_down\.(?:1\.)?conv\.weight$/,
  ]),
];
