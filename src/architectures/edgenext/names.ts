import { timmNames, type Dialect } from '../dialect';

/** EdgeNeXt as timm names it. */
export const edgeNextNames: readonly Dialect[] = [
  timmNames('edgenext', [
    /^stem\.0\.weight$/,
    /^stages\.0\.blocks\.0\.conv_dw\.weight$/,
    /^stages\.\d+\.blocks\.\d+\.xca\.temperature$/,
  ]),
];
