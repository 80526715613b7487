import { timmNames, type Dialect } from '../dialect';

/** SKNet as timm names it; its plain convolutions get the names of a ResNet's. */
export const skNetNames: readonly Dialect[] = [
  timmNames(
    'sknet',
    [
      /^conv1\.(?:0\.)?weight$/,
      /^layer1\.0\.conv[12]\.paths\.0\.conv\.weight$/,
      /^layer1\.0\.conv[12]\.attn\.fc_select\.weight$/,
    ],
    {
      renames: [
        [/^(layer\d+\.\d+)\.conv(\d)\.conv\./, '$1.conv$2.'],
        [/^(layer\d+\.\d+)\.conv(\d)\.bn\./, '$1.bn$2.'],
        [/^(?!layer\d+\.\d+\.conv\d\.(?:conv|bn)\.).+$/, '$&'],
      ],
    },
  ),
];
