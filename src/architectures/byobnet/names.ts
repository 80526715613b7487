import { timmNames, type Dialect } from '../dialect';

/** Residual networks of timm's byobnet.py, which names convolutions by their kernels. */
export const byobNetNames: readonly Dialect[] = [
  timmNames(
    'byobnet',
    [
      /^stem\.(?:conv|conv1|conv1\.conv)\.weight$/,
      /^stages\.0\.0\.conv1_(?:1x1|kxk)\.conv\.weight$/,
      /^stages\.0\.0\.(?:conv2_(?:1x1|kxk)|conv3_1x1)\.conv\.weight$/,
    ],
    {
      renames: [
        [/^head\.([qkv])\./, 'head.$1_proj.'],
        [/^(?!head\.[qkv]\.).+$/, '$&'],
      ],
    },
  ),
];
