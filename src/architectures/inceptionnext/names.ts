import { timmNames, type Dialect } from '../dialect';

/** InceptionNeXt as timm and as its authors name it. */
export const inceptionNextNames: readonly Dialect[] = [
  timmNames('inceptionnext', [
    /^stem\.0\.weight$/,
    /^stages\.0\.blocks\.0\.token_mixer\.dwconv_hw\.weight$/,
    /^stages\.0\.blocks\.0\.token_mixer\.dwconv_w\.weight$/,
    /^stages\.0\.blocks\.0\.mlp\.fc1\.weight$/,
  ]),
];
