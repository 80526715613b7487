import assert from 'node:assert/strict';
import { nextOrder, sortedIndices } from '../../../webview/kit/sorting';

describe('sorting', () => {
  it('orders names by their numbers', () => {
    assert.deepEqual(sortedIndices(['blocks.10', 'blocks.2', 'blocks.1'], false), [2, 1, 0]);
  });

  it('is stable and turns round', () => {
    assert.deepEqual(sortedIndices([1, 2, 1], false), [0, 2, 1]);
    assert.deepEqual(sortedIndices([1, 2, 1], true), [1, 0, 2]);
  });

  it('puts what has no value last in both directions', () => {
    assert.deepEqual(sortedIndices([undefined, 3, 1], false), [2, 1, 0]);
    assert.deepEqual(sortedIndices([undefined, 3, 1], true), [1, 2, 0]);
  });

  it('begins with the largest number and the first name', () => {
    assert.deepEqual(nextOrder(undefined, 'bytes', true), { column: 'bytes', descending: true });
    assert.deepEqual(nextOrder(undefined, 'name', false), { column: 'name', descending: false });
    assert.deepEqual(nextOrder({ column: 'name', descending: false }, 'name', false), {
      column: 'name',
      descending: true,
    });
  });
});
