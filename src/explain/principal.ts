import { at, increase, largest } from '../domain/lists';
import { mulberry32, normals } from './random';

/** Rows on their principal components. */
export interface Principal {
  /** `[rows, count]` */
  readonly scores: Float64Array;
  /** `[count, width]`, of length 1; the largest entry of each is positive. */
  readonly components: Float64Array;
  /** Variances along them, with n − 1. */
  readonly variances: Float64Array;
  readonly mean: Float64Array;
}

/** Further directions that are followed, so that the wanted ones settle soon. */
const spare = 8;
/** Rounds at most; two variances that are nearly equal settle slowly. */
const mostRounds = 2000;
/** Relative change of the variances below which they have settled. */
const settled = 1e-14;

/**
 * The first principal components of rows `[n, width]`, centred and not scaled, by subspace
 * iteration (Golub & Van Loan 2013, §8.2.4). The sign makes the largest entry of each component
 * positive, as scikit-learn does since 1.5.
 */
export function principal(rows: Float64Array, width: number, count: number): Principal {
  const n = rows.length / width;
  const mean = new Float64Array(width);
  rows.forEach((value, place) => increase(mean, place % width, value / n));
  const centred = rows.map((value, place) => value - at(mean, place % width));
  const followed = Math.min(count + spare, width, n);
  const draw = normals(mulberry32(1));
  let basis: readonly Float64Array[] = orthonormal(
    Array.from({ length: followed }, () => Float64Array.from({ length: width }, draw)),
  );
  let variances = new Float64Array(followed);
  for (let round = 0; round < mostRounds; round++) {
    const images = basis.map((vector) => back(centred, width, forth(centred, width, vector)));
    const next = images.map((image) => Math.sqrt(dot(image, image)));
    basis = orthonormal(images);
    const change = next.reduce(
      (most, value, index) => Math.max(most, Math.abs(value - at(variances, index))),
      0,
    );
    variances = Float64Array.from(next);
    if (change <= settled * largest(next)) break;
  }
  const components = basis.slice(0, count).map(signed);
  const scores = new Float64Array(n * count);
  components.forEach((component, index) =>
    forth(centred, width, component).forEach((value, row) => (scores[row * count + index] = value)),
  );
  const spread = components.map((component) => {
    const own = forth(centred, width, component);
    return dot(own, own) / Math.max(1, n - 1);
  });
  const flat = new Float64Array(count * width);
  components.forEach((component, index) => flat.set(component, index * width));
  return { scores, components: flat, variances: Float64Array.from(spread), mean };
}

const dot = (left: Float64Array, right: Float64Array): number =>
  left.reduce((sum, value, index) => sum + value * at(right, index), 0);

/** Rows times a vector. */
function forth(rows: Float64Array, width: number, vector: Float64Array): Float64Array {
  const result = new Float64Array(rows.length / width);
  for (let row = 0; row < result.length; row++) {
    let sum = 0;
    for (let column = 0; column < width; column++)
      sum += (rows[row * width + column] ?? 0) * (vector[column] ?? 0);
    result[row] = sum;
  }
  return result;
}

/** A vector times the rows. */
function back(rows: Float64Array, width: number, vector: Float64Array): Float64Array {
  const result = new Float64Array(width);
  for (let row = 0; row < vector.length; row++) {
    const factor = vector[row] ?? 0;
    for (let column = 0; column < width; column++)
      increase(result, column, factor * (rows[row * width + column] ?? 0));
  }
  return result;
}

/** Gram and Schmidt's, twice over: once leaves rounding behind. */
function orthonormal(vectors: readonly Float64Array[]): readonly Float64Array[] {
  const result: Float64Array[] = [];
  for (const vector of vectors) {
    let own = vector;
    for (const _ of [0, 1]) for (const other of result) own = without(own, other);
    const length = Math.sqrt(dot(own, own));
    result.push(length > 0 ? own.map((value) => value / length) : own);
  }
  return result;
}

function without(vector: Float64Array, other: Float64Array): Float64Array {
  const share = dot(vector, other);
  return vector.map((value, index) => value - share * at(other, index));
}

function signed(vector: Float64Array): Float64Array {
  const largest = vector.reduce((most, value) => (Math.abs(value) > Math.abs(most) ? value : most), 0);
  return largest < 0 ? vector.map((value) => -value) : vector;
}
