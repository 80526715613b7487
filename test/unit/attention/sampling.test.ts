import assert from 'node:assert/strict';
import { placesOfToken, sampledPoints } from '../../../src/attention/sampling';
import type { Probe } from '../../../src/domain/probes';

const probe: Probe = {
  value: 'map',
  layer: 'decoder',
  kind: 'deformable',
  heads: 2,
  queries: { queries: 3 },
  keys: { levels: 2, points: 2 },
  places: 'places',
};

describe('places of deformable attention', () => {
  it('reads those of one token, head by head', () => {
    // Every number says its head, query, key and coordinate.
    const all = Float32Array.from({ length: 2 * 3 * 4 * 2 }, (_, at) => at);
    const found = placesOfToken(all, probe, 1);
    assert.deepEqual([...found], [8, 9, 10, 11, 12, 13, 14, 15, 32, 33, 34, 35, 36, 37, 38, 39]);
  });

  it('makes points of one head and of all, the heaviest last', () => {
    const weights = Float32Array.of(0.5, 0.25, 0.125, 0.125, 0, 0, 0.25, 0.75);
    const places = Float32Array.from({ length: 16 }, (_, at) => at / 16);
    const first = sampledPoints(probe, { weights, places }, 0);
    assert.deepEqual(
      first.map(({ weight, level }) => [weight, level]),
      [
        [0.125, 1],
        [0.125, 1],
        [0.25, 0],
        [0.5, 0],
      ],
    );
    assert.deepEqual([first[3]?.x, first[3]?.y], [0, 1 / 16]);
    const all = sampledPoints(probe, { weights, places });
    assert.equal(all.length, 8);
    assert.deepEqual(all.at(-1), { x: 14 / 16, y: 15 / 16, weight: 0.375, level: 1, head: 1 });
    assert.equal(
      all.reduce((sum, { weight }) => sum + weight, 0),
      1,
    );
  });
});
