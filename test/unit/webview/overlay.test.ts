import assert from 'node:assert/strict';
import { sameCell } from '../../../src/attention/tokenLayout';
import { cellAt, cellRectangle, overlayOf } from '../../../webview/marks/overlay';

describe('overlay', () => {
  // 640 × 480, centre crop of 480: one CSS pixel for two of the image.
  const crop = overlayOf([640, 480], { x: 80, y: 0, width: 480, height: 480 }, 320, 1000);

  it('lies exactly on the crop', () => {
    assert.equal(crop.scale, 0.5);
    assert.deepEqual(crop.image, { x: 0, y: 0, width: 320, height: 240 });
    assert.deepEqual(crop.region, { x: 40, y: 0, width: 240, height: 240 });
  });

  it('makes room for padding outside of the image', () => {
    const padded = overlayOf([640, 480], { x: 0, y: -80, width: 640, height: 640 }, 320, 1000);
    assert.deepEqual([padded.width, padded.height], [320, 320]);
    assert.deepEqual(padded.image, { x: 0, y: 40, width: 320, height: 240 });
    assert.deepEqual(padded.region, { x: 0, y: 0, width: 320, height: 320 });
  });

  it('keeps to the height where that is the tighter bound', () => {
    assert.equal(overlayOf([480, 960], { x: 0, y: 240, width: 480, height: 480 }, 480, 480).height, 480);
  });

  it('finds the patch under a point, of a rectangular grid too', () => {
    assert.deepEqual(cellAt(crop, [4, 12], 40, 0), { row: 0, column: 0 });
    assert.deepEqual(cellAt(crop, [4, 12], 279, 239), { row: 3, column: 11 });
    assert.equal(cellAt(crop, [4, 12], 39, 100), undefined);
    assert.equal(cellAt(crop, [4, 12], 280, 100), undefined);
  });

  it('gives a patch the rectangle that its centre falls into', () => {
    const { x, y, width, height } = cellRectangle(crop, [4, 12], { row: 2, column: 5 });
    assert.deepEqual([x, y, width, height], [140, 120, 20, 60]);
    assert.deepEqual(cellAt(crop, [4, 12], x + width / 2, y + height / 2), { row: 2, column: 5 });
  });

  it('carries a patch over to another grid by its place', () => {
    assert.deepEqual(sameCell({ row: 7, column: 0 }, [8, 8], [2, 2]), { row: 1, column: 0 });
    assert.deepEqual(sameCell({ row: 0, column: 1 }, [2, 2], [8, 8]), { row: 2, column: 6 });
  });
});
