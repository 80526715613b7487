import { timmNames, type Dialect } from '../dialect';

/** SENet as Cadene's pretrained-models and timm's `legacy_` ones name it, by a ResNet's names. */
export const seNetNames: readonly Dialect[] = [
  timmNames(
    'senet',
    [/^layer0\.conv1\.weight$/, /^layer1\.0\.se_module\.fc1\.weight$/, /^layer1\.0\.conv2\.weight$/],
    {
      absent: [/^layer0\.conv2\.weight$/],
      renames: [
        [/^layer0\.(conv1|bn1)\./, '$1.'],
        [/^(layer[1-4]\.\d+)\.se_module\./, '$1.se.'],
        [/^layer[1-4]\.\d+\.(?!se_module\.).+$/, '$&'],
        [/^last_linear\./, 'fc.'],
      ],
      holders: [[/^(layer\d+\.\d+\.se)$/, '$1.fc1.weight', 1]],
    },
  ),
  timmNames(
    'senet',
    [/^layer0\.conv2\.weight$/, /^layer0\.conv3\.weight$/, /^layer1\.0\.se_module\.fc1\.weight$/],
    {
      renames: [
        [/^layer0\.conv1\./, 'conv1.0.'],
        [/^layer0\.bn1\./, 'conv1.1.'],
        [/^layer0\.conv2\./, 'conv1.3.'],
        [/^layer0\.bn2\./, 'conv1.4.'],
        [/^layer0\.conv3\./, 'conv1.6.'],
        [/^layer0\.bn3\./, 'bn1.'],
        [/^(layer[1-4]\.\d+)\.se_module\./, '$1.se.'],
        [/^layer[1-4]\.\d+\.(?!se_module\.).+$/, '$&'],
        [/^last_linear\./, 'fc.'],
      ],
      holders: [[/^(layer\d+\.\d+\.se)$/, '$1.fc1.weight', 1]],
    },
  ),
];
