import { timmNames, type Dialect } from '../dialect';

/** MobileNet V4 as timm names it. */
export const mobileNetV4Names: readonly Dialect[] = [
  timmNames('mobilenetv4', [
    /^conv_stem\.weight$/,
    /^blocks\.0\.0\.(?:conv|conv_exp)\.weight$/,
    /^blocks\.2\.0\.pw_exp\.conv\.weight$/,
    /^blocks\.2\.0\.pw_proj\.conv\.weight$/,
    /^norm_head\.weight$/,
  ]),
];
