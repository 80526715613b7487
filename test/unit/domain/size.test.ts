import assert from 'node:assert/strict';
import { at, last, MissingItemError, product, sum } from '../../../src/domain/lists';
import { isSameSize } from '../../../src/domain/size';

describe('sizes', () => {
  it('are the same if both sides are', () => {
    assert.equal(isSameSize([192, 256], [192, 256]), true);
    assert.equal(isSameSize([192, 256], [192, 224]), false);
    assert.equal(isSameSize([192, 256], [224, 256]), false);
    assert.equal(isSameSize([192, 256], [256, 192]), false);
  });
});

describe('lists', () => {
  it('hand out what they have', () => {
    assert.deepEqual([at([4, 5, 6], 0), at([4, 5, 6], 2), last([4, 5, 6])], [4, 6, 6]);
    assert.deepEqual([sum([2, 3, 4]), sum([]), product([2, 3, 4]), product([])], [9, 0, 24, 1]);
  });

  it('name the index and their length if they are shorter', () => {
    assert.throws(() => at([4, 5], 2), new MissingItemError('index 2 asked of a list of 2'));
    assert.throws(() => last([]), new MissingItemError('index -1 asked of a list of 0'));
  });
});
