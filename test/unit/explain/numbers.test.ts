// Numbers that methods are made of, where the answer is known beforehand.
import assert from 'node:assert/strict';
import { bilinear } from '../../../src/attention/upsampling';
import { at, product } from '../../../src/domain/lists';
import { imputed } from '../../../src/explain/imputation';
import { rankCorrelation } from '../../../src/explain/methods/randomisation';
import { principal } from '../../../src/explain/principal';
import { mulberry32, normals } from '../../../src/explain/random';
import { tridiagonalEigen } from '../../../src/explain/tridiagonal';

const close = (found: number, wanted: number, allowed = 1e-9): void =>
  assert.ok(Math.abs(found - wanted) <= allowed, `${found} for ${wanted}`);

describe('eigenvectors of a tridiagonal matrix', () => {
  it('are those of the chain of springs, whose frequencies are known', () => {
    const n = 40;
    const { values, vectors } = tridiagonalEigen(
      new Float64Array(n).fill(2),
      new Float64Array(n - 1).fill(-1),
    );
    const sorted = Array.from(values).sort((a, b) => a - b);
    sorted.forEach((value, k) => close(value, 2 - 2 * Math.cos(((k + 1) * Math.PI) / (n + 1)), 1e-12));
    vectors.forEach((vector, k) => {
      for (let row = 1; row < n - 1; row++) {
        const image = 2 * at(vector, row) - at(vector, row - 1) - at(vector, row + 1);
        close(image, at(values, k) * at(vector, row), 1e-12);
      }
    });
  });
});

describe('principal components', () => {
  const width = 12;
  const draw = normals(mulberry32(5));
  // Channel 4 varies by 9, channel 7 by 5, all others by little; around a mean that is not 0.
  const spread = (channel: number): number => (channel === 4 ? 9 : channel === 7 ? 5 : 0.01);
  const rows = Float64Array.from({ length: 500 * width }, (_, place) => 3 + spread(place % width) * draw());
  const found = principal(rows, width, 3);

  it('are the channels that vary most, with the largest entry positive', () => {
    close(at(found.components, 4), 1, 0.02);
    close(at(found.components, width + 7), 1, 0.02);
    close(at(found.variances, 0), 81, 12);
    close(at(found.variances, 1), 25, 5);
  });

  it('are of length 1, at right angles, and solve the covariance to rounding', () => {
    const component = (index: number): Float64Array =>
      found.components.subarray(index * width, (index + 1) * width);
    for (const left of [0, 1, 2])
      for (const right of [0, 1, 2]) {
        const inner = component(left).reduce(
          (sum, value, place) => sum + value * at(component(right), place),
          0,
        );
        close(inner, left === right ? 1 : 0, 1e-12);
      }
    const image = new Float64Array(width);
    for (let row = 0; row < 500; row++) {
      const own = rows
        .subarray(row * width, (row + 1) * width)
        .map((value, place) => value - at(found.mean, place));
      const score = own.reduce((sum, value, place) => sum + value * at(component(1), place), 0);
      own.forEach((value, place) => (image[place] = at(image, place) + (score * value) / 499));
    }
    image.forEach((value, place) => close(value, at(found.variances, 1) * at(component(1), place), 1e-10));
  });

  it('are 0 behind the last direction that rows have', () => {
    const flat = principal(Float64Array.from([1, 2, 2, 4, 3, 6]), 2, 2);
    close(at(flat.components, 0), 1 / Math.sqrt(5));
    assert.deepEqual(Array.from(flat.components.subarray(2)), [0, 0]);
    assert.equal(flat.variances[1], 0);
  });
});

describe('imputation', () => {
  const size = [12, 15] as const;
  const ramp = (pixel: number): number => 2 * Math.floor(pixel / size[1]) - 3 * (pixel % size[1]);
  const image = Float32Array.from({ length: product(size) }, (_, pixel) => ramp(pixel));
  const isInside = (pixel: number): boolean => {
    const [row, column] = [Math.floor(pixel / size[1]), pixel % size[1]];
    return row > 1 && row < 9 && column > 2 && column < 12;
  };
  const kept = Uint8Array.from(image, (_, pixel) => (isInside(pixel) ? 0 : 1));

  it('fills a hole in a ramp with the ramp: each pixel is the mean of its neighbours', () => {
    const broken = image.map((value, pixel) => (isInside(pixel) ? 99 : value));
    imputed(broken, kept, size).forEach((value, pixel) => close(value, ramp(pixel), 1e-4));
  });

  it('fills a picture of which one pixel is kept with that pixel, up to the border', () => {
    const only = Uint8Array.from(image, (_, pixel) => (pixel === 40 ? 1 : 0));
    imputed(image, only, size).forEach((value) => close(value, ramp(40), 1e-3));
  });
});

describe('upsampling', () => {
  it('puts centres on centres, or corners on corners', () => {
    assert.deepEqual(Array.from(bilinear([0, 4], [1, 2], [1, 4])), [0, 1, 3, 4]);
    assert.deepEqual(Array.from(bilinear([0, 3], [1, 2], [1, 4], true)), [0, 1, 2, 3]);
  });
});

describe('rank correlation', () => {
  it('is of ranks, equal values sharing one', () => {
    close(rankCorrelation([1, 2, 30], [5, 6, 7]), 1);
    close(rankCorrelation([1, 2, 3], [7, 6, -5]), -1);
    // Ranks 0.5, 0.5, 2, 3 beside 0 … 3: 4.5 / √(4.5 · 5).
    close(rankCorrelation([1, 1, 2, 3], [1, 2, 3, 4]), 4.5 / Math.sqrt(22.5));
    assert.equal(rankCorrelation([1, 1], [1, 2]), 0);
  });
});
