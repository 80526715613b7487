import type { AttentionRows, Query } from '../../../src/domain/query';
import assert from 'node:assert/strict';
import { readingWeights } from '../../../src/attention/reading';
import { defaultQuery } from '../../../src/attention/tokenLayout';
import type { Probe } from '../../../src/domain/probes';
import {
  askedQuery,
  layerMap,
  movedQuery,
  nextHead,
  queryName,
  tokenName,
  validQuery,
} from '../../../webview/image/keyMap';
import { rangeOf, scaleRange, scaleText, sharedRanges, type Range } from '../../../webview/image/scale';
import { chosenSettings, INITIAL } from '../../../webview/image/settings';

const layout = { special: ['cls', 'reg0'], grid: [2, 3] };
const self: Probe = {
  value: 'a',
  layer: 'blocks.0',
  kind: 'self',
  heads: 2,
  queries: layout,
  keys: layout,
};
const pool: Probe = { ...self, layer: 'pool', kind: 'pool', queries: { special: ['probe'] } };
const channel: Probe = {
  ...self,
  kind: 'channel',
  queries: { channels: 3 },
  keys: { channels: 3 },
  heads: 1,
};

const rowOf = (special: number, patches: number): readonly number[] => [
  special,
  special,
  ...Array(6).fill(patches),
];
const answer: AttentionRows = {
  run: 1,
  method: 'raw',
  query: { kind: 'special', name: 'cls' },
  rows: [
    Float32Array.from([...rowOf(0.5, 0.125), ...rowOf(0.25, 0.25)]),
    Float32Array.from([0.5, 0.25, 0.25, 0.25, 0.5, 0.25, 0.25, 0.25, 0.5]),
  ],
};
/** The second layer does not chain. */
const rollout: AttentionRows = {
  ...answer,
  method: 'rollout',
  rows: [Float32Array.from(rowOf(0.125, 0.5)), new Float32Array(0)],
};
const probes = [self, channel];

describe('attention of a layer', () => {
  it('takes special tokens off the image', () => {
    const map = layerMap(answer, probes, 0, 1);
    assert.deepEqual(map?.special, [
      { name: 'cls', value: 0.25 },
      { name: 'reg0', value: 0.25 },
    ]);
    assert.deepEqual([map?.image?.rows, map?.image?.columns], [2, 3]);
    assert.deepEqual([...(map?.image?.values ?? [])], Array(6).fill(0.25));
  });

  it('takes heads together', () => {
    assert.equal(layerMap(answer, probes, 0, 'mean')?.image?.values[0], (0.125 + 0.25) / 2);
    assert.equal(layerMap(answer, probes, 0, 'max')?.image?.values[0], 0.25);
  });

  it('puts channels nowhere on the image', () => {
    const map = layerMap(answer, probes, 1, 0);
    assert.equal(map?.image, undefined);
    assert.deepEqual(map?.matrix, { rows: 3, columns: 3, values: answer.rows[1] });
  });

  it('is undefined where rollout does not reach', () => {
    assert.equal(layerMap(rollout, probes, 0, 'mean')?.image?.values[0], 0.5);
    assert.equal(layerMap(rollout, probes, 1, 'mean'), undefined);
  });
});

describe('colour scale', () => {
  const map = layerMap(answer, probes, 0, 0);
  const highs = (kind: 'layer' | 'all' | 'full'): readonly number[] =>
    sharedRanges(kind, answer, probes).map(({ high }) => high);

  it('is shared by the heads of a layer or by all, over patches and channels, without special tokens', () => {
    assert.deepEqual(highs('layer'), [0.25, 0.5]);
    assert.deepEqual(highs('all'), [0.5, 0.5]);
    assert.deepEqual(highs('full'), [0.5, 0.5]);
  });

  it('ends at the 99th percentile, and says what lies above', () => {
    const grid = [10, 10];
    const many: Probe = { ...self, heads: 1, queries: { grid }, keys: { grid } };
    const weights = Float32Array.from({ length: 100 }, (_, index) => (index === 50 ? 8 : 0.5));
    const one = { ...answer, rows: [weights] };
    const [range] = sharedRanges('layer', one, [many]);
    assert.deepEqual(range, { low: 0, high: 0.5, largest: 8 });
    assert.equal(
      scaleText('layer', 'head', range as Range),
      'shared by the heads of this layer, to the 99th percentile (largest 8)',
    );
    const [full] = sharedRanges('full', one, [many]);
    assert.equal(scaleText('full', 'head', full as Range), 'shared by all layers and heads');
  });

  it('goes to the largest weight where nearly all are 0', () => {
    const grid = [1, 200];
    const sparse: Probe = { ...self, heads: 1, queries: { grid }, keys: { grid } };
    const rows = [Float32Array.from({ length: 200 }, (_, index) => (index === 7 ? 1 : 0))];
    assert.deepEqual(sharedRanges('layer', { ...answer, rows }, [sparse]), [{ low: 0, high: 1, largest: 1 }]);
  });

  it('leaves out what lies outside of a window', () => {
    const grid = [1, 3];
    const window: Probe = { ...self, heads: 1, queries: { grid }, keys: { grid } };
    const rows = [Float32Array.from([0.25, NaN, 0.75])];
    const [range] = sharedRanges('full', { ...answer, rows }, [window]);
    assert.equal(range?.largest, 0.75);
  });

  it('is of this map where a layer has one head', () =>
    assert.equal(scaleText('layer', 'head', { low: 0, high: 1, largest: 1 }, 1), 'of this map alone'));

  it('fits one map where it is not shared', () => {
    assert.ok(map);
    assert.deepEqual(scaleRange(undefined, 0, map), { low: 0.125, high: 0.125, largest: 0.125 });
    assert.deepEqual(rangeOf([NaN, 2, 1]), { low: 1, high: 2, largest: 2 });
  });
});

