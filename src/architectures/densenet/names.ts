import { timmNames, type Dialect, type Rename } from '../dialect';
import { openMmlab } from '../libraries/openMmlab';

/** All that is no layer of a dense block. */
const asOthers: Rename = [/^(?!features\.denseblock\d+\.denselayer)/, ''];

/** A transition of OpenMMLab's, which count from 0; behind the last stage only a norm is left. */
const transition = (part: string): Rename => [
  new RegExp(`^transitions\\.(\\d+)\\.${part}\\.`),
  (_, index) => `features.transition${Number(index) + 1}.${part}.`,
];

const mmpretrain: Dialect = {
  ...openMmlab,
  families: ['densenet'],
  eps: 1e-5,
  signature: [/^stem\.0\.weight$/, /^stages\.0\.block\.0\.conv1\.weight$/, /^transitions\.0\.conv\.weight$/],
  renames: [
    [/^stem\.0\./, 'features.conv0.'],
    [/^stem\.1\./, 'features.norm0.'],
    [
      /^stages\.(\d+)\.block\.(\d+)\./,
      (_, stage, layer) => `features.denseblock${Number(stage) + 1}.denselayer${Number(layer) + 1}.`,
    ],
    transition('conv'),
    transition('norm'),
    [/^transitions\.\d+\.0\./, 'features.norm5.'],
    [/^head\.fc\./, 'classifier.'],
  ],
};

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
  mmpretrain,
];
