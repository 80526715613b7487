import type { Tensor } from '../../checkpoint/tensors';
import { openAiClip, openClipTrunk, transformersClip } from './clip';
import { translate, type Dialect, type Translation } from './dialect';
import { dinov2 } from './dinov2';
import { googleJax } from './googleJax';
import { mae } from './mae';
import { timm } from './timm';
import { torchvision } from './torchvision';
import { transformers, transformers5 } from './transformers';

/** Every naming that is known. The first whose signature fits is taken: the narrower before the wider. */
export const dialects = [
  openClipTrunk,
  openAiClip,
  transformersClip,
  transformers5,
  transformers,
  torchvision,
  googleJax,
  mae,
  dinov2,
  timm,
] as const satisfies readonly Dialect[];

/** The tensors under canonical names; undefined where no dialect's signature fits. */
export function translateTensors(tensors: readonly Tensor[]): Translation | undefined {
  for (const dialect of dialects) {
    const translation = translate(dialect, tensors);
    if (translation) return translation;
  }
  return undefined;
}
