/** How the steps of a preprocessing are carried out on other channels than red, green and blue. */
import type { Raster } from './raster';
import type { FloatImage, RgbImage } from './resize';
import type { Preprocessing, Step } from './steps';

export const isRaster = (image: RgbImage | FloatImage | Raster): image is Raster => 'samples' in image;

/** Pillow's `convert("L")` in 16-bit fixed point (ITU-R 601-2), in all three channels. */
export function greyOf(image: RgbImage | FloatImage): RgbImage | FloatImage {
  const { width, height, rgb } = image;
  if (!(rgb instanceof Uint8Array)) return image;
  const out = new Uint8Array(rgb.length);
  for (let i = 0; i < rgb.length; i += 3) {
    const red = (rgb[i] ?? 0) * 19595;
    const green = (rgb[i + 1] ?? 0) * 38470;
    const blue = (rgb[i + 2] ?? 0) * 7471;
    out.fill((red + green + blue + 0x8000) >> 16, i, i + 3);
  }
  return { width, height, rgb: out };
}

/**
 * timm's and torchvision's `ToTensor` divide bytes by 255 and leave other numbers alone;
 * transformers' processors rescale whatever they are given.
 */
const keepsValues = ({ library }: Preprocessing, asBytes: boolean): boolean =>
  !asBytes && library !== 'transformers';

const threeOf = (values: readonly number[], first: number): readonly number[] =>
  [0, 1, 2].map((i) => values[Math.min(first + i, values.length - 1)] ?? 0);

/** The steps of three neighbouring channels, the first of which is `first`. */
export function groupSteps(preprocessing: Preprocessing, first: number, asBytes: boolean): readonly Step[] {
  return preprocessing.steps.flatMap((step): readonly Step[] => {
    if (step.kind === 'normalize')
      return [{ ...step, mean: threeOf(step.mean, first), std: threeOf(step.std, first) }];
    if (step.kind === 'crop') return [{ ...step, fill: threeOf(step.fill, first) }];
    // Pillow has no images of so many channels: what resizes them are tensors.
    if (step.kind === 'resize') return [{ ...step, tensor: true }];
    return step.kind === 'rescale' && keepsValues(preprocessing, asBytes) ? [] : [step];
  });
}

/** What a person should know of how an image's values go into the model. */
export function sourceWarnings(preprocessing: Preprocessing, source: RgbImage | Raster): readonly string[] {
  if (!isRaster(source)) return [];
  const rescales = preprocessing.steps.some(({ kind }) => kind === 'rescale');
  if (!rescales || source.samples instanceof Uint8Array) return [];
  return keepsValues(preprocessing, false)
    ? ["the values are no bytes: they are not divided by 255, as torchvision's ToTensor leaves them"]
    : ['the values are no bytes: they are rescaled as the processor is configured for bytes'];
}
