import { timmNames, type Dialect } from '../dialect';

/** EfficientFormer and EfficientFormerV2 as timm names them. */
export const efficientFormerNames: readonly Dialect[] = [
  timmNames('efficientformer', [
    /^stem\.conv1\.weight$/,
    /^stem\.norm2\.weight$/,
    /^stages\.0\.blocks\.0\.mlp\.fc1\.weight$/,
    /^stages\.\d+\.blocks\.\d+\.token_mixer\.attention_biases$/,
  ]),
  timmNames('efficientformer', [
    /^stem\.conv1\.conv\.weight$/,
    /^stages\.0\.blocks\.0\.mlp\.mid\.conv\.weight$/,
    /^stages\.\d+\.blocks\.\d+\.token_mixer\.attention_biases$/,
  ]),
];
