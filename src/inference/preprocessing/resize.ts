/**
 * Pillow's `Image.resize` on 8-bit RGB, bit for bit, and torch's antialiased one on floats.
 *
 * Both are separable convolutions with a filter that widens when the picture shrinks. Pillow rounds after each of the two
 * passes and computes in fixed point, so the order of the passes and the order of additions in the coefficients matter.
 */

/** A picture: `height * width * 3` bytes, row by row, red green blue. */
export interface Picture {
  readonly width: number;
  readonly height: number;
  readonly rgb: Uint8Array;
}

/** Like `Picture` with float samples. */
export interface FloatPicture {
  readonly width: number;
  readonly height: number;
  readonly rgb: Float32Array;
}

export interface Size {
  readonly height: number;
  readonly width: number;
}

interface Kernel {
  /** Half width at scale 1, in source pixels. */
  readonly support: number;
  readonly weight: (x: number) => number;
}

/** Pillow's source says 0.54f and 0.46f: float32 constants in double arithmetic. */
const hammingBase = Math.fround(0.54);
const hammingSwing = Math.fround(0.46);

function sinc(x: number): number {
  return x === 0 ? 1 : Math.sin(x * Math.PI) / (x * Math.PI);
}

function hamming(x: number): number {
  if (x === 0) return 1;
  const angle = Math.PI * Math.abs(x);
  return Math.abs(x) >= 1 ? 0 : (Math.sin(angle) / angle) * (hammingBase + hammingSwing * Math.cos(angle));
}

/** Keys' cubic convolution with a = -0.5 (OpenCV and older torch use -0.75). */
function bicubic(x: number): number {
  const a = -0.5;
  const d = Math.abs(x);
  if (d < 1) return ((a + 2) * d - (a + 3)) * d * d + 1;
  return d < 2 ? (((d - 5) * d + 8) * d - 4) * a : 0;
}

const kernels = {
  box: { support: 0.5, weight: (x) => (x > -0.5 && x <= 0.5 ? 1 : 0) },
  bilinear: { support: 1, weight: (x) => Math.max(0, 1 - Math.abs(x)) },
  hamming: { support: 1, weight: hamming },
  bicubic: { support: 2, weight: bicubic },
  lanczos: { support: 3, weight: (x) => (x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0) },
} as const satisfies Record<string, Kernel>;

export type Filter = 'nearest' | keyof typeof kernels;

/** Filters by Pillow's code (`resample` of preprocessor_config.json). */
export const filters: readonly Filter[] = ['nearest', 'lanczos', 'bilinear', 'bicubic', 'box', 'hamming'];

/** For every output position: the first source position and its weights, `stride` apart. */
interface Taps<Weights> {
  readonly first: Int32Array;
  readonly count: Int32Array;
  readonly weights: Weights;
  readonly stride: number;
}

/**
 * Normalised weights of one pass. The operation order is Pillow's (`precompute_coeffs`): changing it changes last bits,
 * and with them rounded pixels.
 */
function taps(from: number, to: number, kernel: Kernel): Taps<Float64Array> {
  const scale = from / to;
  const stretch = Math.max(scale, 1);
  const reach = kernel.support * stretch;
  const stride = Math.ceil(reach) * 2 + 1;
  const first = new Int32Array(to);
  const count = new Int32Array(to);
  const weights = new Float64Array(to * stride);
  for (let i = 0; i < to; i++) {
    const centre = (i + 0.5) * scale;
    const low = Math.max(Math.trunc(centre - reach + 0.5), 0);
    const high = Math.min(Math.trunc(centre + reach + 0.5), from);
    let sum = 0;
    for (let j = 0; j < high - low; j++) {
      const weight = kernel.weight((j + low - centre + 0.5) * (1 / stretch));
      weights[i * stride + j] = weight;
      sum += weight;
    }
    if (sum !== 0) for (let j = 0; j < high - low; j++) weights[i * stride + j]! /= sum;
    first[i] = low;
    count[i] = high - low;
  }
  return { first, count, weights, stride };
}

/** 32 bits less 8 of the sample and 2 of headroom for filters that overshoot. */
const precision = 22;
const half = 1 << (precision - 1);

/** Weights in fixed point, rounded half away from zero. */
function fixedTaps(from: number, to: number, kernel: Kernel): Taps<Int32Array> {
  const exact = taps(from, to, kernel);
  const weights = Int32Array.from(exact.weights, (w) =>
    Math.trunc(w * (1 << precision) + (w < 0 ? -0.5 : 0.5)),
  );
  return { ...exact, weights };
}

