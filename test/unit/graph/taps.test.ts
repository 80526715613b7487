import assert from 'node:assert/strict';
import type { Graph } from '../../../src/graph/graph';
import { tapNames } from '../../../src/graph/rewrite/tapNames';
import { planTaps, withRowTaps } from '../../../src/graph/rewrite/taps';
import type { Probe } from '../../../src/domain/probes';

const tokens = { special: ['cls', 'reg0'], grid: [2, 3] } as const;
const probe: Probe = {
  value: 'map',
  layer: 'blocks.0',
  kind: 'self',
  heads: 2,
  queries: tokens,
  keys: tokens,
};

function graphOf(...probes: readonly Probe[]): Graph {
  const shape = [1, 2, 8, 8];
  return {
    name: 'test',
    opsets: { '': 20 },
    inputs: [],
    outputs: [],
    nodes: [],
    initializers: new Map(),
    values: new Map(probes.map(({ value }) => [value, { name: value, dtype: 'F32', shape }])),
    probes,
    modules: new Map(),
  };
}

describe('taps of attention maps', () => {
  const graph = graphOf(probe, { ...probe, value: 'second' });
  const mapBytes = 4 * 2 * 8 * 8;

  const noneKept = (whole: number) => ({ whole, kept: 0 });

  it('fetch whole maps while they fit, and rows beyond that', () => {
    const kinds = (whole: number): readonly string[] =>
      planTaps(graph, noneKept(whole)).map(({ kind }) => kind);
    assert.deepEqual(kinds(2 * mapBytes), ['full', 'full']);
    assert.deepEqual(kinds(2 * mapBytes - 1), ['rows', 'rows']);
  });

  it('fetch means over heads where those of all layers fit', () => {
    const [fits, exceeds] = [mapBytes, mapBytes - 1].map((kept) => planTaps(graph, { whole: 0, kept }));
    assert.deepEqual(
      fits?.map(({ mean }) => mean),
      [true, true],
    );
    assert.deepEqual(
      exceeds?.map(({ mean }) => mean),
      [false, false],
    );
  });

  it('add an input, rows and a mean per row tap', () => {
    const tapped = withRowTaps(graph, planTaps(graph, { whole: 0, kept: mapBytes }));
    assert.deepEqual(
      tapped.inputs.map(({ name, shape }) => [name, shape]),
      [
        [tapNames.query(0), [1, 1, 1, 8]],
        [tapNames.query(1), [1, 1, 1, 8]],
      ],
    );
    assert.deepEqual(
      tapped.outputs.map(({ name }) => name),
      [0, 1].flatMap((index) => [tapNames.rows(index), tapNames.mean(index)]),
    );
  });
});
