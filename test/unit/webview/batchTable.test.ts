import assert from 'node:assert/strict';
import type { BatchRow } from '../../../src/protocol/batch';
import {
  arrangeRows,
  countLabels,
  failuresIn,
  firstSynonym,
  answerText,
  keptFiles,
  marginOf,
  mergeRows,
  progressText,
  reasonOf,
  secondsLeft,
} from '../../../webview/batch/table';

const row = (index: number, label: string, score: number): BatchRow => ({
  index,
  image: `/pictures/${label}-${index}.jpg`,
  thumbnail: '',
  top: [
    { index: 0, label, score },
    { index: 1, label: 'other', score: 1 - score },
  ],
});
const failed: BatchRow = {
  index: 3,
  image: '/pictures/broken.jpg',
  thumbnail: '',
  top: [],
  error: 'cut off',
};
const rows = [row(2, 'cat', 0.75), row(0, 'dog', 1), row(1, 'cat', 0.5), failed];
const everything = { label: null, failuresOnly: false, text: '' };
const order = (found: readonly BatchRow[]): readonly number[] => found.map(({ index }) => index);

describe('table of many images', () => {
  it('keeps the order of the images until a column is chosen', () => {
    assert.deepEqual(order(arrangeRows(rows, everything, undefined)), [0, 1, 2, 3]);
  });

  it('sorts by margin, failures last', () => {
    assert.deepEqual(
      order(arrangeRows(rows, everything, { column: 'margin', descending: true })),
      [0, 2, 1, 3],
    );
    assert.deepEqual(
      order(arrangeRows(rows, everything, { column: 'margin', descending: false })),
      [1, 2, 0, 3],
    );
  });

  it('filters by label, failure and text', () => {
    assert.deepEqual(order(arrangeRows(rows, { ...everything, label: 'cat' }, undefined)), [1, 2]);
    assert.deepEqual(order(arrangeRows(rows, { ...everything, failuresOnly: true }, undefined)), [3]);
    assert.deepEqual(order(arrangeRows(rows, { ...everything, text: 'BROKEN' }, undefined)), [3]);
  });

  it('counts first guesses', () => {
    assert.deepEqual(countLabels(rows), [
      { label: 'cat', count: 2 },
      { label: 'dog', count: 1 },
    ]);
  });

  it('shows the best of several objects with their number, which have no margin', () => {
    const found = { ...row(0, 'cat', 0.75), objects: 2 };
    assert.equal(answerText(found), 'cat, 2 objects');
    assert.equal(marginOf(found), undefined);
    assert.equal(answerText({ ...found, top: [], objects: 0 }), 'nothing found');
    assert.equal(answerText(row(0, 'cat', 0.75)), 'cat');
    assert.equal(answerText({ ...found, top: [], objects: undefined as never }), 'features only');
  });

  it('has a margin where there are two guesses', () => {
    assert.equal(marginOf(row(0, 'cat', 0.75)), 0.5);
    assert.equal(marginOf(failed), undefined);
  });

  it('holds each image once as answers arrive', () => {
    const merged = mergeRows([row(0, 'cat', 0.5)], [row(0, 'dog', 0.6), row(1, 'cat', 0.5)]);
    assert.deepEqual(
      merged.map(({ top }) => top[0]?.label),
      ['dog', 'cat'],
    );
  });

  it('tells the time left once there is a rate', () => {
    assert.equal(secondsLeft(100, 40, 20), 3);
    assert.equal(secondsLeft(100, 40, 0), undefined);
    assert.equal(secondsLeft(100, 100, 20), undefined);
  });
});

describe('words of a batch', () => {
  it('tell done from failed, and how many there are as long as it runs', () => {
    assert.equal(progressText(200, 200, failuresIn(rows)), '199 done, 1 failed');
    assert.equal(progressText(200, 500, 2), '198 done, 2 failed, of 500');
    assert.equal(progressText(16, 16, 0), '16 done');
  });

  it('cut a label at its first synonym', () => {
    assert.equal(firstSynonym('tiger cat, Felis catus'), 'tiger cat');
    assert.equal(firstSynonym('1,000 pieces'), '1,000 pieces');
  });

  it('begin a reason with itself: the row names the file', () => {
    assert.equal(reasonOf('/a/b.jpg: cut off at byte 7', '/a/b.jpg'), 'Cut off at byte 7');
    assert.equal(reasonOf('b.jpg: no image', '/a/b.jpg'), 'No image');
    assert.equal(reasonOf('out of memory', '/a/b.jpg'), 'Out of memory');
  });

  it('offers each kind of file once that some row has, and says what has no guess', () => {
    const png = { ending: 'mask.png', title: 'PNG' };
    const coco = { ending: 'coco.json', title: 'COCO JSON' };
    const [first, second] = [row(0, 'sky', 0.6), row(1, 'sea', 0.5)];
    const kept = [failed, { ...first, files: [png, coco] }, { ...second, files: [png] }];
    assert.deepEqual(keptFiles(kept), [png, coco]);
    assert.deepEqual(keptFiles(rows), []);
    assert.equal(
      answerText({ ...failed, error: undefined, summary: '1.2 … 8.3 m' } as BatchRow),
      '1.2 … 8.3 m',
    );
    assert.equal(marginOf({ ...first, scoresAreAreas: true }), undefined);
  });
});