/** A decoder of four object queries over the image. */
const decoder: Probe = { ...self, kind: 'cross', queries: { queries: 4 }, keys: { grid: [2, 3] } };

describe('queries', () => {
  it('fall back to what a layer has', () => {
    assert.deepEqual(validQuery(pool, { kind: 'special', name: 'cls' }), { kind: 'special', name: 'probe' });
    assert.deepEqual(validQuery(channel, { kind: 'patch', row: 1, column: 1 }), { kind: 'mean' });
    assert.deepEqual(validQuery(self, { kind: 'patch', row: 9, column: 9 }), {
      kind: 'patch',
      row: 1,
      column: 2,
      grid: [2, 3],
    });
  });

  it('keep their place on the image from layer to layer', () => {
    const grid = [4, 6] as const;
    const fine: Probe = { ...self, queries: { grid }, keys: { grid } };
    const wanted = { kind: 'patch', row: 3, column: 5, grid } as const;
    assert.deepEqual(validQuery(self, wanted), { kind: 'patch', row: 1, column: 2, grid: [2, 3] });
    assert.deepEqual(validQuery(fine, wanted), wanted);
    // Both layers are asked what was chosen, so that going back finds it again.
    assert.deepEqual(askedQuery([fine, self], 1, wanted), wanted);
  });

  it('ask of the others what a layer with one query alone cannot tell', () => {
    const cls = { kind: 'special', name: 'cls' } as const;
    assert.deepEqual(askedQuery([self, pool], 1, cls), cls);
    assert.deepEqual(askedQuery([self, pool], 1, { kind: 'special', name: 'probe' }), { kind: 'mean' });
    assert.deepEqual(askedQuery([self, pool], 0, cls), cls);
    const alone: Probe = { ...self, kind: 'class', queries: { special: ['cls'] } };
    assert.deepEqual(askedQuery([self, alone], 1, cls), cls);
    assert.deepEqual(askedQuery([self, alone], 1, { kind: 'mean' }), { kind: 'mean' });
  });

  it('are answered by the mean where a layer has no such token', () => {
    const grid = [2, 3];
    const early: Probe = { ...self, queries: { grid }, keys: { grid } };
    const cls = { kind: 'special', name: 'cls' } as const;
    const asked = { ...cls, others: 'mean' };
    assert.deepEqual(askedQuery([early, self], 1, cls), asked);
    // Looking at an early layer does not change what the late ones show.
    assert.deepEqual(askedQuery([early, self], 0, cls), asked);
    assert.deepEqual(validQuery(early, cls), { kind: 'mean' });
    assert.deepEqual(defaultQuery([early, self]), asked);
    assert.deepEqual(readingWeights(early, asked as Query), new Float32Array(6).fill(1 / 6));
    assert.equal(readingWeights(early, cls), undefined);
  });

  it('of an object stay with the decoder, and go back to the mean by Esc', () => {
    const third = { kind: 'query', index: 2 } as const;
    const layers = [self, decoder];
    assert.deepEqual(validQuery(decoder, third), third);
    assert.deepEqual(askedQuery(layers, 1, third), third);
    assert.deepEqual(readingWeights(decoder, third), Float32Array.of(0, 0, 1, 0));
    assert.equal(readingWeights(self, third), undefined);
    // An encoder layer shows what it has; the box is asked again on the way back.
    assert.notEqual(askedQuery(layers, 0, third).kind, 'query');
    assert.deepEqual(movedQuery(decoder, third, 'Escape'), { kind: 'mean' });
    const gone = { kind: 'query', index: 4 } as const;
    assert.deepEqual(validQuery(decoder, gone), { kind: 'mean' });
  });

  it('move by arrow keys from the middle, stop at the border, and go back by Esc', () => {
    const start = movedQuery(self, { kind: 'mean' }, 'ArrowLeft');
    assert.deepEqual(start, { kind: 'patch', row: 1, column: 1, grid: [2, 3] });
    assert.deepEqual(movedQuery(self, start, 'ArrowUp'), { kind: 'patch', row: 0, column: 1, grid: [2, 3] });
    assert.deepEqual(movedQuery(self, start, 'ArrowDown'), start);
    assert.deepEqual(movedQuery(self, start, 'Escape'), { kind: 'special', name: 'cls' });
    assert.equal(movedQuery(self, start, 'a'), undefined);
    assert.equal(movedQuery(channel, { kind: 'mean' }, 'ArrowUp'), undefined);
  });

  it('have names', () => {
    assert.equal(tokenName('reg0'), 'register 0');
    assert.equal(queryName({ kind: 'patch', row: 3, column: 7 }), 'patch 3, 7');
    assert.equal(queryName({ kind: 'query', index: 3 }), 'object query 3');
    assert.equal(queryName({ kind: 'mean' }, [], self), 'mean of all patches');
    assert.equal(queryName({ kind: 'mean' }, [], decoder), 'mean of all queries');
    assert.equal(tokenName('top2', [{ label: 'cat' }, { label: 'dog' }]), '2. dog');
    assert.equal(tokenName('top3', [{ label: 'cat' }]), 'class 3 of the answer');
  });
});

describe('settings', () => {
  it('go round through mean, max and the heads', () => {
    assert.equal(nextHead('mean', 2, -1), 1);
    assert.equal(nextHead(1, 2, 1), 'mean');
    assert.equal(nextHead('max', 2, 1), 0);
  });

  it('fit a model with fewer layers and heads', () => {
    const chosen = chosenSettings({ ...INITIAL, layer: 11, head: 7 }, probes, 'no such map');
    assert.deepEqual([chosen.layer, chosen.head, chosen.colourMap], [1, 'mean', 'viridis']);
  });
});
