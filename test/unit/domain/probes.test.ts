import assert from 'node:assert/strict';
import { layout, probe } from '../../support/probes';
import {
  bothSides,
  chainLength,
  isChannelMatrix,
  isGate,
  originOf,
  tokenCount,
  type Probe,
  type TokenLayout,
} from '../../../src/domain/probes';

describe('token layouts', () => {
  it('count special tokens, the grid and what has no place on the image', () => {
    assert.equal(tokenCount(layout), 2 + 2 * 3);
    assert.equal(tokenCount({ grid: [4, 2, 3] }), 24);
    assert.equal(tokenCount({}), 0);
    assert.equal(tokenCount({ special: ['cls'] }), 1);
    assert.equal(tokenCount({ special: ['cls'], sequence: 7 }), 8);
    assert.equal(tokenCount({ channels: 48 }), 48);
    assert.equal(tokenCount({ queries: 100 }), 100);
  });

  it('say whether a token asks', () => {
    assert.equal(isChannelMatrix(probe({ queries: { channels: 8 } })), true);
    assert.equal(isChannelMatrix(probe()), false);
    assert.equal(isGate(probe({ queries: { special: ['gate'] } })), true);
    assert.equal(isGate(probe()), false);
    assert.equal(isGate(probe({ queries: { grid: [1, 1] } })), false);
  });

  it('have one number for both sides, or two', () => {
    assert.deepEqual(bothSides(7), [7, 7]);
    assert.deepEqual(bothSides([2, 5]), [2, 5]);
  });
});

describe('rolled maps', () => {
  const axis = { map: 5, padded: 6, shift: 2 };
  const origins = (rolls: 'map' | 'padded', places = 7): readonly number[] =>
    Array.from({ length: places }, (_, place) => originOf(place, { ...axis, rolls }));

  it('roll the zeros with the map, or leave them behind it', () => {
    assert.deepEqual(origins('padded'), [2, 3, 4, -1, 0, 1, -1]);
    assert.deepEqual(origins('map'), [2, 3, 4, 0, 1, -1, -1]);
  });
});

describe('layers that chain', () => {
  const other = (queries: TokenLayout, keys = queries): Probe => probe({ queries, keys });

  it('attend to the same tokens from the first on', () => {
    assert.equal(chainLength([]), 0);
    assert.equal(chainLength([probe(), probe()]), 2);
    assert.equal(chainLength([other({}), other({})]), 2);
    assert.equal(chainLength([other({ grid: [2, 3] }), other({ grid: [2, 3] })]), 2);
  });

  it('end at one whose tokens are others, though as many', () => {
    assert.equal(chainLength([probe(), other({ special: ['cls', 'reg0'], grid: [2, 3] })]), 1);
    assert.equal(chainLength([probe(), other({ special: ['cls', 'dist'], grid: [3, 2] })]), 1);
    assert.equal(chainLength([probe(), other({ sequence: 8 })]), 1);
    assert.equal(chainLength([other({ sequence: 8 }), other({ sequence: 9 })]), 1);
    assert.equal(chainLength([other(layout, { special: ['cls'], grid: [2, 3] })]), 0);
    assert.equal(chainLength([other({ special: ['cls'] }), other({ grid: [1, 1] })]), 1);
    assert.equal(chainLength([other({ grid: [1, 1] }), other({ special: ['cls'] })]), 1);
  });

  it('end at windows and at another kind', () => {
    assert.equal(chainLength([probe(), probe({ window: { size: 2 } })]), 1);
    assert.equal(chainLength([probe({ kind: 'cross' })]), 0);
    assert.equal(chainLength([probe(), probe({ kind: 'causal' }), probe()]), 1);
  });
});
