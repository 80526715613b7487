/** Images of any number of channels, as remote sensing and microscopes leave them. */
import type { FloatImage, RgbImage } from './resize';

/** An image of any number of channels; samples row by row, all of a pixel together. */
export interface Raster {
  readonly width: number;
  readonly height: number;
  readonly channels: number;
  /** Bytes stay bytes, as they are resized as Pillow resizes them; all else is float32. */
  readonly samples: Uint8Array | Float32Array;
}

/** Three neighbouring channels of a raster as if they were colours; the last is repeated. */
export function threeChannels(raster: Raster, first: number): RgbImage | FloatImage {
  const { width, height, samples } = raster;
  const size = width * height * 3;
  if (samples instanceof Uint8Array)
    return { width, height, rgb: copied(raster, first, new Uint8Array(size)) };
  return { width, height, rgb: copied(raster, first, new Float32Array(size)) };
}

function copied<Samples extends Uint8Array | Float32Array>(
  { channels, samples }: Raster,
  first: number,
  rgb: Samples,
): Samples {
  for (let c = 0; c < 3; c++) {
    const channel = Math.min(first + c, channels - 1);
    for (let to = c, from = channel; to < rgb.length; to += 3, from += channels) rgb[to] = samples[from] ?? 0;
  }
  return rgb;
}

/** Share of the values at either end that a picture for the eye may lose. */
const clippedShare = 0.02;
/** Values that are sorted to find both ends; a sample of that size is off by less than a level. */
const sampled = 50_000;

/** Lowest and highest value of a channel but for the outermost 2 %. */
function rangeOf(rgb: ArrayLike<number>, channel: number): readonly [number, number] {
  const step = Math.max(1, Math.floor(rgb.length / 3 / sampled));
  const values: number[] = [];
  for (let i = channel; i < rgb.length; i += 3 * step) {
    const value = rgb[i] ?? 0;
    if (Number.isFinite(value)) values.push(value);
  }
  values.sort((a, b) => a - b);
  const from = Math.floor(values.length * clippedShare);
  return [values[from] ?? 0, values[values.length - 1 - from] ?? 0];
}

/**
 * The first three channels (or the only one) for the eye: bytes as they are, other numbers
 * stretched over 0 … 255.
 */
export function pictureOf(raster: Raster): RgbImage {
  const { width, height, rgb } = threeChannels(raster, 0);
  if (rgb instanceof Uint8Array) return { width, height, rgb };
  const out = new Uint8ClampedArray(rgb.length);
  for (let c = 0; c < 3; c++) {
    const [low, high] = rangeOf(rgb, c);
    const scale = high > low ? 255 / (high - low) : 0;
    for (let i = c; i < rgb.length; i += 3) out[i] = ((rgb[i] ?? 0) - low) * scale;
  }
  return { width, height, rgb: new Uint8Array(out.buffer) };
}
