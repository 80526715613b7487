import assert from 'node:assert/strict';
import { weightStatistics } from '../../../src/analysis/weightStatistics';
import { seeded } from '../../support/random';

describe('weight statistics', () => {
  it('follow their definitions', () => {
    const random = seeded(3);
    const values = Float32Array.from({ length: 1000 }, () => random() - 0.25);
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
    const found = weightStatistics(values, 10);
    assert.ok(Math.abs(found.mean - mean) < 1e-12);
    assert.ok(Math.abs(found.deviation - Math.sqrt(variance)) < 1e-12);
    assert.deepEqual([found.min, found.max], [Math.min(...values), Math.max(...values)]);
    assert.equal(found.histogram.length, 10);
    assert.equal(
      found.histogram.reduce((a, b) => a + b),
      values.length,
    );
  });

  it('put both ends of the range into bins', () => {
    assert.deepEqual(weightStatistics(Float32Array.of(0, 1, 2, 3, 4), 4).histogram, [1, 1, 1, 2]);
  });

  it('leave out what is not finite, and count it and zeros', () => {
    const { notFinite, zeros, min, max, mean } = weightStatistics(
      Float32Array.of(0, NaN, 2, Infinity, -0, -2),
    );
    assert.deepEqual(
      { notFinite, zeros, min, max, mean },
      { notFinite: 2, zeros: 2, min: -2, max: 2, mean: 0 },
    );
  });

  it('have one bin for a constant and none for nothing', () => {
    assert.deepEqual(weightStatistics(Float32Array.of(7, 7)).histogram, [2]);
    const empty = weightStatistics(Float32Array.of(NaN));
    assert.deepEqual([empty.histogram, empty.notFinite, Number.isNaN(empty.mean)], [[], 1, true]);
  });
});
