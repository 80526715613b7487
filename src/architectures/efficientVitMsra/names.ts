import { timmNames, type Dialect } from '../dialect';

/** EfficientViT of Microsoft Research as timm names it. */
export const efficientVitMsraNames: readonly Dialect[] = [
  timmNames('efficientvit_msra', [
    /^patch_embed\.conv1\.conv\.weight$/,
    /^stages\.0\.blocks\.0\.dw0\.m\.conv\.weight$/,
    /^stages\.0\.blocks\.0\.mixer\.m\.attn\.attention_biases$/,
  ]),
];
