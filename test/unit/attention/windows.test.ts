import assert from 'node:assert/strict';
import {
  keyGrid,
  queryGrid,
  readingWeights,
  readMap,
  splitKeys,
  tileOf,
} from '../../../src/attention/reading';
import { windowPlaces } from '../../../src/attention/windows';
import { type Probe, type WindowLayout, chainLength } from '../../../src/domain/probes';
import { seeded } from '../../support/random';

const random = seeded(5);

/**
 * A map of cells with their numbers, as torch would move them about; -1 is a zero of the padding.
 */
type Cells = readonly (readonly number[])[];

const range = (count: number): readonly number[] => Array.from({ length: count }, (_, index) => index);
const numbered = (rows: number, columns: number): Cells =>
  range(rows).map((row) => range(columns).map((column) => row * columns + column));
const pad = (cells: Cells, rows: number, columns: number): Cells =>
  range(rows).map((row) => range(columns).map((column) => cells[row]?.[column] ?? -1));
/** torch.roll(x, (-rows, -columns)) */
const roll = (cells: Cells, rows: number, columns: number): Cells => {
  const rolled = [...cells.slice(rows), ...cells.slice(0, rows)];
  return rolled.map((row) => [...row.slice(columns), ...row.slice(0, columns)]);
};
/** Windows in row-major order, each a list of its cells. */
const cut = (cells: Cells, height: number, width: number): Cells =>
  range(cells.length / height).flatMap((down) =>
    range(cells[0]!.length / width).map((across) =>
      range(height * width).map(
        (at) => cells[down * height + Math.floor(at / width)]![across * width + (at % width)]!,
      ),
    ),
  );
/** Every n-th row and column, from each start: `[n · n, …]`. */
const interleaved = (cells: Cells, down: number, across: number): Cells =>
  range(down * across).map((phase) =>
    cells
      .filter((_, row) => row % down === Math.floor(phase / across))
      .flatMap((row) => row.filter((_, column) => column % across === phase % across)),
  );

interface Form {
  readonly title: string;
  readonly queries: readonly number[];
  readonly keys: readonly number[];
  readonly window: WindowLayout;
  /** Cells of each window's queries and keys, and the whole maps' sides. */
  readonly expected: {
    readonly queries: Cells;
    readonly keys?: Cells;
    readonly map: readonly [number, number];
  };
  readonly keyMap?: readonly [number, number];
}

const forms: readonly Form[] = [
  {
    title: 'windows that fit',
    queries: [2, 3],
    keys: [2, 3],
    window: { size: [2, 3], shift: 0, map: [4, 6], padded: [4, 6] },
    expected: { queries: cut(numbered(4, 6), 2, 3), map: [4, 6] },
  },
  {
    title: 'a shifted map',
    queries: [4, 4],
    keys: [4, 4],
    window: { size: 4, shift: 2, map: [8, 8] },
    expected: { queries: cut(roll(numbered(8, 8), 2, 2), 4, 4), map: [8, 8] },
  },
  {
    title: 'zeros that are rolled with the map',
    queries: [4, 4],
    keys: [4, 4],
    window: { size: 4, shift: [2, 1], map: [7, 9], padded: [8, 12], rolls: 'padded' },
    expected: { queries: cut(roll(pad(numbered(7, 9), 8, 12), 2, 1), 4, 4), map: [7, 9] },
  },
  {
    title: 'zeros behind the rolled map',
    queries: [4, 4],
    keys: [4, 4],
    window: { size: 4, shift: 2, map: [6, 7], padded: [8, 8], rolls: 'map' },
    expected: { queries: cut(pad(roll(numbered(6, 7), 2, 2), 8, 8), 4, 4), map: [6, 7] },
  },
  {
    title: 'a record that names the whole map as grid',
    queries: [8, 8],
    keys: [8, 8],
    window: { size: 3, shift: 0, padded: [9, 9] },
    expected: { queries: cut(pad(numbered(8, 8), 9, 9), 3, 3), map: [8, 8] },
  },
  {
    title: 'a dilated grid',
    queries: [2, 3],
    keys: [2, 3],
    window: { size: [2, 3], shift: 0, map: [8, 6], windows: [4, 2], dilated: true },
    expected: { queries: interleaved(numbered(8, 6), 4, 2), map: [8, 6] },
  },
  {
    title: 'interleaved pixels',
    queries: [3, 2],
    keys: [3, 2],
    window: { size: 2, phases: [2, 2] },
    expected: { queries: interleaved(numbered(6, 4), 2, 2), map: [6, 4] },
  },
  {
    title: 'interleaved pixels by their stride',
    queries: [2, 2],
    keys: [2, 2],
    window: { stride: 2 },
    expected: { queries: interleaved(numbered(4, 4), 2, 2), map: [4, 4] },
  },
  {
    title: 'mask units with pooled queries',
    queries: [4, 4],
    keys: [8, 8],
    window: { units: [2, 2] },
    expected: { queries: cut(numbered(4, 4), 2, 2), keys: cut(numbered(8, 8), 4, 4), map: [4, 4] },
    keyMap: [8, 8],
  },
  {
    title: 'queries pooled inside windows of a padded map',
    queries: [3, 3],
    keys: [6, 6],
    window: { size: 6, shift: 0, map: [10, 6], padded: [12, 6] },
    expected: {
      queries: cut(pad(numbered(5, 3), 6, 3), 3, 3),
      keys: cut(pad(numbered(10, 6), 12, 6), 6, 6),
      map: [5, 3],
    },
    keyMap: [10, 6],
  },
];

