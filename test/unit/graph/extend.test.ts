import assert from 'node:assert/strict';
import { check } from '../../../src/graph/check';
import { GraphError } from '../../../src/graph/graph';
import { extend } from '../../../src/graph/rewrite/extend';
import { buildVit, vitB16 } from './vit';

const graph = buildVit({ ...vitB16, dim: 24, heads: 2, depth: 1, image: 32, classes: 5 });
const logits = graph.outputs[0]?.value ?? assert.fail('no output');

describe('extending a graph', () => {
  const grown = extend(graph, 'more', (b, value) => {
    const weight = b.input('weight', [1, 5]);
    b.output('weighted', b.add('Mul', [value(logits), weight]), 'features');
    b.output('mean', b.mean(value(logits), -1), 'features');
  });

  it('leaves the graph as it is', () => {
    assert.equal(graph.outputs.length, 1);
    assert.ok(!graph.values.has('weight'));
    check(graph);
  });

  it('adds legal operators, inputs and outputs behind its own', () => {
    check(grown);
    assert.deepEqual(
      grown.outputs.map(({ name }) => name),
      ['logits', 'weighted', 'mean'],
    );
    assert.deepEqual(grown.nodes.slice(0, graph.nodes.length), graph.nodes);
    assert.equal(grown.probes.length, graph.probes.length);
  });

  it('gives all that is new names under its scope, even when it is done twice', () => {
    const added = grown.nodes.slice(graph.nodes.length);
    assert.ok(added.length === 2 && added.every(({ name }) => name.startsWith('more/')));
    check(extend(grown, 'more', (b, value) => b.output('again', b.add('Neg', [value(logits)]), 'features')));
    const twice = extend(grown, 'more', (b, value) => b.add('Mul', [value(logits), value('weight')]));
    assert.deepEqual(twice.nodes.at(-1)?.name, 'more/Mul_1');
  });

  it('writes axes as the operator set of the graph takes them', () => {
    const old = extend({ ...graph, opsets: { '': 17 } }, 'more', (b, value) =>
      b.output('mean', b.mean(value(logits), -1), 'features'),
    );
    assert.deepEqual(old.nodes.at(-1)?.inputs, [logits]);
    assert.deepEqual(old.nodes.at(-1)?.attributes['axes'], { type: 'ints', value: [-1] });
    check(old);
  });

  it('names a value that the graph does not have', () =>
    assert.throws(
      () => extend(graph, 'more', (_, value) => value('nothing')),
      (error) => error instanceof GraphError && /nothing/.test(error.message),
    ));
});