function horizontalPass(source: Picture, width: number, kernel: Kernel): Picture {
  const { first, count, weights, stride } = fixedTaps(source.width, width, kernel);
  const rgb = new Uint8ClampedArray(source.height * width * 3);
  const input = source.rgb;
  let out = 0;
  for (let y = 0; y < source.height; y++) {
    const row = y * source.width;
    for (let x = 0; x < width; x++) {
      let red = half;
      let green = half;
      let blue = half;
      let at = (row + first[x]!) * 3;
      const end = x * stride + count[x]!;
      for (let k = x * stride; k < end; k++) {
        const weight = weights[k]!;
        // Each product fits 32 bits, and so does the sum: |weights| sum to less than 2 in 22 bits.
        red = (red + Math.imul(weight, input[at]!)) | 0;
        green = (green + Math.imul(weight, input[at + 1]!)) | 0;
        blue = (blue + Math.imul(weight, input[at + 2]!)) | 0;
        at += 3;
      }
      rgb[out++] = red >> precision;
      rgb[out++] = green >> precision;
      rgb[out++] = blue >> precision;
    }
  }
  return { width, height: source.height, rgb: new Uint8Array(rgb.buffer) };
}

/** Sums whole rows, so that memory is read in order. */
function verticalPass(source: Picture, height: number, kernel: Kernel): Picture {
  const { first, count, weights, stride } = fixedTaps(source.height, height, kernel);
  const length = source.width * 3;
  const rgb = new Uint8ClampedArray(height * length);
  const sums = new Int32Array(length);
  for (let y = 0; y < height; y++) {
    sums.fill(half);
    for (let k = 0; k < count[y]!; k++) {
      const weight = weights[y * stride + k]!;
      const row = source.rgb.subarray((first[y]! + k) * length, (first[y]! + k + 1) * length);
      for (let i = 0; i < length; i++) sums[i]! += Math.imul(weight, row[i]!);
    }
    for (let i = 0; i < length; i++) rgb[y * length + i] = sums[i]! >> precision;
  }
  return { width: source.width, height, rgb: new Uint8Array(rgb.buffer) };
}

/** Source positions of nearest: accumulated, not multiplied, as Pillow does; the last bits of the sum decide ties. */
function nearestPositions(from: number, to: number): Int32Array {
  const step = from / to;
  const positions = new Int32Array(to);
  let at = step * 0.5;
  for (let i = 0; i < to; i++, at += step) positions[i] = Math.min(Math.trunc(at), from - 1);
  return positions;
}

function nearest(source: Picture, { height, width }: Size): Picture {
  const rows = nearestPositions(source.height, height);
  const columns = nearestPositions(source.width, width);
  const rgb = new Uint8Array(height * width * 3);
  let out = 0;
  for (const row of rows) {
    for (const column of columns) {
      const at = (row * source.width + column) * 3;
      rgb[out++] = source.rgb[at]!;
      rgb[out++] = source.rgb[at + 1]!;
      rgb[out++] = source.rgb[at + 2]!;
    }
  }
  return { width, height, rgb };
}

/** Since Pillow 13 the vertical pass goes first where it takes away more than the horizontal one would. */
function verticalFirst(source: Size, size: Size): boolean {
  const fewerRows = source.height - size.height;
  return fewerRows > 0 && fewerRows > 2 * (source.width - size.width);
}

/**
 * Resizes as Pillow 13 does (`Image.resize(size, resample)` of an RGB image, `reducing_gap` and `box` at their defaults).
 * The size is in pixels, at least 1 × 1. Returns the source itself where nothing changes.
 */
export function resize(source: Picture, size: Size, filter: Filter): Picture {
  if (source.height === size.height && source.width === size.width) return source;
  if (filter === 'nearest') return nearest(source, size);
  const kernel = kernels[filter];
  const rows = (picture: Picture) =>
    picture.width === size.width ? picture : horizontalPass(picture, size.width, kernel);
  const columns = (picture: Picture) =>
    picture.height === size.height ? picture : verticalPass(picture, size.height, kernel);
  return verticalFirst(source, size) ? rows(columns(source)) : columns(rows(source));
}

/** One pass along the axis whose neighbours lie `step` samples apart. */
function floatPass(
  source: Float32Array,
  lines: number,
  from: number,
  to: number,
  step: number,
  kernel: Kernel,
) {
  const { first, count, weights, stride } = taps(from, to, kernel);
  const out = new Float32Array(lines * to * step);
  for (let line = 0; line < lines; line++) {
    for (let i = 0; i < to; i++) {
      for (let c = 0; c < step; c++) {
        let sum = 0;
        for (let k = 0; k < count[i]!; k++) {
          sum += weights[i * stride + k]! * source[(line * from + first[i]! + k) * step + c]!;
        }
        out[(line * to + i) * step + c] = sum;
      }
    }
  }
  return out;
}

/**
 * Resizes float samples as torch's `interpolate(antialias=True)` does: the same filters, horizontal pass first, nothing
 * rounded or clipped between the passes. Values may leave the range of the input where the filter overshoots.
 */
export function resizeFloat(source: FloatPicture, size: Size, filter: 'bilinear' | 'bicubic'): FloatPicture {
  const kernel = kernels[filter];
  const { height, width } = source;
  const rows =
    size.width === width ? source.rgb : floatPass(source.rgb, height, width, size.width, 3, kernel);
  const step = size.width * 3;
  const rgb = size.height === height ? rows : floatPass(rows, 1, height, size.height, step, kernel);
  return { ...size, rgb };
}
