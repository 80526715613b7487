/**
 * Pillow's `Image.resize` on 8-bit RGB, bit for bit, and torch's antialiased one on floats.
 *
 * Both are separable convolutions with a filter that widens when the image shrinks. Pillow rounds
 * after each of the two passes and computes in fixed point, so the order of the passes and the
 * order of additions in the coefficients matter.
 */

import { at, last } from '../domain/lists';

/** An image: `height * width * 3` bytes, row by row, red green blue. */
export interface RgbImage {
  readonly width: number;
  readonly height: number;
  readonly rgb: Uint8Array;
}

/** Like `Image` with float samples. */
export interface FloatImage {
  readonly width: number;
  readonly height: number;
  readonly rgb: Float32Array;
}

/** RasterSize in whole samples, as images have them. */
export interface RasterSize {
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

/** A part of the resized image, in its pixels. */
export interface Window extends RasterSize {
  readonly left: number;
  readonly top: number;
}

/**
 * One axis of a resize: `from` source samples become `to`, of which `start … start + length` are
 * wanted.
 */
export interface Axis {
  readonly from: number;
  readonly to: number;
  readonly start: number;
  readonly length: number;
}

/**
 * For every wanted output position: the first source position, how many follow, and their weights,
 * `stride` apart.
 */
export interface Taps<Weights> {
  readonly first: Int32Array;
  readonly count: Int32Array;
  readonly weights: Weights;
  readonly stride: number;
}

/**
 * Normalised weights of one pass. The operation order is Pillow's (`precompute_coeffs`): changing
 * it changes last bits, and with them rounded pixels.
 */
function taps({ from, to, start, length }: Axis, kernel: Kernel): Taps<Float64Array> {
  const scale = from / to;
  const stretch = Math.max(scale, 1);
  const reach = kernel.support * stretch;
  const stride = Math.ceil(reach) * 2 + 1;
  const first = new Int32Array(length);
  const count = new Int32Array(length);
  const weights = new Float64Array(length * stride);
  for (let i = 0; i < length; i++) {
    const centre = (i + start + 0.5) * scale;
    const low = Math.max(Math.trunc(centre - reach + 0.5), 0);
    const high = Math.min(Math.trunc(centre + reach + 0.5), from);
    let sum = 0;
    for (let j = 0; j < high - low; j++) {
      const weight = kernel.weight((j + low - centre + 0.5) * (1 / stretch));
      weights[i * stride + j] = weight;
      sum += weight;
    }
    const own = weights.subarray(i * stride, i * stride + high - low);
    if (sum !== 0) own.forEach((weight, j) => (own[j] = weight / sum));
    first[i] = low;
    count[i] = high - low;
  }
  return { first, count, weights, stride };
}

/** 32 bits less 8 of the sample and 2 of headroom for filters that overshoot. */
const precision = 22;
const half = 1 << (precision - 1);

/** Weights in fixed point, rounded half away from zero. */
function fixedTaps(axis: Axis, kernel: Kernel): Taps<Int32Array> {
  const exact = taps(axis, kernel);
  const weights = Int32Array.from(exact.weights, (w) =>
    Math.trunc(w * (1 << precision) + (w < 0 ? -0.5 : 0.5)),
  );
  return { ...exact, weights };
}

/**
 * Source positions `[low, high)` that the taps read. First positions ascend, and so do last ones.
 */
function reachOf({ first, count }: Taps<unknown>): readonly [number, number] {
  return [at(first, 0), last(first) + last(count)];
}

/**
 * Resizes the rows `[low, high)` of the source, the only ones that a following vertical pass reads.
 */
function horizontalPass(
  source: RgbImage,
  taps: Taps<Int32Array>,
  [low, high]: readonly [number, number],
): RgbImage {
  const { first, count, weights, stride } = taps;
  const width = first.length;
  const rgb = new Uint8ClampedArray((high - low) * width * 3);
  const input = source.rgb;
  let out = 0;
  for (let y = low; y < high; y++) {
    for (let x = 0; x < width; x++) {
      let red = half;
      let green = half;
      let blue = half;
      let at = (y * source.width + (first[x] ?? 0)) * 3;
      const end = x * stride + (count[x] ?? 0);
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
  return { width, height: high - low, rgb: new Uint8Array(rgb.buffer) };
}

/** Resizes the columns `[low, high)`. Sums whole rows, so that memory is read in order. */
function verticalPass(
  source: RgbImage,
  taps: Taps<Int32Array>,
  [low, high]: readonly [number, number],
): RgbImage {
  const { first, count, weights, stride } = taps;
  const height = first.length;
  const length = (high - low) * 3;
  const rgb = new Uint8ClampedArray(height * length);
  const sums = new Int32Array(length);
  for (let y = 0; y < height; y++) {
    sums.fill(half);
    const [from = 0, taken = 0] = [first[y], count[y]];
    for (let k = 0; k < taken; k++) {
      const weight = weights[y * stride + k] ?? 0;
      const start = ((from + k) * source.width + low) * 3;
      const row = source.rgb.subarray(start, start + length);
      for (let i = 0; i < length; i++) sums[i]! += Math.imul(weight, row[i]!);
    }
    for (let i = 0; i < length; i++) rgb[y * length + i] = sums[i]! >> precision;
  }
  return { width: high - low, height, rgb: new Uint8Array(rgb.buffer) };
}

/**
 * Source positions of nearest: accumulated, not multiplied, as Pillow does; the last bits of the
 * sum decide ties.
 */
function nearestPositions({ from, to, start, length }: Axis): Int32Array {
  const step = from / to;
  const positions = new Int32Array(length);
  let at = step * 0.5;
  for (let i = 0; i < start + length; i++, at += step) {
    if (i >= start) positions[i - start] = Math.min(Math.trunc(at), from - 1);
  }
  return positions;
}

function nearest(source: RgbImage, vertical: Axis, horizontal: Axis): RgbImage {
  const rows = nearestPositions(vertical);
  const columns = nearestPositions(horizontal);
  const rgb = new Uint8Array(rows.length * columns.length * 3);
  let out = 0;
  for (const row of rows) {
    for (const column of columns) {
      const at = (row * source.width + column) * 3;
      rgb[out++] = source.rgb[at] ?? 0;
      rgb[out++] = source.rgb[at + 1] ?? 0;
      rgb[out++] = source.rgb[at + 2] ?? 0;
    }
  }
  return { width: columns.length, height: rows.length, rgb };
}

/**
 * Since Pillow 13 the vertical pass goes first if it takes away more than the horizontal one
 * would.
 */
function verticalFirst(source: RasterSize, size: RasterSize): boolean {
  const fewerRows = source.height - size.height;
  return fewerRows > 0 && fewerRows > 2 * (source.width - size.width);
}

/** The rectangle of an image, which lies wholly inside it. */
export function cut<Any extends RgbImage | FloatImage>(source: Any, window: Window): Any {
  const { left, top, height, width } = window;
  if (height === source.height && width === source.width) return source;
  const samples = height * width * 3;
  const rgb = source.rgb instanceof Uint8Array ? new Uint8Array(samples) : new Float32Array(samples);
  for (let y = 0; y < height; y++) {
    const start = ((top + y) * source.width + left) * 3;
    rgb.set(source.rgb.subarray(start, start + width * 3), y * width * 3);
  }
  return { ...source, width, height, rgb };
}

/**
 * Resizes as Pillow 13 does (`Image.resize(size, resample)` of an RGB image, `reducing_gap` and
 * `box` at their defaults). The size is in pixels, at least 1 × 1. With a window, only that part of
 * the resized image is computed: the same bytes, without the cost of what a crop throws away.
 * Returns the source itself if nothing changes.
 */
export function resize(
  source: RgbImage,
  size: RasterSize,
  filter: Filter,
  window: Window = { left: 0, top: 0, ...size },
): RgbImage {
  const vertical = { from: source.height, to: size.height, start: window.top, length: window.height };
  const horizontal = { from: source.width, to: size.width, start: window.left, length: window.width };
  const [keepsHeight, keepsWidth] = [source.height === size.height, source.width === size.width];
  if (keepsHeight && keepsWidth) return cut(source, window);
  if (filter === 'nearest') return nearest(source, vertical, horizontal);
  const kernel = kernels[filter];
  if (keepsHeight) {
    return horizontalPass(source, fixedTaps(horizontal, kernel), [window.top, window.top + window.height]);
  }
  if (keepsWidth) {
    return verticalPass(source, fixedTaps(vertical, kernel), [window.left, window.left + window.width]);
  }
  const [rows, columns] = [fixedTaps(vertical, kernel), fixedTaps(horizontal, kernel)];
  if (verticalFirst(source, size)) {
    const [low, high] = reachOf(columns);
    const shorter = verticalPass(source, rows, [low, high]);
    return horizontalPass(shorter, shifted(columns, low), [0, shorter.height]);
  }
  const [low, high] = reachOf(rows);
  const narrower = horizontalPass(source, columns, [low, high]);
  return verticalPass(narrower, shifted(rows, low), [0, narrower.width]);
}

/** The same taps on a source whose first `by` positions were cut off. */
function shifted<Weights>(taps: Taps<Weights>, by: number): Taps<Weights> {
  return { ...taps, first: taps.first.map((position) => position - by) };
}

function horizontalFloats(
  source: RgbImage | FloatImage,
  { first, count, weights, stride }: Taps<Float64Array>,
  [low, high]: readonly [number, number],
): FloatImage {
  const width = first.length;
  const rgb = new Float32Array((high - low) * width * 3);
  const input = source.rgb;
  let out = 0;
  for (let y = low; y < high; y++) {
    for (let x = 0; x < width; x++) {
      let [red, green, blue] = [0, 0, 0];
      let at = (y * source.width + (first[x] ?? 0)) * 3;
      const end = x * stride + (count[x] ?? 0);
      for (let k = x * stride; k < end; k++, at += 3) {
        const weight = weights[k]!;
        red += weight * input[at]!;
        green += weight * input[at + 1]!;
        blue += weight * input[at + 2]!;
      }
      rgb[out++] = red;
      rgb[out++] = green;
      rgb[out++] = blue;
    }
  }
  return { width, height: high - low, rgb };
}

function verticalFloats(
  source: FloatImage,
  { first, count, weights, stride }: Taps<Float64Array>,
): FloatImage {
  const height = first.length;
  const length = source.width * 3;
  const rgb = new Float32Array(height * length);
  const sums = new Float64Array(length);
  for (let y = 0; y < height; y++) {
    sums.fill(0);
    const [from = 0, taken = 0] = [first[y], count[y]];
    for (let k = 0; k < taken; k++) {
      const weight = weights[y * stride + k] ?? 0;
      const row = source.rgb.subarray((from + k) * length, (from + k + 1) * length);
      for (let i = 0; i < length; i++) sums[i]! += weight * row[i]!;
    }
    rgb.set(sums, y * length);
  }
  return { width: source.width, height, rgb };
}

/** Filters that torchvision resamples tensors with; it refuses box and hamming. */
export type FloatFilter = Extract<Filter, 'bilinear' | 'bicubic'>;

/**
 * Resizes without rounding to bytes, as torch's `interpolate(antialias=True)` does: the same
 * filters, horizontal pass first, nothing rounded or clipped between the passes. Values may leave 0
 * … 255 if the filter overshoots.
 */
export function resizeFloat(
  source: RgbImage | FloatImage,
  size: RasterSize,
  filter: FloatFilter,
  window: Window = { left: 0, top: 0, ...size },
): FloatImage {
  const axis = (from: number, to: number, start: number, length: number) =>
    taps({ from, to, start, length }, kernels[filter]);
  const rows = axis(source.height, size.height, window.top, window.height);
  const columns = axis(source.width, size.width, window.left, window.width);
  return resample(source, rows, columns);
}

/** Resizes by the taps of each axis, without rounding to bytes; horizontal pass first. */
export function resample(
  source: RgbImage | FloatImage,
  rows: Taps<Float64Array>,
  columns: Taps<Float64Array>,
): FloatImage {
  const [low, high] = reachOf(rows);
  return verticalFloats(horizontalFloats(source, columns, [low, high]), shifted(rows, low));
}
