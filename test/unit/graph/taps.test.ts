import assert from 'node:assert/strict';
import type { Graph } from '../../../src/graph/graph';
import { planTaps, tapNames, withRowTaps } from '../../../src/graph/rewrite/taps';
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

  it('fetch whole maps while they fit, and rows with means beyond that', () => {
    assert.deepEqual(
      planTaps(graph, 2 * mapBytes).map(({ kind }) => kind),
      ['full', 'full'],
    );
    assert.deepEqual(
      planTaps(graph, 2 * mapBytes - 1).map(({ kind, mean }) => [kind, mean]),
      [
        ['rows', true],
        ['rows', true],
      ],
    );
    assert.equal(planTaps(graph, 1)[0]!.mean, false);
  });

  it('add an input, rows and a mean per row tap, and nothing for whole maps', () => {
    assert.equal(withRowTaps(graph, planTaps(graph, 2 * mapBytes)), graph);
    const tapped = withRowTaps(graph, planTaps(graph, 2 * mapBytes - 1));
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
