/** Pixels that a masked autoencoder drew, beside those that it saw. */
import { product } from '../../domain/lists';
import type { Size } from '../../domain/size';
import { ofOneImage, OutputShapeError, type Values } from './values';

/** Planes of red, green and blue in 0 … 255, not clipped. */
export interface Reconstruction {
  /** Sides of the input. */
  readonly size: Size;
  /** All patches as the model draws them: [3, height, width]. */
  readonly reconstruction: Float32Array;
  /** The input with its hidden patches drawn in: [3, height, width]. */
  readonly pasted: Float32Array;
  /** 1 where the model saw nothing: [1, height, width]. */
  readonly hidden: Float32Array;
}

export interface ReconstructionOptions {
  /** Side of a patch in pixels. */
  readonly patch: number;
  /** The model draws patches with their mean and deviation taken off (`norm_pix_loss`). */
  readonly normalised: boolean;
  /** What normalisation took off the input's channels. */
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

/** torch's `var` has n - 1 degrees of freedom; the model adds this before the root. */
const epsilon = 1e-6;

/** Where sample `i` of a patch lies in the planes of the input; colours of a pixel are together. */
function placeOf(
  patchNumber: number,
  i: number,
  [height, width]: Size,
  patch: number,
  channels: number,
): number {
  const columns = width / patch;
  const [c, pixel] = [i % channels, Math.floor(i / channels)];
  const y = Math.floor(patchNumber / columns) * patch + Math.floor(pixel / patch);
  const x = (patchNumber % columns) * patch + (pixel % patch);
  return (c * height + y) * width + x;
}

/** Mean and deviation of a patch of the input, by which a normalised one is brought back. */
function statistics(samples: Float64Array): readonly [mean: number, deviation: number] {
  const mean = samples.reduce((sum, value) => sum + value, 0) / samples.length;
  const squares = samples.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return [mean, Math.sqrt(squares / (samples.length - 1) + epsilon)];
}

/**
 * Puts the patches of a ViT-MAE together: logits [patches, patch² × channels], mask [patches] with
 * 1 for hidden, and the input [channels, height, width] as it went in. A model trained on
 * normalised patches needs the true ones' mean and deviation, also of those that it never saw.
 * Throws `OutputShapeError` if patches do not fill the input.
 */
export function reconstructionOf(
  outputs: { readonly logits: Values; readonly mask: Values },
  pixelValues: Values,
  { patch, normalised, mean, std }: ReconstructionOptions,
): Reconstruction {
  const logits = ofOneImage(outputs.logits, 2, 'logits');
  const mask = ofOneImage(outputs.mask, 1, 'mask').values;
  const { shape, values: input } = ofOneImage(pixelValues, 3, 'pixel values');
  const [channels = 0, height = 0, width = 0] = shape;
  const size: Size = [height, width];
  const [patches = 0, samples = 0] = logits.shape;
  if (patches * patch * patch !== height * width || samples !== patch * patch * channels)
    throw new OutputShapeError(`${patches} patches of ${samples} samples found for ${shape.join(' × ')}`);
  const toByte = (value: number, place: number): number => {
    const c = Math.floor(place / (height * width));
    return (value * (std[c] ?? 1) + (mean[c] ?? 0)) * 255;
  };
  const reconstruction = new Float32Array(input.length);
  const pasted = new Float32Array(input.length);
  const hidden = new Float32Array(product(size));
  for (let n = 0; n < patches; n++) {
    const places = Int32Array.from({ length: samples }, (_, i) => placeOf(n, i, size, patch, channels));
    const [offset, scale] = normalised
      ? statistics(Float64Array.from(places, (place) => input[place] ?? 0))
      : [0, 1];
    const isHidden = (mask[n] ?? 0) > 0.5;
    places.forEach((place, i) => {
      const value = (logits.values[n * samples + i] ?? 0) * scale + offset;
      reconstruction[place] = toByte(value, place);
      pasted[place] = toByte(isHidden ? value : (input[place] ?? 0), place);
      if (isHidden) hidden[place % hidden.length] = 1;
    });
  }
  return { size, reconstruction, pasted, hidden };
}