const heads = 2;
const probeOf = ({ queries, keys, window }: Pick<Form, 'queries' | 'keys' | 'window'>): Probe => ({
  value: 'map',
  layer: 'layers.0.blocks.1',
  kind: 'window',
  heads,
  queries: { grid: queries },
  keys: { grid: keys },
  window,
});

describe('attention in windows', () => {
  for (const { title, expected, keyMap = expected.map, ...form } of forms) {
    const probe = probeOf(form);
    const keyCells = expected.keys ?? expected.queries;
    const [perWindow, perKey] = [expected.queries[0]!.length, keyCells[0]!.length];
    const map = Float32Array.from({ length: expected.queries.length * heads * perWindow * perKey }, random);
    const at = (window: number, head: number, query: number, key: number): number =>
      map[((window * heads + head) * perWindow + query) * perKey + key]!;
    const cells = keyMap[0] * keyMap[1];

    /** The row of one patch over the whole map, looked up window by window. */
    const rowOf = (cell: number, head: number): number[] => {
      const row = Array<number>(cells).fill(NaN);
      expected.queries.forEach((queries, window) => {
        const query = queries.indexOf(cell);
        if (query < 0) return;
        keyCells[window]!.forEach((key, place) => {
          if (key >= 0) row[key] = at(window, head, query, place);
        });
      });
      return row;
    };

    it(`finds every patch: ${title}`, () => {
      assert.deepEqual([queryGrid(probe), keyGrid(probe)], [expected.map, keyMap]);
      for (let row = 0; row < expected.map[0]; row++)
        for (let column = 0; column < expected.map[1]; column++) {
          const weights = readingWeights(probe, { kind: 'patch', row, column }) ?? assert.fail();
          const found = readMap(map, probe, weights);
          const wanted = [0, 1].flatMap((head) => rowOf(row * expected.map[1] + column, head));
          assert.deepEqual([...found], wanted, `row ${row}, column ${column}`);
        }
    });

    it(`takes the mean of all patches: ${title}`, () => {
      const weights = readingWeights(probe, { kind: 'mean' }) ?? assert.fail();
      const found = readMap(map, probe, weights);
      const patches = range(expected.map[0] * expected.map[1]);
      const wanted = [0, 1].flatMap((head) => {
        const rows = patches.map((cell) => rowOf(cell, head).map((weight) => weight || 0));
        return range(cells).map((key) => rows.reduce((sum, row) => sum + row[key]!, 0) / patches.length);
      });
      assert.equal(found.length, wanted.length);
      found.forEach((weight, index) => assert.ok(Math.abs(weight - wanted[index]!) < 1e-6));
    });
  }

  it('asks a patch of another layer at its place on the image', () => {
    const probe = probeOf(forms[1]!);
    const ask = (row: number, column: number, grid?: readonly [number, number]): Float32Array | undefined =>
      readingWeights(probe, { kind: 'patch', row, column, ...(grid && { grid }) });
    assert.deepEqual(ask(2, 3, [4, 4]), ask(5, 7));
    assert.deepEqual(ask(8, 0), undefined);
  });

  it('asks the pooling query of every window', () => {
    const probe: Probe = {
      ...probeOf({ queries: [], keys: [1, 2], window: { size: 2, phases: [2, 2] } }),
      kind: 'pool',
      heads: 1,
      queries: { special: ['context'] },
    };
    // Phases lie side by side: (0, 0) and (0, 1) alternate in the first row, (1, 0) and (1, 1) in
    // the second.
    const map = Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8);
    for (const query of [{ kind: 'special', name: 'context' }, { kind: 'mean' }] as const) {
      const weights = readingWeights(probe, query) ?? assert.fail();
      assert.deepEqual([...readMap(map, probe, weights)], [1, 3, 2, 4, 5, 7, 6, 8]);
    }
    assert.equal(queryGrid(probe), undefined);
  });

  it('keeps special tokens of a window apart from the image', () => {
    const probe: Probe = {
      ...probeOf({ queries: [1, 2], keys: [1, 2], window: { size: [1, 2], map: [1, 4] } }),
      heads: 1,
      keys: { special: ['cls'], grid: [1, 2] },
    };
    const map = Float32Array.of(0.1, 1, 2, 0.2, 3, 4, 0.3, 5, 6, 0.4, 7, 8);
    const weights = readingWeights(probe, { kind: 'patch', row: 0, column: 3 }) ?? assert.fail();
    const { special, image } = splitKeys(probe, readMap(map, probe, weights));
    assert.deepEqual(special, [{ name: 'cls', value: Math.fround(0.4) }]);
    assert.deepEqual([...image!.values], [NaN, NaN, 7, 8]);
  });

  it('refuses a map that its record does not describe', () => {
    const probe = probeOf(forms[0]!);
    const weights = readingWeights(probe, { kind: 'mean' }) ?? assert.fail();
    assert.throws(() => readMap(new Float32Array(heads * 6 * 6), probe, weights), /layers\.0\.blocks\.1.*72/);
  });

  it('has no answer for windows that are no part of an image, and no rollout through any', () => {
    const probe = probeOf({ queries: [2, 2], keys: [2, 2], window: {} });
    assert.equal(windowPlaces(probe), undefined);
    assert.equal(readingWeights(probe, { kind: 'mean' }), undefined);
    assert.equal(chainLength([{ ...probeOf(forms[6]!), kind: 'self' }]), 0);
  });
});

