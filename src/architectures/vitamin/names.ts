import { timmNames, type Dialect } from '../dialect';

export const vitaminNames: readonly Dialect[] = [
  timmNames('vitamin', [
    /^patch_embed\.backbone\.stages\.0\.0\.conv2_kxk\.weight$/,
    /^blocks\.0\.mlp\.w0\.weight$/,
  ]),
];
