import assert from 'node:assert/strict';
import type { Boxes } from '../../../src/tasks/answer';
import { classCounts, leastThreshold, shownBoxes, thresholdOf } from '../../../webview/answers/shownBoxes';

const scores = [
  [1, 0.4],
  [2, 0.9],
  [1, 0.6],
  [3, 0.9],
] as const;
const answer: Boxes = {
  kind: 'boxes',
  boxes: scores.map(([label, score], query) => ({
    label,
    name: `class ${label}`,
    score,
    box: [0, 0, 1, 1],
    query,
  })),
  threshold: 0.5,
  queries: 4,
  labelSource: '',
};
const indices = (look: Parameters<typeof shownBoxes>[1]): readonly number[] =>
  shownBoxes(answer, look).map(({ index }) => index);

describe('boxes that are shown', () => {
  it('are above the threshold, the best first, those of one score in their order', () => {
    assert.deepEqual(indices({ hidden: [] }), [1, 3, 2]);
    assert.deepEqual(indices({ hidden: [], threshold: 0.3 }), [1, 3, 2, 0]);
    assert.deepEqual(indices({ hidden: [], threshold: 0.9 }), []);
  });

  it('are of no class that is left out, which is counted all the same', () => {
    assert.deepEqual(indices({ hidden: [2, 9] }), [3, 2]);
    const counts = classCounts(answer, { threshold: 0.3 });
    assert.deepEqual(
      counts.map(({ label, count }) => [label, count]),
      [
        [1, 2],
        [2, 1],
        [3, 1],
      ],
    );
  });

  it('have the answer’s own threshold until another is set, no lower than what was kept', () => {
    assert.equal(thresholdOf(answer, {}), 0.5);
    assert.equal(thresholdOf(answer, { threshold: 0 }), 0);
    assert.equal(leastThreshold(answer), 0.05);
    assert.equal(leastThreshold({ ...answer, threshold: 0.01 }), 0.01);
  });
});
