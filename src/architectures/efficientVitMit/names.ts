import { timmNames, type Dialect } from '../dialect';

/** EfficientViT of MIT as timm names it. */
export const efficientVitMitNames: readonly Dialect[] = [
  timmNames('efficientvit_mit', [
    /^stem\.in_conv\.conv\.weight$/,
    /^stages\.\d+\.blocks\.\d+\.context_module\.main\.qkv\.conv\.weight$/,
    /^stages\.\d+\.blocks\.\d+\.context_module\.main\.aggreg\.0\.1\.weight$/,
  ]),
];
