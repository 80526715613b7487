import assert from 'node:assert/strict';
import { afterClick, afterDrag, placesOf } from '../../../webview/answers/promptPlaces';

const near = { isShift: false, reach: 5 };

describe('points and boxes that are drawn on an image', () => {
  it('are read as they are given, and what is no place is left out', () => {
    const given = {
      points: [
        [1, 2],
        ['a', 3],
        [4, NaN],
        [5, 6],
      ],
      labels: [0, 1, 1],
      box: [1, 2, 3],
    };
    assert.deepEqual(placesOf(given), {
      points: [
        { x: 1, y: 2, isInside: false },
        { x: 5, y: 6, isInside: true },
      ],
      box: undefined,
    });
    assert.deepEqual(placesOf({}), { points: [], box: undefined });
  });

  it('are added by a click, of the other kind with Shift, and taken away by a click on them', () => {
    const one = afterClick({}, { x: 10.04, y: 20.06 }, near);
    assert.deepEqual(one, { points: [[10, 20.1]], labels: [1] });
    const two = afterClick(one, { x: 30, y: 20 }, { ...near, isShift: true });
    assert.deepEqual(two, {
      points: [
        [10, 20.1],
        [30, 20],
      ],
      labels: [1, 0],
    });
    assert.deepEqual(afterClick(two, { x: 13, y: 22 }, near), { points: [[30, 20]], labels: [0] });
    assert.deepEqual(afterClick(one, { x: 10, y: 20 }, near), {});
  });

  it('keep the points beside a box, which a drag in any direction draws anew', () => {
    const boxed = afterDrag({ points: [[1, 1]], labels: [0] }, { x: 50, y: 8 }, { x: 20.04, y: 40 });
    assert.deepEqual(boxed, { points: [[1, 1]], labels: [0], box: [20, 8, 50, 40] });
    assert.deepEqual(afterDrag(boxed, { x: 1, y: 2 }, { x: 3, y: 4 })['box'], [1, 2, 3, 4]);
    assert.deepEqual(afterClick({ box: [1, 2, 3, 4] }, { x: 9, y: 9 }, near), {
      points: [[9, 9]],
      labels: [1],
      box: [1, 2, 3, 4],
    });
  });
});
