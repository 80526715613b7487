import type { Dialect } from '../dialect';
import { dinov2 } from '../libraries/dinov2';
import { googleJax } from '../libraries/googleJax';
import { mae } from '../libraries/mae';
import { timm } from '../libraries/timm';
import { torchvision } from '../libraries/torchvision';
import { transformers, transformers5 } from '../libraries/transformers';

/** Plain Vision Transformers, the narrower naming before the wider. */
export const vitNames: readonly Dialect[] = [
  transformers5,
  transformers,
  torchvision,
  googleJax,
  mae,
  dinov2,
  timm,
];
