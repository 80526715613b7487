import { timmNames, type Dialect } from '../dialect';

/** DenseNet: timm and torchvision share their names. */
export const densenetNames: readonly Dialect[] = [
  timmNames(
    'densenet',
    [/^features\.conv0\.weight$/, /^features\.denseblock1\.denselayer1\.conv1\.weight$/],
    {
      title: 'timm or torchvision',
    },
  ),
];
