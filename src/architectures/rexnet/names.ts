import { timmNames, type Dialect } from '../dialect';

/** ReXNet as timm names it. */
export const rexNetNames: readonly Dialect[] = [
  timmNames('rexnet', [
    /^stem\.conv\.weight$/,
    /^features\.0\.conv_dw\.conv\.weight$/,
    /^features\.0\.conv_pwl\.conv\.weight$/,
    /^features\.1\.conv_exp\.conv\.weight$/,
  ]),
];
