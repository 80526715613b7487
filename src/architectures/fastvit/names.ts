import { timmNames, type Dialect } from '../dialect';

/**
 * FastViT and the image encoders of MobileCLIP as timm names them, with the branches of training or
 * one convolution in their place.
 */
export const fastVitNames: readonly Dialect[] = [
  timmNames('fastvit', [
    /^stem\.0\.(?:conv_kxk\.0\.conv|reparam_conv)\.weight$/,
    /^stages\.0\.blocks\.0\.token_mixer\./,
    /^stages\.0\.blocks\.0\.mlp\.conv\.conv\.weight$/,
  ]),
];
