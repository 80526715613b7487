import assert from 'node:assert/strict';
import { layout, probe } from '../../support/probes';
import { colourAt, colourTable, paint } from '../../../src/attention/colourMaps';
import { maxOverHeads, meanOverHeads, reduceHeads, weightedRows } from '../../../src/attention/heads';
import { layerText } from '../../../src/attention/naming';
import { hasQuery, readingWeights, readMap, splitKeys, tileOf } from '../../../src/attention/reading';
import { rolloutRows } from '../../../src/attention/rollout';
import { attentionDistance, headEntropies, meanAttentionDistances } from '../../../src/attention/summary';
import {
  defaultQuery,
  orMean,
  imageGrid,
  queryWeights,
  sameCell,
  tokenIndex,
} from '../../../src/attention/tokenLayout';
import { layerLine, whatIfRows } from '../../../src/attention/tokenMixers';
import { stitch, windowMaps, windowPlaces, windowWeights } from '../../../src/attention/windows';
import type { TokenLayout } from '../../../src/domain/probes';

const cls = { kind: 'special', name: 'cls' } as const;

function assertClose(actual: ArrayLike<number>, expected: readonly number[], tolerance = 1e-6): void {
  assert.equal(actual.length, expected.length);
  expected.forEach((value, at) => {
    const found = actual[at] ?? NaN;
    assert.ok(
      Object.is(found, value) || Math.abs(found - value) <= tolerance,
      `${at}: ${found} is not ${value}`,
    );
  });
}

describe('colours', () => {
  it('stand at the stops and on straight lines between them', () => {
    // Seventeen stops: 255 / 16 steps apart. Step 51 lies at 3.2, a fifth from stop 3 to stop 4.
    const line = (from: number, to: number): number => Math.round(from + 0.2 * (to - from));
    assert.deepEqual(
      [...colourTable('viridis').subarray(3 * 51, 3 * 52)],
      [line(0x42, 0x3b), line(0x40, 0x52), line(0x86, 0x8b)],
    );
    assert.deepEqual([...colourTable('turbo').subarray(3 * 255)], [0x90, 0x0c, 0x00]);
    for (const step of [0, 1, 2, 127, 200, 255]) assert.equal(colourTable('grey')[3 * step + 1], step);
  });

  it('beyond the scale are those of its ends', () => {
    assert.deepEqual(colourAt('grey', -0.5), [0, 0, 0]);
    assert.deepEqual(colourAt('grey', 1.5), [255, 255, 255]);
    assert.deepEqual(colourAt('grey', 0.2), [51, 51, 51]);
  });

  it('are painted by their share of the scale', () => {
    assert.deepEqual(
      [...paint([2, 3, 6], 2, 6, 'grey')],
      [0, 0, 0, 255, 64, 64, 64, 255, 255, 255, 255, 255],
    );
    // A scale upside down has a range of one.
    assert.deepEqual([...paint([3.2], 3, 2, 'grey')], [51, 51, 51, 255]);
  });
});

describe('heads and queries by numbers', () => {
  const rows = Float32Array.of(1, 5, 3, 4, 2, 9);

  it('choose one head, the mean or the largest', () => {
    assertClose(reduceHeads(rows, 3, 0), [1, 5]);
    assertClose(reduceHeads(rows, 3, 2), [2, 9]);
    assertClose(reduceHeads(rows, 3, 'mean'), [2, 6]);
    assertClose(reduceHeads(rows, 3, 'max'), [3, 9]);
    assertClose(meanOverHeads(rows, 2), [2.5, 3.5, 6]);
    assertClose(maxOverHeads(rows, 2), [4, 5, 9]);
  });

  it('weigh the rows of every head', () => {
    // [heads 2, queries 2, keys 3]
    const map = Float32Array.from({ length: 12 }, (_, at) => at);
    assertClose(weightedRows(map, 2, Float32Array.of(1, 0)), [0, 1, 2, 6, 7, 8]);
    assertClose(weightedRows(map, 2, Float32Array.of(0.25, 0.5)), [1.5, 2.25, 3, 6, 6.75, 7.5]);
  });

  it('leave out rows of weight 0, whatever is in them', () => {
    const map = Float32Array.of(NaN, NaN, 1, 2);
    assertClose(weightedRows(map, 1, Float32Array.of(0, 1)), [1, 2]);
    assertClose(rolloutRows([probe({ heads: 1 })], [map], Float32Array.of(0, 1))[0] ?? [], [1 / 4, 3 / 4]);
  });

  it('roll out one layer as (A + I) / 2 with rows of sum 1', () => {
    const rows = (...query: readonly number[]) =>
      rolloutRows([probe({ heads: 1 })], [Float32Array.of(0.75, 0.25, 1, 1)], Float32Array.from(query))[0] ??
      [];
    assertClose(rows(1, 0), [0.875, 0.125]);
    assertClose(rows(0, 1), [1 / 3, 2 / 3]);
  });
});

