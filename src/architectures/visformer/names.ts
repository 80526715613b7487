import { timmNames, type Dialect } from '../dialect';

/** Visformer as timm names it. */
export const visformerNames: readonly Dialect[] = [
  timmNames('visformer', [
    /^patch_embed1\.proj\.weight$/,
    /^stage2\.0\.mlp\.conv1\.weight$/,
    /^stage2\.0\.mlp\.conv3\.weight$/,
  ]),
];
