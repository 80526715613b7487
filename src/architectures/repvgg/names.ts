import { timmNames, type Dialect } from '../dialect';

/** RepVGG and MobileOne as timm names them, with the branches of training or folded. */
export const repVggNames: readonly Dialect[] = [
  timmNames(
    'repvgg',
    [
      /^stem\.(?:conv_kxk(?:\.0)?\.conv|reparam_conv)\.weight$/,
      /^stages\.0\.0\.(?:conv_kxk(?:\.0)?\.conv|reparam_conv)\.weight$/,
      /^stages\.1\.0\.(?:conv_kxk(?:\.0)?\.conv|reparam_conv)\.weight$/,
    ],
    { absent: [/^stages\.\d+\.blocks\./] },
  ),
];
