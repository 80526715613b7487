/**
 * Resampling of float samples by other rules than Pillow's filters: torch's `interpolate` without
 * antialiasing, and scikit-image's blur before it shrinks (OWLv2).
 */
import { largest, smallest } from '../domain/lists';
import type { Axis, Taps } from './resize';

/** Where a sample of the output lies in the input, as torch's `align_corners` says. */
export type Alignment = 'centres' | 'corners';

/** Weights by source position of one output sample. */
type Weights = ReadonlyMap<number, number>;

/** Which of the samples stands in for one beyond either end. */
export type Beyond = (position: number, length: number) => number;

const nearestInside: Beyond = (position, length) => Math.min(Math.max(position, 0), length - 1);

/** Reflection about the outermost samples, `d c b | a b c d | c b a`: NumPy's reflect. */
export const reflected: Beyond = (position, length) => {
  const period = 2 * (length - 1);
  if (period === 0) return 0;
  const inside = ((position % period) + period) % period;
  return inside < length ? inside : period - inside;
};

/** Reflection that has the outermost samples twice, `c b a | a b c | c b a`: NumPy's symmetric. */
export const repeated: Beyond = (position, length) => {
  const inside = ((position % (2 * length)) + 2 * length) % (2 * length);
  return inside < length ? inside : 2 * length - 1 - inside;
};

/**
 * The position of an output sample in the input, in samples. torch has it in float32, which is seen
 * where samples differ much: processors alone align corners, and they are held to its bits.
 */
function positionOf({ from, to }: Axis, index: number, alignment: Alignment): number {
  if (alignment === 'corners') return to > 1 ? Math.fround(Math.fround((from - 1) / (to - 1)) * index) : 0;
  return (index + 0.5) * (from / to) - 0.5;
}

/** Keys' cubic convolution with a = -0.75, torch's. */
function cubic(distance: number): number {
  const a = -0.75;
  const d = Math.abs(distance);
  if (d <= 1) return ((a + 2) * d - (a + 3)) * d * d + 1;
  return d < 2 ? (((d - 5) * d + 8) * d - 4) * a : 0;
}

const kernels = {
  bilinear: { reach: 1, weight: (distance: number): number => Math.max(0, 1 - Math.abs(distance)) },
  bicubic: { reach: 2, weight: cubic },
} as const;

/** Modes of torch's `interpolate` that are separable and weigh more than one sample. */
export type Interpolation = keyof typeof kernels;

/** Puts weights by position into the form that passes read: a first position and what follows. */
function packed(length: number, weightsOf: (index: number) => Weights): Taps<Float64Array> {
  const all = Array.from({ length }, (_, index) => weightsOf(index));
  const first = Int32Array.from(all, (weights) => smallest(weights.keys()));
  const lastOnes = Int32Array.from(all, (weights) => largest(weights.keys()));
  const count = lastOnes.map((last, index) => last - (first[index] ?? 0) + 1);
  const stride = count.reduce((most, each) => Math.max(most, each), 1);
  const weights = new Float64Array(length * stride);
  all.forEach((own, index) =>
    own.forEach((weight, position) => (weights[index * stride + position - (first[index] ?? 0)] = weight)),
  );
  return { first, count, weights, stride };
}

function weighed(position: number, length: number, mode: Interpolation, beyond: Beyond): Map<number, number> {
  const { reach, weight } = kernels[mode];
  const low = Math.floor(position);
  const weights = new Map<number, number>();
  for (let sample = low - reach + 1; sample <= low + reach; sample++) {
    const place = beyond(sample, length);
    weights.set(place, (weights.get(place) ?? 0) + weight(position - sample));
  }
  return weights;
}

/**
 * Taps of `torch.nn.functional.interpolate(mode, align_corners, antialias=False)` along one axis.
 * Samples beyond the ends are the outermost ones.
 */
export function interpolationTaps(axis: Axis, mode: Interpolation, alignment: Alignment): Taps<Float64Array> {
  return packed(axis.length, (index) => {
    const position = positionOf(axis, axis.start + index, alignment);
    return weighed(position, axis.from, mode, nearestInside);
  });
}

/**
 * Taps of two passes along one axis as one: both are linear. If the first one is cut, the second
 * reads what was kept.
 */
export function composedTaps(inner: Taps<Float64Array>, outer: Taps<Float64Array>): Taps<Float64Array> {
  return packed(outer.first.length, (index) => {
    const weights = new Map<number, number>();
    for (let k = 0; k < (outer.count[index] ?? 0); k++) {
      const share = outer.weights[index * outer.stride + k] ?? 0;
      const middle = (outer.first[index] ?? 0) + k;
      for (let i = 0; i < (inner.count[middle] ?? 0); i++) {
        const place = (inner.first[middle] ?? 0) + i;
        const weight = inner.weights[middle * inner.stride + i] ?? 0;
        weights.set(place, (weights.get(place) ?? 0) + share * weight);
      }
    }
    return weights;
  });
}

/** SciPy's gaussian_filter cuts the bell off at four deviations. */
const truncate = 4;

/** Normalised weights at -radius … radius; the sample alone if the deviation is nothing. */
function bell(deviation: number): readonly number[] {
  if (deviation < 1e-15) return [1];
  const radius = Math.trunc(truncate * deviation + 0.5);
  const raw = Array.from({ length: 2 * radius + 1 }, (_, i) =>
    Math.exp((-0.5 * (i - radius) ** 2) / deviation ** 2),
  );
  const total = raw.reduce((sum, value) => sum + value, 0);
  return raw.map((value) => value / total);
}

/**
 * Taps of scikit-image's `resize` of order 1 with antialiasing along one axis: a gaussian of
 * deviation (from / to - 1) / 2, then linear interpolation between the blurred samples; both
 * reflect at the ends. They are one linear map, and are carried out as one.
 */
export function blurredTaps(axis: Axis): Taps<Float64Array> {
  const { from, to } = axis;
  const blur = bell(Math.max(0, (from / to - 1) / 2));
  const radius = (blur.length - 1) / 2;
  return packed(axis.length, (index) => {
    const position = positionOf(axis, axis.start + index, 'centres');
    const weights = new Map<number, number>();
    weighed(position, from, 'bilinear', reflected).forEach((share, sample) =>
      blur.forEach((weight, i) => {
        const place = reflected(sample + i - radius, from);
        weights.set(place, (weights.get(place) ?? 0) + share * weight);
      }),
    );
    return weights;
  });
}
