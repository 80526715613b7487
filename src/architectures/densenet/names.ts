import { timmNames, type Dialect, type Rename } from '../dialect';

/** All that is no layer of a dense block. */
const asOthers: Rename = [/^(?!features\.denseblock\d+\.denselayer)/, ''];

/** DenseNet: timm and torchvision share their names. */
export const densenetNames: readonly Dialect[] = [
  timmNames(
    'densenet',
    [/^features\.conv0\.weight$/, /^features\.denseblock1\.denselayer1\.conv1\.weight$/],
    {
      title: 'timm or torchvision',
    },
  ),
  // Before 2018, whose files are still those that torchvision downloads: `norm.1` for `norm1`.
  timmNames(
    'densenet',
    [/^features\.conv0\.weight$/, /^features\.denseblock1\.denselayer1\.conv\.1\.weight$/],
    {
      name: 'torchvision',
      title: 'torchvision (older)',
      renames: [[/^(features\.denseblock\d+\.denselayer\d+\.(?:norm|conv))\.([12])\./, '$1$2.'], asOthers],
    },
  ),
];
