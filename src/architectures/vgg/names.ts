import { timmNames, type Dialect, type Shapes } from '../dialect';
import { openMmlab } from '../libraries/openMmlab';

/** Rows of the classifier. */
const classifier: Dialect['renames'] = [
  [/^classifier\.[01]\./, 'pre_logits.fc1.'],
  [/^classifier\.[34]\./, 'pre_logits.fc2.'],
  [/^classifier\.6\./, 'head.fc.'],
];

/**
 * OpenMMLab lists modules of a convolution, its norm and activation, and the maxima between them:
 * the places that torchvision gives to each.
 */
function asListed(shapes: Shapes): (name: string) => string {
  const entries = [...shapes.keys()]
    .flatMap((name) => /^features\.(\d+)\.conv\.weight$/.exec(name)?.[1] ?? [])
    .map(Number)
    .toSorted((left, right) => left - right);
  const units = shapes.has('features.0.bn.weight') ? 3 : 2;
  // Every entry that holds no convolution is a maximum.
  const places = new Map(entries.map((entry, index) => [entry, units * index + (entry - index)]));
  return (name) =>
    name.replace(/^features\.(\d+)\.(conv|bn)\./, (own, entry, part) => {
      const place = places.get(Number(entry));
      return place === undefined ? own : `features.${place + Number(part === 'bn')}.`;
    });
}

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
    renames: [...classifier, [/^(?!classifier\.[013-6]\.)/, '']],
  },
  {
    ...openMmlab,
    families: ['vgg'],
    eps: 1e-5,
    signature: [/^features\.0\.conv\.weight$/, /^classifier\.0\.weight$/, /^classifier\.6\.weight$/],
    numbering: asListed,
    renames: [...classifier, [/^features\.\d+\.(?!conv\.|bn\.)/, '$&']],
  },
];
