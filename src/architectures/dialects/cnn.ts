import { bitDialects } from './bit';
import { convnextDialects } from './convnext';
import { densenetDialects } from './densenet';
import type { Dialect } from './dialect';
import { efficientnetDialects } from './efficientnet';
import { regnetDialects } from './regnet';
import { resnetDialects } from './resnet';
import { vggDialects } from './vgg';

/** Namings of convolutional networks. */
export const cnnDialects: readonly Dialect[] = [
  ...resnetDialects,
  ...bitDialects,
  ...convnextDialects,
  ...efficientnetDialects,
  ...regnetDialects,
  ...densenetDialects,
  ...vggDialects,
];
