import { asNamed, timmNames, type Dialect } from '../dialect';

/**
 * VGG and AlexNet; dropout stands first in AlexNet's classifier, so that its layers come one later.
 */
export const vggNames: readonly Dialect[] = [
  timmNames('vgg', [/^features\.0\.weight$/, /^pre_logits\.fc1\.weight$/]),
  {
    name: 'torchvision',
    title: 'torchvision',
    families: ['vgg'],
    resampling: ['bicubic', 'bicubic'],
    eps: 1e-5,
    signature: [/^features\.0\.weight$/, /^classifier\.[01]\.weight$/, /^classifier\.6\.weight$/],
    renames: [
      [/^classifier\.[01]\./, 'pre_logits.fc1.'],
      [/^classifier\.[34]\./, 'pre_logits.fc2.'],
      [/^classifier\.6\./, 'head.fc.'],
      asNamed,
    ],
  },
];
