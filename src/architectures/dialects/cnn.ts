import type { Dialect } from './dialect';
import { convnextDialects } from './convnext';
import { resnetDialects } from './resnet';

/** Namings of convolutional networks. */
export const cnnDialects: readonly Dialect[] = [...resnetDialects, ...convnextDialects];
