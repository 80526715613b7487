import type { TensorValues } from '../protocol/inspector';

/**
 * Statistics of a tensor's values; those that are not finite are counted and left out of all else.
 */
export type WeightStatistics = NonNullable<TensorValues['statistics']>;

const defaultBins = 64;

/**
 * Range, mean, standard deviation (of the population, in two passes for accuracy) and a histogram
 * of equal bins between minimum and maximum. A tensor of one value has one bin that is full; one
 * without finite values has neither range nor bins.
 */
export function weightStatistics(values: Float32Array, bins = defaultBins): WeightStatistics {
  let [count, zeros, sum, min, max] = [0, 0, 0, Infinity, -Infinity];
  for (const value of values) {
    if (!Number.isFinite(value)) continue;
    count++;
    sum += value;
    if (value === 0) zeros++;
    if (value < min) min = value;
    if (value > max) max = value;
  }
  const notFinite = values.length - count;
  if (count === 0) return { min: NaN, max: NaN, mean: NaN, deviation: NaN, zeros, notFinite, histogram: [] };
  const mean = sum / count;
  const deviation = Math.sqrt(sumOfSquares(values, mean) / count);
  return { min, max, mean, deviation, zeros, notFinite, histogram: countBins(values, min, max, bins) };
}

function sumOfSquares(values: Float32Array, mean: number): number {
  let sum = 0;
  for (const value of values) if (Number.isFinite(value)) sum += (value - mean) ** 2;
  return sum;
}

function countBins(values: Float32Array, min: number, max: number, bins: number): readonly number[] {
  const histogram = new Array<number>(min === max ? 1 : bins).fill(0);
  const scale = histogram.length / (max - min || 1);
  for (const value of values) {
    if (!Number.isFinite(value)) continue;
    // The maximum belongs to the last bin, which is closed on both sides.
    const bin = Math.min(histogram.length - 1, Math.floor((value - min) * scale));
    histogram[bin] = (histogram[bin] ?? 0) + 1;
  }
  return histogram;
}
