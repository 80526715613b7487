/** The means and standard deviations that published vision transformers were trained with. */
import type { Triple } from './steps';

export interface Normalisation {
  readonly mean: Triple;
  readonly std: Triple;
}

export const normalisations = {
  /** Channel statistics of ImageNet-1k's training set: DeiT, DINO, Swin, torchvision … */
  imagenet: { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] },
  /** −1 … 1: Google's ViT, AugReg, BEiT, SigLIP ("inception", "imagenet standard"). */
  half: { mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] },
  /** Channel statistics of OpenAI's CLIP training set; open_clip and EVA-CLIP follow it. */
  clip: {
    mean: [0.48145466, 0.4578275, 0.40821073],
    std: [0.26862954, 0.26130258, 0.27577711],
  },
  /** What models of Kinetics' clips take: TimeSformer, SlowFast. */
  kinetics: { mean: [0.45, 0.45, 0.45], std: [0.225, 0.225, 0.225] },
  /** 0 … 1: MobileViT, FastViT. */
  unit: { mean: [0, 0, 0], std: [1, 1, 1] },
} as const satisfies Record<string, Normalisation>;

export type NormalisationName = keyof typeof normalisations;