describe('attention without windows', () => {
  const probe = (changes: Partial<Probe>): Probe =>
    ({ ...probeOf(forms[0]!), window: undefined, ...changes }) as Probe;

  it('of a gate is drawn as a square where it is small', () => {
    const channels = (columns: number) => {
      const { rows, columns: across } = tileOf({
        special: [],
        matrix: { rows: 1, columns, values: new Float32Array(columns) },
      });
      return [rows, across];
    };
    assert.deepEqual([2048, 256, 7].map(channels), [
      [32, 64],
      [16, 16],
      [1, 7],
    ]);
    const image = { rows: 2, columns: 3, values: new Float32Array(6) };
    assert.equal(tileOf({ special: [], image }), image);
  });

  it('of a gate or a single query answers whatever is asked', () => {
    const gate = probe({ kind: 'channel', heads: 1, queries: { special: ['gate'] }, keys: { channels: 3 } });
    const map = Float32Array.of(0.25, 0.5, 1);
    for (const query of [{ kind: 'mean' }, { kind: 'patch', row: 4, column: 4 }] as const) {
      const found = readMap(map, gate, readingWeights(gate, query) ?? assert.fail());
      assert.deepEqual(splitKeys(gate, found).matrix, { rows: 1, columns: 3, values: map });
    }
  });

  it('of channels to channels is a matrix', () => {
    const channels = probe({ kind: 'channel', queries: { channels: 2 }, keys: { channels: 2 } });
    const map = Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8);
    const found = readMap(map, channels, readingWeights(channels, { kind: 'mean' }) ?? assert.fail());
    assert.deepEqual(found, map);
    assert.deepEqual(splitKeys(channels, found.subarray(0, 4)).matrix?.rows, 2);
  });

  it('of a reduced map keeps the place of a patch', () => {
    const reduced = probe({ kind: 'reduced', queries: { grid: [4, 4] }, keys: { grid: [2, 2] } });
    assert.deepEqual(
      [queryGrid(reduced), keyGrid(reduced)],
      [
        [4, 4],
        [2, 2],
      ],
    );
    const weights = readingWeights(reduced, { kind: 'patch', row: 1, column: 0, grid: [2, 2] });
    assert.equal(weights?.indexOf(1), 3 * 4 + 1);
  });
});
