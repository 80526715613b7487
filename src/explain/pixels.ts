import { at, increase } from '../domain/lists';
import type { Explained, Values } from './explained';
import { mulberry32, normals } from './random';

const scaledBy = ({ shape, data }: Values, factor: number): Values => ({
  shape,
  data: data.map((value) => value * factor),
});

/** x·∂s/∂x (Shrikumar et al. 2016). */
export async function inputTimesGradient(explained: Explained): Promise<Values> {
  const { pixels } = explained.question;
  const { pixels: gradient } = await explained.derived();
  return { shape: pixels.shape, data: pixels.data.map((value, place) => value * at(gradient.data, place)) };
}

/** Nodes and weights of Gauss and Legendre's rule on 0 … 1, by Newton's method. */
export function gaussLegendre(count: number): readonly { readonly node: number; readonly weight: number }[] {
  return Array.from({ length: count }, (_, index) => {
    let x = Math.cos((Math.PI * (index + 0.75)) / (count + 0.5));
    let slope = 0;
    // Converges from this start in a handful of steps for any count.
    for (let step = 0; step < 50; step++) {
      let [before, value] = [1, x];
      for (let degree = 2; degree <= count; degree++)
        [before, value] = [value, ((2 * degree - 1) * x * value - (degree - 1) * before) / degree];
      slope = (count * (x * value - before)) / (x * x - 1);
      const change = value / slope;
      x -= change;
      if (Math.abs(change) < 1e-15) break;
    }
    return { node: (1 - x) / 2, weight: 1 / ((1 - x * x) * slope * slope) };
  });
}

/** Nodes of the path from the baseline to the image, captum's default. */
export const pathNodes = 50;

/** An attribution and what its sum misses of the difference that it explains. */
export interface Integrated {
  readonly values: Values;
  readonly delta: number;
}

/**
 * (x − b)·∫ ∂s(b + α(x − b)) dα with b = 0, the mean colour (Sundararajan et al. 2017, eq. 1). The
 * sum is s(x) − s(b), up to `delta`.
 */
export async function integratedGradients(explained: Explained, count = pathNodes): Promise<Integrated> {
  const { pixels, progress } = explained.question;
  const sum = new Float64Array(pixels.data.length);
  for (const [index, { node, weight }] of gaussLegendre(count).entries()) {
    progress?.(`integrated gradients, ${index + 1} of ${count}`);
    const { data } = await explained.gradientAt(scaledBy(pixels, node));
    data.forEach((value, place) => increase(sum, place, weight * value));
  }
  const values = { shape: pixels.shape, data: pixels.data.map((value, place) => value * at(sum, place)) };
  const difference = (await explained.valueAt(pixels)) - (await explained.valueAt(scaledBy(pixels, 0)));
  return { values, delta: values.data.reduce((total, value) => total + value, 0) - difference };
}

/** How many noisy images, how noisy, and by which numbers. */
export interface Noise {
  readonly samples: number;
  readonly sigma: number;
  readonly seed: number;
}

/** Share of the range of pixels that the noise has as its deviation (Smilkov et al. 2017, §3.1). */
const noiseLevel = 0.15;

export function usualNoise({ data }: Values): Noise {
  const [low, high] = data.reduce<[number, number]>(
    ([least, most], value) => [Math.min(least, value), Math.max(most, value)],
    [Infinity, -Infinity],
  );
  return { samples: 50, sigma: noiseLevel * (high - low), seed: 2024 };
}

/** The mean gradient of noisy images, with its sign (Smilkov et al. 2017, eq. 2). */
export async function smoothGrad(explained: Explained, noise: Noise): Promise<Values> {
  const { pixels, progress } = explained.question;
  const draw = normals(mulberry32(noise.seed));
  const sum = new Float64Array(pixels.data.length);
  for (let sample = 0; sample < noise.samples; sample++) {
    progress?.(`SmoothGrad, ${sample + 1} of ${noise.samples}`);
    const data = pixels.data.map((value) => value + noise.sigma * draw());
    const gradient = await explained.gradientAt({ shape: pixels.shape, data });
    gradient.data.forEach((value, place) => increase(sum, place, value / noise.samples));
  }
  return { shape: pixels.shape, data: Float32Array.from(sum) };
}

/** A window that slides over the image, `[rows, columns]` each. */
export interface Sliding {
  readonly window: readonly [number, number];
  readonly strides: readonly [number, number];
}

/**
 * s(x) − s(x with the window at the mean colour), for each pixel the mean over the windows that
 * cover it (Zeiler & Fergus 2014; captum). The last window of a row is cut at the border.
 */
export async function occlusion(explained: Explained, { window, strides }: Sliding): Promise<Float64Array> {
  const { pixels, progress } = explained.question;
  const [, channels = 1, height = 1, width = 1] = pixels.shape;
  const [tall, wide] = window;
  const starts = (size: number, side: number, stride: number): readonly number[] =>
    Array.from({ length: Math.ceil(Math.max(0, size - side) / stride) + 1 }, (_, index) => index * stride);
  const [tops, lefts] = [starts(height, tall, strides[0]), starts(width, wide, strides[1])];
  const whole = await explained.valueAt(pixels);
  const [sum, count] = [new Float64Array(height * width), new Float64Array(height * width)];
  let done = 0;
  for (const top of tops)
    for (const left of lefts) {
      progress?.(`occlusion, ${++done} of ${tops.length * lefts.length}`);
      const data = pixels.data.slice();
      const [bottom, right] = [Math.min(height, top + tall), Math.min(width, left + wide)];
      for (let channel = 0; channel < channels; channel++)
        for (let row = top; row < bottom; row++)
          data.fill(0, (channel * height + row) * width + left, (channel * height + row) * width + right);
      const change = whole - (await explained.valueAt({ shape: pixels.shape, data }));
      for (let row = top; row < bottom; row++)
        for (let column = left; column < right; column++) {
          increase(sum, row * width + column, change);
          increase(count, row * width + column, 1);
        }
    }
  return sum.map((value, place) => value / Math.max(1, at(count, place)));
}
