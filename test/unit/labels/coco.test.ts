import assert from 'node:assert/strict';
import { cocoNames } from '../../../src/labels/coco';
import { namesOf } from '../../../src/tasks/detect/detect';

describe('names of COCO', () => {
  it('stand one after another, or at their ids', () => {
    assert.deepEqual([cocoNames(80)?.[0], cocoNames(80)?.[79]], ['person', 'toothbrush']);
    const byId = cocoNames(91) ?? [];
    assert.deepEqual(
      [0, 1, 12, 17, 62, 90].map((id) => byId[id]),
      [undefined, 'person', undefined, 'cat', 'chair', 'toothbrush'],
    );
    assert.equal(cocoNames(92), undefined);
  });

  it('are taken where a detector stores none, and said to be assumed', () => {
    const { names, source } = namesOf({ config: undefined }, 91);
    assert.deepEqual([names[17], /^assumed: COCO/.test(source)], ['cat', true]);
    const config = { id2label: { 0: 'table', 1: 'row' } };
    assert.deepEqual(namesOf({ config }, 2).names, ['table', 'row']);
    assert.deepEqual(namesOf({ config: undefined }, 1000).names, []);
  });
});
