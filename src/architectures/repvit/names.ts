import { timmNames, type Dialect } from '../dialect';

/** RepViT as timm names it; its two classifiers have the names of other distilled networks. */
export const repVitNames: readonly Dialect[] = [
  timmNames(
    'repvit',
    [
      /^stem\.conv1\.c\.weight$/,
      /^stages\.0\.blocks\.0\.token_mixer\.conv\.c\.weight$/,
      /^stages\.0\.blocks\.0\.channel_mixer\.conv1\.c\.weight$/,
    ],
    {
      renames: [
        [/^(?:stem|stages)\..+$/, '$&'],
        [/^head\.(head|head_dist)\.bn\./, '$1.bn.'],
        [/^head\.(head|head_dist)\.l\./, '$1.linear.'],
      ],
    },
  ),
];
