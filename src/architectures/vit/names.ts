import type { Dialect } from '../dialect';
import { aimv2 } from '../libraries/aimv2';
import { beit3 } from '../libraries/beit3';
import { blip } from '../libraries/blip';
import { fromScratch, learnPytorch, torchAttention, torchEncoder, uvadlc } from '../libraries/courses';
import { dinov2 } from '../libraries/dinov2';
import { jeonsworld, lukemelas } from '../libraries/earlyPorts';
import { googleJax } from '../libraries/googleJax';
import { internVit } from '../libraries/internVit';
import { lucidrains } from '../libraries/lucidrains';
import { mae } from '../libraries/mae';
import { monai } from '../libraries/monai';
import { mmpretrain, mmsegmentation } from '../libraries/openMmlab';
import { timm } from '../libraries/timm';
import { torchvision } from '../libraries/torchvision';
import { transformers, transformers5 } from '../libraries/transformers';
import { vitPose } from '../libraries/vitPose';

/** Plain Vision Transformers, the narrower naming before the wider. */
export const vitNames: readonly Dialect[] = [
  transformers5,
  transformers,
  torchvision,
  googleJax,
  mae,
  internVit,
  aimv2,
  beit3,
  blip,
  mmpretrain,
  mmsegmentation,
  jeonsworld,
  ...lukemelas,
  ...lucidrains,
  monai,
  vitPose,
  dinov2,
  timm,
  learnPytorch,
  uvadlc,
  fromScratch,
  torchEncoder,
  torchAttention,
];
