// Bytes that are stated of a session with derivatives, counted another way.
import assert from 'node:assert/strict';
import { elementCount } from '../../../src/checkpoint/tensors';
import { at, sum } from '../../../src/domain/lists';
import { sessionBytes, withAllGradients, withPixelGradient } from '../../../src/explain/derivedGraphs';
import { GraphBuilder } from '../../../src/graph/builder';
import { int } from '../../../src/graph/graph';
import { readCases } from '../../support/cases';
import { openCase } from '../../support/goldenGradients';

describe('bytes of a session with derivatives', () => {
  it('are those of weights and of what the way back reads, views once', () => {
    const b = new GraphBuilder('small', { find: () => undefined });
    const x = b.input('x', [2, 3]);
    const weight = b.constant('w', 'F32', [3, 4], new Float32Array(12));
    const product = b.add('MatMul', [x, weight]);
    const shares = b.add('Softmax', [b.reshape(product, [1, 8])], { axis: int(-1) });
    const squared = b.add('Mul', [shares, b.reshape(b.reshape(shares, [8]), [1, 8])]);
    b.output('logits', squared, 'logits');
    const graph = b.build();
    const derived = withPixelGradient(graph);
    const { weights, kept } = sessionBytes(derived, graph);
    // Softmax and its product with itself read the shares alone, the matrix product its weight.
    assert.equal(kept, 4 * 8);
    const constants = [...derived.initializers.values()].filter(({ name }) => name !== 'w');
    assert.equal(
      weights - 4 * 12,
      4 * sum(constants.filter(({ name }) => isRead(derived, name)).map(({ shape }) => elementCount(shape))),
    );
  });

  it('grow with the image, weights with the model alone', async () => {
    const golden = readCases().find(({ id }) => id === 'vit-timm-safetensors') ?? assert.fail();
    const model = await openCase(golden);
    const [small, large] = [golden.image_size, golden.image_size.map((side) => 2 * side)].map((size) => {
      const [height = 0, width = 0] = size;
      const graph = model.at([height, width]).graph({ imageSize: [height, width] });
      return { graph, ...sessionBytes(withAllGradients(graph), graph) };
    });
    assert.ok(small && large);
    assert.ok(large.kept > 4 * small.kept);
    const parameters = [...small.graph.initializers.values()].filter(({ data }) => data.kind === 'parameter');
    const bytes = 4 * sum(parameters.map(({ shape }) => elementCount(shape)));
    assert.ok(small.weights >= bytes && small.weights < 1.1 * bytes, `${small.weights} for ${bytes}`);
    // Every map is read by the way back through the product with the values.
    const maps = sum(
      small.graph.probes.map(
        ({ value }) => 4 * elementCount(at([small.graph.values.get(value)?.shape ?? []], 0)),
      ),
    );
    assert.ok(small.kept > maps);
  });
});

const isRead = (
  graph: { readonly nodes: readonly { readonly inputs: readonly string[] }[] },
  name: string,
): boolean => graph.nodes.some(({ inputs }) => inputs.includes(name));
