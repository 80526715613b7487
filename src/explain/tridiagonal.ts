import { at } from '../domain/lists';

/** Eigenvalues of a symmetric matrix in no order, and an eigenvector for each, of length 1. */
export interface Eigen {
  readonly values: Float64Array;
  readonly vectors: readonly Float64Array[];
}

/** Steps for each eigenvalue at most; two or three are usual. */
const mostSteps = 60;

/**
 * Eigenvalues and eigenvectors of a symmetric tridiagonal matrix, of its diagonal and the entries
 * beside it: QR steps with Wilkinson's shift (Golub & Van Loan 2013, §8.3.3).
 */
export function tridiagonalEigen(diagonal: Float64Array, beside: Float64Array): Eigen {
  const [d, e] = [diagonal.slice(), beside.slice()];
  const vectors = Array.from(d, (_, row) => Float64Array.from(d, (__, column) => (row === column ? 1 : 0)));
  const isSplit = (place: number): boolean =>
    Math.abs(e[place] ?? 0) <= Number.EPSILON * (Math.abs(d[place] ?? 0) + Math.abs(d[place + 1] ?? 0));
  let last = d.length - 1;
  for (let step = 0; last > 0 && step < mostSteps * d.length; step++) {
    if (isSplit(last - 1)) {
      last--;
      continue;
    }
    let first = last - 1;
    while (first > 0 && !isSplit(first - 1)) first--;
    chase({ d, e, vectors }, first, last);
  }
  return { values: d, vectors };
}

interface Working {
  readonly d: Float64Array;
  readonly e: Float64Array;
  readonly vectors: readonly Float64Array[];
}

/** One step on rows `first … last`: a rotation makes an entry off the band, others move it out. */
function chase({ d, e, vectors }: Working, first: number, last: number): void {
  const [corner, edge] = [at(d, last), at(e, last - 1)];
  const half = (at(d, last - 1) - corner) / 2;
  const shift = corner - edge ** 2 / (half + (half < 0 ? -1 : 1) * Math.hypot(half, edge));
  let [x, z] = [at(d, first) - shift, at(e, first)];
  for (let row = first; row < last; row++) {
    const length = Math.hypot(x, z);
    const [c, s] = length > 0 ? [x / length, z / length] : [1, 0];
    if (row > first) e[row - 1] = length;
    const [upper, middle, lower] = [at(d, row), at(e, row), at(d, row + 1)];
    d[row] = c * c * upper + 2 * c * s * middle + s * s * lower;
    d[row + 1] = s * s * upper - 2 * c * s * middle + c * c * lower;
    e[row] = c * s * (lower - upper) + (c * c - s * s) * middle;
    if (row < last - 1) {
      x = at(e, row);
      z = s * at(e, row + 1);
      e[row + 1] = c * at(e, row + 1);
    }
    rotate(at(vectors, row), at(vectors, row + 1), c, s);
  }
}

function rotate(left: Float64Array, right: Float64Array, c: number, s: number): void {
  for (let place = 0; place < left.length; place++) {
    const [a, b] = [left[place] ?? 0, right[place] ?? 0];
    left[place] = c * a + s * b;
    right[place] = c * b - s * a;
  }
}
