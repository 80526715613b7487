import assert from 'node:assert/strict';
import { meanOverHeads, maxOverHeads, reduceHeads, weightedRows } from '../../../src/attention/heads';
import { rolloutRows } from '../../../src/attention/rollout';
import { headEntropies, meanAttentionDistances } from '../../../src/attention/summary';
import { splitKeys } from '../../../src/attention/reading';
import { defaultQuery, queryWeights, tokenIndex } from '../../../src/attention/tokenLayout';
import { type Probe, type TokenLayout, chainLength } from '../../../src/domain/probes';
import { seeded } from '../../support/random';

const random = seeded(11);
const layout: TokenLayout = { special: ['cls'], grid: [2, 3] };
const tokens = 1 + 2 * 3;

const probe = (changes: Partial<Probe> = {}): Probe => ({
  value: 'map',
  layer: 'blocks.0',
  kind: 'self',
  heads: 2,
  queries: layout,
  keys: layout,
  ...changes,
});

/** A map whose rows sum to `total`. */
function attentionMap(rows: number, keys: number, total = 1): Float32Array {
  const map = Float32Array.from({ length: rows * keys }, () => random());
  for (let row = 0; row < rows; row++) {
    const line = map.subarray(row * keys, (row + 1) * keys);
    const sum = line.reduce((a, b) => a + b);
    line.forEach((value, key) => (line[key] = (value / sum) * total));
  }
  return map;
}

const product = (a: readonly number[][], b: readonly number[][]): number[][] =>
  a.map((row) => b[0]!.map((_, column) => row.reduce((sum, value, at) => sum + value * b[at]![column]!, 0)));

/** Â = (A + I) / 2 with rows scaled to sum 1, straight from the definition. */
function withIdentity(map: Float32Array): number[][] {
  return Array.from({ length: tokens }, (_, row) => {
    const line = Array.from(map.subarray(row * tokens, (row + 1) * tokens));
    const mixed = line.map((value, key) => 0.5 * value + (row === key ? 0.5 : 0));
    const sum = mixed.reduce((a, b) => a + b);
    return mixed.map((value) => value / sum);
  });
}

function assertClose(actual: ArrayLike<number>, expected: ArrayLike<number>, tolerance = 1e-6): void {
  assert.equal(actual.length, expected.length);
  for (let at = 0; at < expected.length; at++)
    assert.ok(
      Math.abs(actual[at]! - expected[at]!) <= tolerance,
      `${at}: ${actual[at]} is not ${expected[at]}`,
    );
}

describe('attention rollout', () => {
  const means = [
    attentionMap(tokens, tokens),
    attentionMap(tokens, tokens, 0.8),
    attentionMap(tokens, tokens),
  ];
  const probes = means.map(() => probe());
  const reference = means.map(withIdentity).reduce((below, above) => product(above, below));

  it('multiplies the layers from the last to the first', () => {
    for (let query = 0; query < tokens; query++) {
      const asked = Float32Array.from({ length: tokens }, (_, at) => Number(at === query));
      assertClose(rolloutRows(probes, means, asked)[2]!, reference[query]!);
    }
  });

  it('of one query is a row of the whole, after every layer', () => {
    const query = Float32Array.from({ length: tokens }, (_, at) => Number(at === 4));
    const rows = rolloutRows(probes, means, query);
    assertClose(rows[2]!, reference[4]!);
    assertClose(rows[0]!, withIdentity(means[0]!)[4]!);
    assertClose([rows[2]!.reduce((a, b) => a + b)], [1]);
  });

  it('ends where a layer attends to other tokens', () => {
    const reduced = probe({ kind: 'reduced', keys: { grid: [1, 2] } });
    assert.equal(chainLength([probe(), probe(), reduced, probe()]), 2);
    assert.equal(chainLength([probe(), probe({ queries: { grid: [1, 7] }, keys: { grid: [1, 7] } })]), 1);
    const rows = rolloutRows(
      [probes[0]!, reduced, probes[2]!],
      means,
      new Float32Array(tokens).fill(1 / tokens),
    );
    assert.deepEqual(
      rows.map(({ length }) => length),
      [tokens, 0, 0],
    );
  });
});

describe('heads', () => {
  const rows = Float32Array.of(0.1, 0.2, 0.7, 0.5, 0.25, 0.25);

  it('are taken together or apart', () => {
    assertClose(reduceHeads(rows, 2, 'mean'), [0.3, 0.225, 0.475]);
    assertClose(reduceHeads(rows, 2, 'max'), [0.5, 0.25, 0.7]);
    assertClose(reduceHeads(rows, 2, 1), [0.5, 0.25, 0.25]);
    assert.deepEqual(meanOverHeads(rows, 1), rows);
    assert.deepEqual(maxOverHeads(rows, 1), rows);
  });

  it('answer a query that is several tokens', () => {
    const map = attentionMap(2 * tokens, tokens);
    const weights = queryWeights(layout, { kind: 'mean' })!;
    const expected = [0, 1].flatMap((head) =>
      Array.from({ length: tokens }, (_, key) => {
        const column = [1, 2, 3, 4, 5, 6].map((query) => map[(head * tokens + query) * tokens + key]!);
        return column.reduce((a, b) => a + b) / 6;
      }),
    );
    assertClose(weightedRows(map, 2, weights), expected);
  });
});

