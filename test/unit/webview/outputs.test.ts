import assert from 'node:assert/strict';
import { alone, placeIn, rangeOf } from '../../../webview/marks/mapPlace';
import { cellAt } from '../../../webview/marks/overlay';
import { indexAt, vectorBars } from '../../../webview/marks/vectorBars';

describe('the drawing of outputs', () => {
  it('puts a map on the region that the model saw, and one without a place by itself', () => {
    const seen = { size: [640, 480], region: { x: 80, y: 0, width: 480, height: 480 } } as const;
    const overlay = placeIn(seen, 320, 1000);
    assert.deepEqual(overlay.region, { x: 40, y: 0, width: 240, height: 240 });
    assert.deepEqual(cellAt(overlay, [4, 4], 41, 239), { row: 3, column: 0 });
    assert.equal(cellAt(overlay, [4, 4], 39, 10), undefined);
    const own = placeIn(alone([2, 8]), 320, 1000);
    assert.deepEqual([own.width, own.height], [320, 80]);
    assert.deepEqual(own.region, own.image);
  });

  it('scales by finite numbers', () => {
    assert.deepEqual(rangeOf([3, NaN, -1, Infinity]), [-1, 3]);
    assert.deepEqual(rangeOf([NaN]), [0, 0]);
  });

  it('draws bars up and down from zero, one for each number while there is room', () => {
    const { path, zero, height } = vectorBars([1, -1, NaN, 0]);
    assert.equal(zero, height / 2);
    assert.equal(path.match(/M/g)?.length, 2);
    assert.match(path, /^M0,0h79v36h-79zM80,36h79v36/);
    assert.equal(vectorBars([]).path, '');
  });

  it('joins many numbers into a bar without losing the largest', () => {
    const values = new Float32Array(5000);
    values[4321] = 7;
    const { path, width, zero } = vectorBars(values);
    assert.equal(path.match(/M/g)?.length, 1);
    assert.equal(zero, 72);
    assert.ok(Math.abs(Number(/^M([\d.]+)/.exec(path)?.[1]) - (4321 / 5000) * width) <= 1);
    assert.equal(indexAt(5000, width, width), 4999);
    assert.equal(indexAt(5000, 0, width), 0);
  });
});