describe('cells', () => {
  it('of another grid lie under the centre', () => {
    assert.deepEqual(sameCell({ row: 0, column: 5 }, [2, 6], [4, 3]), { row: 1, column: 2 });
    assert.deepEqual(sameCell({ row: 1, column: 0 }, [2, 6], [4, 3]), { row: 3, column: 0 });
    assert.deepEqual(sameCell({ row: 9, column: 9 }, [2, 6], [4, 3]), { row: 3, column: 2 });
  });

  it('are of the last two axes of a grid', () => {
    assert.equal(imageGrid({ grid: [8, 2, 3] }), undefined);
    assert.deepEqual(imageGrid({ grid: [2, 3] }), [2, 3]);
    assert.equal(imageGrid({ grid: [3] }), undefined);
    assert.equal(imageGrid({ sequence: 6 }), undefined);
  });

  it('have a place in the sequence if they lie on the grid', () => {
    const place = (row: number, column: number): number | undefined =>
      tokenIndex(layout, { kind: 'patch', row, column });
    assert.deepEqual([place(0, 0), place(0, 2), place(1, 0), place(1, 2)], [2, 4, 5, 7]);
    assert.deepEqual([place(-1, 0), place(2, 0), place(0, -1), place(0, 3)], Array(4).fill(undefined));
    assert.equal(tokenIndex(layout, { kind: 'patch', row: 3, column: 5, grid: [4, 6] }), 7);
    assert.equal(tokenIndex(layout, { kind: 'special', name: 'dist' }), 1);
    assert.equal(tokenIndex(layout, { kind: 'mean' }), undefined);
    assert.equal(tokenIndex({ sequence: 5 }, { kind: 'patch', row: 0, column: 0 }), undefined);
  });

  it('are weighed alike for the mean, special tokens not at all', () => {
    assertClose(queryWeights(layout, { kind: 'mean' }) ?? [], [0, 0, ...Array<number>(6).fill(1 / 6)]);
    assertClose(queryWeights({ special: ['probe'] }, { kind: 'mean' }) ?? [], [1]);
    assertClose(queryWeights(layout, cls) ?? [], [1, 0, 0, 0, 0, 0, 0, 0]);
    assert.equal(queryWeights(layout, { kind: 'patch', row: 2, column: 0 }), undefined);
  });
});

describe('questions', () => {
  const patches = probe({ queries: { grid: [2, 3] } });
  const gate = probe({ queries: { special: ['gate'] } });

  it('ask layers without the token for the mean', () => {
    assert.deepEqual(orMean([probe(), patches], cls), { ...cls, others: 'mean' });
    assert.deepEqual(orMean([probe(), gate], cls), cls);
    assert.deepEqual(orMean([patches], { kind: 'mean' }), { kind: 'mean' });
  });

  it('begin with the first special token of the last layer', () => {
    assert.deepEqual(defaultQuery([]), { kind: 'mean' });
    assert.deepEqual(defaultQuery([patches, probe()]), { ...cls, others: 'mean' });
    assert.deepEqual(defaultQuery([probe(), patches]), { kind: 'mean' });
    assert.deepEqual(defaultQuery([gate, gate]), { kind: 'special', name: 'gate' });
    assert.deepEqual(defaultQuery([probe(), probe({ queries: { special: ['cls'] } })]), cls);
  });

  it('are known to a probe that has their token', () => {
    const has = (row: number, column: number): boolean => hasQuery(probe(), { kind: 'patch', row, column });
    assert.deepEqual([has(1, 2), has(2, 2), has(1, 3)], [true, false, false]);
    assert.deepEqual([hasQuery(probe(), cls), hasQuery(patches, cls)], [true, false]);
    assert.equal(hasQuery(gate, { kind: 'mean' }), true);
    const scaled = { kind: 'patch', row: 90, column: 90, grid: [100, 100] } as const;
    assert.deepEqual([hasQuery(probe(), scaled), hasQuery(gate, scaled)], [true, false]);
  });

  it('weigh the mean if the token is missing and that was allowed', () => {
    const mean = Array<number>(6).fill(1 / 6);
    assertClose(readingWeights(patches, { ...cls, others: 'mean' }) ?? [], mean);
    assert.equal(readingWeights(patches, cls), undefined);
    assertClose(readingWeights(probe(), { ...cls, others: 'mean' }) ?? [], [1, 0, 0, 0, 0, 0, 0, 0]);
    assertClose(readingWeights(gate, { kind: 'patch', row: 9, column: 9 }) ?? [], [1]);
  });
});