describe('token layouts', () => {
  it('name the place of a token', () => {
    assert.equal(tokenIndex(layout, { kind: 'special', name: 'cls' }), 0);
    assert.equal(tokenIndex(layout, { kind: 'special', name: 'dist' }), undefined);
    assert.equal(tokenIndex(layout, { kind: 'patch', row: 1, column: 2 }), 1 + 1 * 3 + 2);
    assert.equal(tokenIndex(layout, { kind: 'patch', row: 2, column: 0 }), undefined);
    assert.equal(
      queryWeights({ sequence: 4 }, { kind: 'mean' })!.join(),
      [1, 1, 1, 1].map((n) => n / 4).join(),
    );
    assert.equal(queryWeights({}, { kind: 'mean' }), undefined);
  });

  it('put object queries behind special tokens and patches', () => {
    const object = (index: number) => ({ kind: 'query', index }) as const;
    const all: TokenLayout = { special: ['cls'], grid: [2, 3], queries: 4 };
    assert.equal(tokenIndex({ queries: 4 }, object(3)), 3);
    assert.equal(tokenIndex({ queries: 4 }, object(4)), undefined);
    assert.equal(tokenIndex(layout, object(0)), undefined);
    assert.equal(tokenIndex(all, object(2)), 1 + 2 * 3 + 2);
    // The mean is of patches alone where there are any, else of all queries.
    const sixth = Float32Array.of(0, ...Array<number>(6).fill(1 / 6), 0, 0, 0, 0);
    assert.deepEqual(queryWeights(all, { kind: 'mean' }), sixth);
    assert.deepEqual(queryWeights({ queries: 4 }, { kind: 'mean' }), new Float32Array(4).fill(1 / 4));
  });

  it('counts words that stand in front of the patches, or behind them', () => {
    const behind = { special: ['cls'], grid: [1, 2], sequence: 3 } as const;
    const first = { ...behind, sequenceFirst: true } as const;
    const patch = { kind: 'patch', row: 0, column: 1 } as const;
    assert.equal(tokenIndex(behind, { kind: 'special', name: 'cls' }), 0);
    assert.equal(tokenIndex(first, { kind: 'special', name: 'cls' }), 3);
    assert.equal(tokenIndex(behind, patch), 2);
    assert.equal(tokenIndex(first, patch), 5);
    assert.deepEqual([...queryWeights(behind, { kind: 'mean' })!], [0, 0.5, 0.5, 0, 0, 0]);
    assert.deepEqual([...queryWeights(first, { kind: 'mean' })!], [0, 0, 0, 0, 0.5, 0.5]);
    const weights = Float32Array.of(10, 11, 12, 13, 14, 15);
    const { special, image } = splitKeys({ queries: first, keys: first }, weights);
    assert.deepEqual(special, [{ name: 'cls', value: 13 }]);
    assert.deepEqual([...image!.values], [14, 15]);
  });

  it('give the first question', () => {
    assert.deepEqual(defaultQuery([probe()]), { kind: 'special', name: 'cls' });
    assert.deepEqual(defaultQuery([probe({ queries: { grid: [2, 3] } })]), { kind: 'mean' });
    const pool = probe({ kind: 'pool', queries: { special: ['probe'] } });
    assert.deepEqual(defaultQuery([probe(), pool]), { kind: 'mean' });
    assert.deepEqual(defaultQuery([pool]), { kind: 'special', name: 'probe' });
  });

  it('take keys apart by what they are', () => {
    const keys = Float32Array.of(0.4, 1, 2, 3, 4, 5, 6);
    const { special, image } = splitKeys(probe(), keys);
    assert.deepEqual(
      special.map(({ name }) => name),
      ['cls'],
    );
    assert.deepEqual([image!.rows, image!.columns, ...image!.values], [2, 3, 1, 2, 3, 4, 5, 6]);
    assert.deepEqual(splitKeys(probe({ keys: { channels: 7 } }), keys).matrix?.values, keys);
    const window = { size: 2, map: [1, 7] } as const;
    const stitched = splitKeys(probe({ keys: { grid: [2, 2] }, window }), keys);
    assert.deepEqual([stitched.special.length, stitched.image!.columns], [0, 7]);
    const behind = splitKeys(probe({ keys: { special: ['cls'], grid: [2, 2], queries: 2 } }), keys);
    assert.deepEqual(behind.special.at(-1), { name: 'queries', value: 5 + 6 });
    assert.deepEqual([...behind.image!.values], [1, 2, 3, 4]);
  });
});

describe('summaries of a map', () => {
  it('entropy is log2 of the keys for a uniform head and 0 for a pointed one', () => {
    const uniform = new Float32Array(tokens * tokens).fill(1 / tokens);
    const pointed = Float32Array.from({ length: tokens * tokens }, (_, at) => Number(at % tokens === 2));
    const both = Float32Array.of(...uniform, ...pointed);
    assertClose(headEntropies(both, 2, tokens), [Math.log2(tokens), 0]);
  });

  it('distance is that of patch centres in pixels, special tokens left out', () => {
    // Head 0 looks at itself; head 1 at the last patch (row 1, column 2) and as much at the class
    // token.
    const [height, width] = [32, 96];
    const map = new Float32Array(2 * tokens * tokens);
    for (let query = 0; query < tokens; query++) {
      map[query * tokens + query] = 1;
      map[(tokens + query) * tokens] = 0.5;
      map[(tokens + query) * tokens + tokens - 1] = 0.5;
    }
    const [patchHeight, patchWidth] = [height / 2, width / 3];
    const distances = [0, 1].flatMap((row) =>
      [0, 1, 2].map((column) => Math.hypot((1 - row) * patchHeight, (2 - column) * patchWidth)),
    );
    const mean = distances.reduce((a, b) => a + b) / 6;
    assertClose(meanAttentionDistances(map, probe(), [height, width])!, [0, mean]);
    assert.equal(meanAttentionDistances(map, probe({ keys: { sequence: 7 } }), [height, width]), undefined);
  });
});
