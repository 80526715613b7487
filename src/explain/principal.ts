import { at, increase, last } from '../domain/lists';
import { mulberry32, normals } from './random';
import { tridiagonalEigen, type Eigen } from './tridiagonal';

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

/**
 * Directions that are followed at most. All of them are for what is narrower; of 1,024 channels the
 * first components are found to rounding, unless two variances are nearly equal.
 */
const mostDirections = 300;
/** Share of a vector's length that is left if it lies in the directions that are known. */
const nothingLeft = 1e-10;

/**
 * The first principal components of rows `[n, width]`, centred and not scaled, by Lanczos's method
 * with all directions kept orthogonal (Golub & Van Loan 2013, §10.3). The sign makes the largest
 * entry of each component positive, as scikit-learn does since 1.5. Without so many directions in
 * the rows, those missing are 0.
 */
export function principal(rows: Float64Array, width: number, count: number): Principal {
  const n = rows.length / width;
  const mean = new Float64Array(width);
  rows.forEach((value, place) => increase(mean, place % width, value / n));
  const centred = rows.map((value, place) => value - at(mean, place % width));
  const found = directions(centred, width, count);
  const components = Array.from({ length: count }, (_, index) =>
    signed(found[index] ?? new Float64Array(width)),
  );
  const scores = new Float64Array(n * count);
  const variances = new Float64Array(count);
  const flat = new Float64Array(count * width);
  components.forEach((component, index) => {
    const own = forth(centred, width, component);
    own.forEach((value, row) => (scores[row * count + index] = value));
    variances[index] = dot(own, own) / Math.max(1, n - 1);
    flat.set(component, index * width);
  });
  return { scores, components: flat, variances, mean };
}

/** Directions followed so far: the rows' spread in them is a tridiagonal matrix. */
interface Chain {
  readonly basis: Float64Array[];
  readonly diagonal: number[];
  readonly beside: number[];
}

/** Part of the largest variance by which those that are asked for may still change. */
const settled = 1e-13;
/** Directions between two looks at whether they have settled. */
const between = 32;

/** Directions in which centred rows are spread most, in falling order. */
function directions(centred: Float64Array, width: number, count: number): readonly Float64Array[] {
  const n = centred.length / width;
  const chain: Chain = { basis: [], diagonal: [], beside: [] };
  const { basis, diagonal, beside } = chain;
  const draw = normals(mulberry32(1));
  const random = (): Float64Array => back(centred, width, Float64Array.from({ length: n }, draw));
  const most = Math.min(width, n, mostDirections);
  let next = remainder(random(), basis).unit;
  while (next && basis.length < most) {
    const image = back(centred, width, forth(centred, width, next));
    basis.push(next);
    diagonal.push(dot(image, next));
    const { unit, left } = remainder(image, basis);
    // Alike variances end a chain early: another one finds their other directions.
    next = unit ?? remainder(random(), basis).unit;
    beside.push(left);
    if (basis.length % between === 0 && hasSettled(chain, count)) break;
  }
  const { values, vectors } = eigenOf(chain);
  return falling(values)
    .slice(0, count)
    .map((place) => combined(basis, at(vectors, place), width));
}

const eigenOf = ({ diagonal, beside }: Chain): Eigen =>
  tridiagonalEigen(Float64Array.from(diagonal), Float64Array.from(beside));

const falling = (values: Float64Array): readonly number[] =>
  Array.from(values.keys()).sort((a, b) => at(values, b) - at(values, a));

/** Whether the first directions no longer change: their last entry says what is missing. */
function hasSettled(chain: Chain, count: number): boolean {
  const { values, vectors } = eigenOf(chain);
  const order = falling(values);
  const missing = order
    .slice(0, count)
    .map((place) => Math.abs(at(chain.beside, chain.beside.length - 1) * last(at(vectors, place))));
  return order.length > count && missing.every((part) => part <= settled * at(values, at(order, 0)));
}

/** A vector without what known directions hold of it, and its length; no unit without any. */
function remainder(
  vector: Float64Array,
  basis: readonly Float64Array[],
): { readonly unit?: Float64Array; readonly left: number } {
  const whole = Math.sqrt(dot(vector, vector));
  const own = vector.slice();
  // Twice over: once leaves rounding behind.
  for (const _ of [0, 1])
    for (const known of basis) {
      const share = dot(own, known);
      for (let place = 0; place < own.length; place++)
        own[place] = (own[place] ?? 0) - share * (known[place] ?? 0);
    }
  const left = Math.sqrt(dot(own, own));
  return left > nothingLeft * whole ? { unit: own.map((value) => value / left), left } : { left: 0 };
}

/** Σ of directions, each by its weight. */
function combined(basis: readonly Float64Array[], weights: Float64Array, width: number): Float64Array {
  const result = new Float64Array(width);
  basis.forEach((vector, index) =>
    vector.forEach((value, place) => increase(result, place, at(weights, index) * value)),
  );
  return result;
}

function dot(left: Float64Array, right: Float64Array): number {
  let sum = 0;
  for (let place = 0; place < left.length; place++) sum += (left[place] ?? 0) * (right[place] ?? 0);
  return sum;
}

/** Rows times a vector. */
function forth(rows: Float64Array, width: number, vector: Float64Array): Float64Array {
  const result = new Float64Array(rows.length / width);
  for (let row = 0; row < result.length; row++)
    result[row] = dot(rows.subarray(row * width, (row + 1) * width), vector);
  return result;
}

/** A vector times the rows. */
function back(rows: Float64Array, width: number, vector: Float64Array): Float64Array {
  const result = new Float64Array(width);
  for (let row = 0; row < vector.length; row++) {
    const factor = vector[row] ?? 0;
    for (let column = 0; column < width; column++)
      result[column] = (result[column] ?? 0) + factor * (rows[row * width + column] ?? 0);
  }
  return result;
}

function signed(vector: Float64Array): Float64Array {
  const most = vector.reduce((best, value) => (Math.abs(value) > Math.abs(best) ? value : best), 0);
  return most < 0 ? vector.map((value) => -value) : vector;
}
