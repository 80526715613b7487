import assert from 'node:assert/strict';
import { readingWeights, readMap, splitKeys } from '../../../src/attention/reading';
import type { Probe } from '../../../src/domain/probes';

/** A map whose every weight is its own number, so that places can be told. */
const numbered = (length: number): Float32Array => Float32Array.from({ length }, (_, at) => at);

const common = { value: 'map', layer: 'blocks.0', heads: 1, kind: 'window' } as const;

describe('maps of clips', () => {
  it('lie one frame below the other, off the image', () => {
    const side = { special: ['cls'], grid: [2, 1, 2] };
    const probe: Probe = { ...common, kind: 'self', queries: side, keys: side };
    const weights = readingWeights(probe, { kind: 'special', name: 'cls' })!;
    const read = splitKeys(probe, readMap(numbered(25), probe, weights));
    assert.equal(read.image, undefined);
    assert.deepEqual(read.matrix, { rows: 2, columns: 2, values: Float32Array.of(1, 2, 3, 4) });
  });

  it('of windows that are frames ask the class token of each', () => {
    const side = { special: ['cls'], grid: [1, 1, 2] };
    const probe: Probe = {
      ...common,
      queries: side,
      keys: side,
      window: { per: 'frame', windows: [2, 1] },
    };
    const weights = readingWeights(probe, { kind: 'special', name: 'cls' })!;
    const read = splitKeys(probe, readMap(numbered(18), probe, weights));
    // First rows of both maps of 3 × 3: 0 1 2 and 9 10 11.
    assert.deepEqual(read.special, [{ name: 'cls', value: 9 }]);
    assert.deepEqual(read.matrix, { rows: 2, columns: 2, values: Float32Array.of(1, 2, 10, 11) });
  });

  it('of windows that are positions put each through its frames', () => {
    const side = { special: [], grid: [2, 1, 1] };
    const probe: Probe = {
      ...common,
      queries: side,
      keys: side,
      window: { per: 'position', windows: [1, 3] },
    };
    const map = Float32Array.of(1, 1, 1, 1, 2, 3, 2, 3, 4, 5, 4, 5);
    const weights = readingWeights(probe, { kind: 'mean' })!;
    const { matrix } = splitKeys(probe, readMap(map, probe, weights));
    assert.deepEqual([matrix?.rows, matrix?.columns], [2, 3]);
    const expected = [1, 2, 4, 1, 3, 5].map((value) => value / 3);
    matrix?.values.forEach((value, at) => assert(Math.abs(value - expected[at]!) < 1e-6));
  });
});
