import assert from 'node:assert/strict';
import type { Probe } from '../../../src/domain/probes';
import type { AttentionRows } from '../../../src/domain/query';
import { scaleText, sharedRanges } from '../../../webview/image/scale';

describe('a colour scale that heads share', () => {
  const grid = [1, 101];
  const probe: Probe = {
    value: 'a',
    layer: 'blocks.0',
    kind: 'self',
    heads: 1,
    queries: { grid },
    keys: { grid },
  };
  const weights = Float32Array.from({ length: 101 }, (_, index) => index);
  const answer: AttentionRows = {
    run: 1,
    method: 'raw',
    query: { kind: 'patch', row: 0, column: 0 },
    rows: [weights],
  };

  it('ends at the 99th percentile, which its text says', () => {
    for (const kind of ['layer', 'all'] as const) {
      const [range] = sharedRanges(kind, answer, [probe]);
      assert.deepEqual(range, { low: 0, high: 99, largest: 100 });
      assert.match(scaleText(kind, 'head', range ?? assert.fail()), /99th percentile \(largest 100/);
    }
  });

  it('ends at the largest weight if it is asked to', () => {
    const [range] = sharedRanges('full', answer, [probe]);
    assert.deepEqual(range, { low: 0, high: 100, largest: 100 });
  });
});