describe('maps that were read', () => {
  it('are refused with both sizes if these are not the record’s', () =>
    assert.throws(
      () => readMap(new Float32Array(127), probe(), new Float32Array(8)),
      /^Error: blocks\.0: the attention map has 127 weights, its record says 128; please report this model$/,
    ));

  it('keep special keys apart', () => {
    const { special, image, matrix } = splitKeys(probe(), Float32Array.of(0.5, 0.25, 1, 2, 3, 4, 5, 6, 7));
    assert.deepEqual(special, [
      { name: 'cls', value: 0.5 },
      { name: 'dist', value: 0.25 },
    ]);
    assert.deepEqual([image?.rows, image?.columns, matrix], [2, 3, undefined]);
    assertClose(image?.values ?? [], [1, 2, 3, 4, 5, 6]);
  });

  it('of a single row fill a square as well as they can', () => {
    const tile = (columns: number, rows = 1): readonly number[] => {
      const drawn = tileOf({
        special: [],
        matrix: { rows, columns, values: new Float32Array(rows * columns) },
      });
      return [drawn.rows, drawn.columns];
    };
    assert.deepEqual(
      [tile(16), tile(12), tile(7), tile(1), tile(6)],
      [
        [4, 4],
        [3, 4],
        [1, 7],
        [1, 1],
        [2, 3],
      ],
    );
    assert.deepEqual(tile(12, 2), [2, 12]);
    const image = { rows: 1, columns: 4, values: new Float32Array(4) };
    assert.deepEqual(tileOf({ special: [], image }), image);
    assert.deepEqual(tileOf({ special: [] }), { rows: 1, columns: 0, values: new Float32Array(0) });
  });
});

describe('distances and entropies by formulas', () => {
  it('of one patch weigh the keys’ centres', () => {
    // Centres of a 2 × 2 map on 32 × 64 pixels: rows 8 and 24, columns 16 and 48.
    const map = { rows: 2, columns: 2, values: Float32Array.of(0, 1, 3, NaN) };
    const found = attentionDistance({ row: 0, column: 0 }, [2, 2], map, [32, 64]);
    assertClose([found], [(1 * 32 + 3 * 16) / 4]);
    const finer = attentionDistance({ row: 3, column: 0 }, [4, 8], map, [32, 64]);
    const from = [28, 4] as const;
    const expected = [Math.hypot(8 - from[0], 48 - from[1]), Math.hypot(24 - from[0], 16 - from[1])] as const;
    assertClose([finer], [(expected[0] + 3 * expected[1]) / 4]);
  });

  it('are 0 if no weight lies on the image', () => {
    const map = { rows: 1, columns: 2, values: Float32Array.of(0, NaN) };
    assert.equal(attentionDistance({ row: 0, column: 0 }, [1, 1], map, [16, 16]), 0);
  });

  it('need queries and keys on the image', () => {
    const map = new Float32Array(2 * 8 * 8);
    assert.equal(meanAttentionDistances(map, probe({ queries: { sequence: 8 } }), [32, 32]), undefined);
    assert.equal(meanAttentionDistances(map, probe({ keys: { sequence: 8 } }), [32, 32]), undefined);
  });

  it('of entropy are bits, mean over queries', () => {
    const map = Float32Array.of(0.5, 0.5, 0, 1, 0.25, 0.75, 1, 0);
    const bits = -(0.25 * Math.log2(0.25) + 0.75 * Math.log2(0.75));
    assertClose(headEntropies(map, 2, 2), [0.5, bits / 2]);
  });
});

describe('what forms of attention cost', () => {
  const layer = { tokens: 196, width: 384, heads: 6 };
  const [n, d, h] = [196, 384, 6];

  it('is their formula', () => {
    const projections = 4 * n * d * d;
    const usual = [
      projections + 2 * n * n * d,
      projections + 2 * n * 49 * d,
      3 * n * d * d + 2 * 49 * d * d + 2 * n * 49 * d,
      projections + 4 * n * 64 * d,
      projections + 4 * n * 256 * d + n * 256 * h,
      projections + (2 * n * d * d) / h + n * d,
      9 * n * d * d,
    ];
    assert.deepEqual(
      whatIfRows(layer).map(({ macs }) => macs),
      usual,
    );
  });

  it('rounds the reduced keys up', () => {
    const reduced = whatIfRows({ tokens: 10, width: 2, heads: 1 }, { reduction: 3 })[2];
    assert.equal(reduced?.macs, 3 * 10 * 4 + 2 * 2 * 4 + 2 * 10 * 2 * 2);
    assert.equal(reduced?.formula, '2ND² + ND² + 2⌈N/3²⌉D² + 2N·⌈N/3²⌉·D, N = 10, D = 2, h = 1');
    assert.equal(reduced?.name, 'Keys reduced by R = 3');
  });

  it('is told for one head and for more', () => {
    const named = { ...layer, path: 'blocks.0.attn', form: 'Multi-head self-attention', own: {} };
    const line = (heads: number): string => layerLine({ ...named, tokens: 1000, heads });
    const start =
      'The costliest one, blocks.0.attn (Multi-head self-attention), with its projections, for one image: N = 1,000 tokens, width D = 384, h = ';
    assert.equal(line(1), `${start}1 head.`);
    assert.equal(line(2), `${start}2 heads.`);
  });
});

