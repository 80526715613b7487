import type { Dialect } from './dialect';
import { convnextDialects } from './convnext';
import { efficientnetDialects } from './efficientnet';
import { resnetDialects } from './resnet';

/** Namings of convolutional networks. */
export const cnnDialects: readonly Dialect[] = [
  ...resnetDialects,
  ...convnextDialects,
  ...efficientnetDialects,
];
