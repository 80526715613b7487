/**
 * Named preprocessing that models of one origin share, for families that say by a word which is
 * theirs.
 */
import type { CropMode } from './libraries/timm';
import type { NormalisationName } from './normalisations';
import type { Filter } from './resize';

/** What models of one origin were evaluated with; the image size is the model's own. */
export interface Defaults {
  readonly normalisation: NormalisationName;
  readonly cropPct: number;
  readonly cropMode: CropMode;
  readonly filter: Filter;
}

/** Named, so that a family states which it takes by a word. */
export const defaults = {
  /** timm's ViT and Google's: −1 … 1, the centre 90 %. */
  half: { normalisation: 'half', cropPct: 0.9, cropMode: 'center', filter: 'bicubic' },
  /** 256 to 224, as DeiT, DINO, MAE, PVT evaluate. */
  imagenet: { normalisation: 'imagenet', cropPct: 0.875, cropMode: 'center', filter: 'bicubic' },
  /** 248 to 224, as timm's Swin, Twins, PiT … */
  'imagenet-0.9': { normalisation: 'imagenet', cropPct: 0.9, cropMode: 'center', filter: 'bicubic' },
  /** The whole shorter side: XCiT, CaiT, DeiT III at 384. */
  'imagenet-1.0': { normalisation: 'imagenet', cropPct: 1, cropMode: 'center', filter: 'bicubic' },
  clip: { normalisation: 'clip', cropPct: 1, cropMode: 'center', filter: 'bicubic' },
  /** The whole image, its aspect given up. */
  siglip: { normalisation: 'half', cropPct: 1, cropMode: 'squash', filter: 'bicubic' },
  /** The whole shorter side of every frame: TimeSformer. */
  kinetics: { normalisation: 'kinetics', cropPct: 1, cropMode: 'center', filter: 'bilinear' },
  /** 0 … 1: MobileViT. */
  unit: { normalisation: 'unit', cropPct: 0.9, cropMode: 'center', filter: 'bicubic' },
  /** torchvision's ImageClassification preset. */
  torchvision: { normalisation: 'imagenet', cropPct: 0.875, cropMode: 'center', filter: 'bilinear' },
} as const satisfies Record<string, Defaults>;

export type DefaultsName = keyof typeof defaults;