describe('words for layers', () => {
  const grids = (from: TokenLayout, to: TokenLayout): string =>
    layerText(probe({ kind: 'cross', queries: from, keys: to }));

  it('name the grids of queries and keys', () => {
    assert.equal(grids({ grid: [2, 3] }, { grid: [2, 3] }), 'Cross-attention, on 2 × 3');
    assert.equal(grids({ queries: 9 }, { grid: [2, 3] }), 'Cross-attention, on 2 × 3');
    assert.equal(grids({ grid: [4, 6] }, { grid: [2, 3] }), 'Cross-attention, 2 × 3 keys for 4 × 6 queries');
    assert.equal(grids({ grid: [4, 6] }, { sequence: 7 }), 'Cross-attention');
  });

  it('name one head and a shift by one axis', () => {
    assert.equal(layerText(probe({ heads: 1 })), 'Self-attention, on 2 × 3');
    assert.equal(layerText(probe()), 'Multi-head self-attention, on 2 × 3');
    const shifted = { size: 2, map: [4, 6], shift: [0, 1] } as const;
    const window = probe({ kind: 'window', queries: { grid: [2, 2] }, keys: { grid: [2, 2] } });
    assert.equal(
      layerText({ ...window, window: shifted }),
      'Window attention, windows of 2 × 2 shifted by 0 × 1, on 4 × 6',
    );
    assert.equal(
      layerText({ ...window, window: { ...shifted, shift: 0 } }),
      'Window attention, windows of 2 × 2, on 4 × 6',
    );
  });
});

describe('windows by numbers', () => {
  const cell = { special: ['cls'], grid: [2, 2] };
  // A map of 3 × 2 in windows of 2 × 2: the second window's lower row is padding.
  const windowed = probe({
    kind: 'window',
    heads: 1,
    queries: cell,
    keys: cell,
    window: { size: 2, map: [3, 2] },
  });
  const places = windowPlaces(windowed);

  it('lie on the map row by row, padding apart', () => {
    assert.deepEqual(windowMaps(windowed), { queries: [3, 2], keys: [3, 2] });
    assert.equal(places?.windows, 2);
    assert.deepEqual([places?.keys.special, places?.keys.tokens], [1, 5]);
    assert.deepEqual([...(places?.keys.cells ?? [])], [0, 1, 2, 3, 4, 5, -1, -1]);
  });

  it('weigh a patch, the mean and the special token of each', () => {
    assert.ok(places);
    const weigh = (query: Parameters<typeof windowWeights>[2]): Float32Array | undefined =>
      windowWeights(places, cell, query);
    assertClose(weigh({ kind: 'patch', row: 2, column: 1 }) ?? [], [0, 0, 0, 0, 0, 0, 0, 1, 0, 0]);
    assertClose(weigh({ kind: 'patch', row: 0, column: 0 }) ?? [], [0, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
    const sixth = 1 / 6;
    assertClose(weigh({ kind: 'mean' }) ?? [], [0, sixth, sixth, sixth, sixth, 0, sixth, sixth, 0, 0]);
    assertClose(weigh(cls) ?? [], [1, 0, 0, 0, 0, 1, 0, 0, 0, 0]);
    const outside = [
      [-1, 0],
      [3, 0],
      [0, -1],
      [0, 2],
    ] as const;
    for (const [row, column] of outside) assert.equal(weigh({ kind: 'patch', row, column }), undefined);
    assert.equal(weigh({ kind: 'special', name: 'dist' }), undefined);
  });

  it('are stitched where somebody asked, special tokens added up', () => {
    assert.ok(places);
    const rows = Float32Array.of(1, 2, 3, 4, 5, 10, 20, 30, 40, 50);
    const both = Float32Array.of(1, 0, 0, 0, 0, 1, 0, 0, 0, 0);
    assertClose(stitch(rows, places, both, 1), [11, 2, 3, 4, 5, 20, 30]);
    const second = Float32Array.of(0, 0, 0, 0, 0, 0, 1, 0, 0, 0);
    assertClose(stitch(rows, places, second, 1), [10, NaN, NaN, NaN, NaN, 20, 30]);
    // [windows 2, heads 2, keys 5]
    const heads = Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100);
    assertClose(stitch(heads, places, both, 2), [11, 2, 3, 4, 5, 20, 30, 66, 7, 8, 9, 10, 70, 80]);
  });
});
