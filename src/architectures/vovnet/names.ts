import { timmNames, type Dialect } from '../dialect';

/** VoVNet as timm names it. */
export const vovNetNames: readonly Dialect[] = [
  timmNames('vovnet', [
    /^stem\.0\.conv\.weight$/,
    /^stages\.0\.blocks\.0\.conv_mid\.0\.(?:conv|conv_dw)\.weight$/,
    /^stages\.0\.blocks\.0\.conv_concat\.conv\.weight$/,
  ]),
];
