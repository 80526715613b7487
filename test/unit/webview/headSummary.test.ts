import type { AttentionRows } from '../../../src/domain/query';
import assert from 'node:assert/strict';
import type { Probe } from '../../../src/domain/probes';
import { headSummaries, summaryText } from '../../../webview/image/headSummary';

const layout = { special: ['cls'], grid: [1, 3] };
const probe: Probe = { value: 'a', layer: 'blocks.0', kind: 'self', heads: 2, queries: layout, keys: layout };
/** The first head looks at all four keys alike, the second at the last patch alone. */
const answer: AttentionRows = {
  run: 1,
  method: 'raw',
  query: { kind: 'patch', row: 0, column: 0 },
  rows: [Float32Array.from([0.25, 0.25, 0.25, 0.25, 0, 0, 0, 1])],
};

describe('summary of heads', () => {
  it('is entropy over all keys, and the mean distance on the image', () =>
    // Patches of 10 pixels: the first head looks 0, 10 and 20 pixels far.
    assert.deepEqual(headSummaries(answer, [probe], 0, [10, 30]), [
      { entropy: 2, most: 2, distance: 10, maximum: 0.25, special: 0.25 },
      { entropy: 0, most: 2, distance: 20, maximum: 1, special: 0 },
    ]));

  it('has a distance for patches alone', () => {
    const asked = { ...answer, query: { kind: 'special', name: 'cls' } as const };
    const [first] = headSummaries(asked, [probe], 0, [10, 30]);
    assert.equal(first?.distance, undefined);
    assert.deepEqual(headSummaries({ ...answer, rows: [new Float32Array(0)] }, [probe], 0, [10, 30]), []);
  });

  it('leaves out what lies outside of a window', () => {
    const window: Probe = { ...probe, heads: 1, queries: { grid: [1, 4] }, keys: { grid: [1, 4] } };
    const rows = [Float32Array.from([0.5, 0.5, NaN, NaN])];
    assert.deepEqual(headSummaries({ ...answer, rows }, [window], 0, [10, 40]), [
      { entropy: 1, most: 1, distance: 5, maximum: 0.5, special: 0 },
    ]);
  });

  it('is said of one head, or from the least to the most', () => {
    const summaries = headSummaries(answer, [probe], 0, [10, 30]);
    assert.equal(summaryText(summaries, 1), 'head 1: entropy 0 of 2 bits, mean distance 20 px');
    assert.equal(
      summaryText(summaries, 'mean'),
      '2 heads: entropy 0 … 2 of 2 bits, mean distance 10 … 20 px',
    );
    assert.equal(summaryText([], 'mean'), '');
  });
});
