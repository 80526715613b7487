/**
 * torchvision's evaluation preset `ImageClassification`: resize the shorter side, crop the centre,
 * normalise.
 */
import type { Sourced } from '../../domain/evidence';
import type { Size } from '../../domain/size';
import { normalisations } from '../normalisations';
import { roundHalfEven } from '../steps';
import type { Preprocessing, Step } from '../steps';
import type { Filter } from '../resize';

/** The arguments of `Weights.transforms()`. */
export interface TorchvisionPreset {
  readonly resizeSize: number;
  readonly cropSize: number;
  readonly filter: Filter;
}

/** torchvision's own defaults, and what most of its weights use. */
export const defaultPreset: TorchvisionPreset = { resizeSize: 256, cropSize: 224, filter: 'bilinear' };

function resizeStep({ resizeSize, cropSize, filter }: TorchvisionPreset, [height, width]: Size): Step {
  const scaled = (side: number) => roundHalfEven((resizeSize * side) / cropSize);
  const rule = height === width ? 'shorter' : 'cover';
  return { kind: 'resize', rule, height: scaled(height), width: scaled(width), filter };
}

/**
 * The steps of a preset; `imageSize` runs the model at another size, the resize keeping its
 * proportion to the crop.
 */
export function torchvisionPreprocessing(
  preset: TorchvisionPreset,
  source: string,
  imageSize: Sourced<Size> = { value: [preset.cropSize, preset.cropSize], source },
): Preprocessing {
  const [height, width] = imageSize.value;
  const { mean, std } = normalisations.imagenet;
  return {
    library: 'torchvision',
    steps: [
      resizeStep(preset, imageSize.value),
      { kind: 'crop', height, width, rounding: 'torchvision', fill: [0, 0, 0] },
      { kind: 'rescale', factor: 1 / 255, offset: 0 },
      { kind: 'normalize', mean, std },
    ],
    inputSize: imageSize.value,
    evidence: {
      image_size: imageSize,
      resize: { value: preset.resizeSize, source },
      crop: { value: preset.cropSize / preset.resizeSize, source },
      filter: { value: preset.filter, source },
      mean: { value: mean, source },
      std: { value: std, source },
    },
    warnings: [],
  };
}
