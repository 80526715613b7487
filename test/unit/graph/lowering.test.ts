import assert from 'node:assert/strict';
import type { OnnxModel, OnnxValue } from '../../../src/checkpoint/formats/onnxModel';
import { check } from '../../../src/graph/check';
import { importWithNotes, readShapeConstants } from '../../../src/graph/onnx/import';
import { model, node, weight } from '../../support/onnxModels';

const sequence: readonly OnnxValue[] = [{ name: 'x', dtype: 'F32', shape: [1, 5, 8] }];
const plain = { imageSize: [8, 8], batch: 1 } as const;
const read = async (): Promise<Uint8Array> => new Uint8Array();
async function imported(file: OnnxModel) {
  const constants = await readShapeConstants(file, (tensors) => Promise.all(tensors.map(read)));
  const { graph, notes } = importWithNotes(file, constants, plain);
  check(graph, { constants });
  return { graph, notes };
}
const importIt = async (file: OnnxModel) => (await imported(file)).graph;

describe('fused operators of .onnx files', () => {
  it('lowers com.microsoft.Attention to two products around a softmax, seen as attention of its heads', async () => {
    const attention = node('Attention', ['x', 'w', 'b'], ['y'], {
      domain: 'com.microsoft',
      attributes: { num_heads: { type: 'int', value: 2 } },
    });
    const graph = await importIt(model([attention], sequence, [weight('w', [8, 24]), weight('b', [24])]));
    const products = graph.nodes
      .filter(({ op }) => op === 'MatMul')
      .map(({ outputs }) => graph.values.get(outputs[0]!)!.shape);
    assert.deepEqual(products, [
      [1, 5, 24],
      [1, 2, 5, 5],
      [1, 2, 5, 4],
    ]);
    assert.deepEqual(graph.values.get('y')?.shape, [1, 5, 8]);
    assert.deepEqual(
      graph.probes.map(({ heads, kind, queries }) => ({ heads, kind, queries })),
      [{ heads: 2, kind: 'self', queries: { sequence: 5 } }],
    );
  });

  it('lowers Attention of ai.onnx with a boolean mask to additive −∞', async () => {
    const mask: OnnxValue = { name: 'mask', dtype: 'BOOL', shape: [5, 5] };
    const heads = {
      q_num_heads: { type: 'int', value: 2 },
      kv_num_heads: { type: 'int', value: 2 },
    } as const;
    const attention = node('Attention', ['x', 'x', 'x', 'mask'], ['y'], { attributes: heads });
    const graph = await importIt(model([attention], [...sequence, mask]));
    assert.ok(graph.nodes.some(({ op, inputs }) => op === 'Where' && inputs[0] === 'mask'));
    assert.equal(graph.probes.length, 1);
  });

  it('keeps a fused attention that it has no plain form for, and says that it is not counted', async () => {
    const attention = node('Attention', ['x', 'w', 'b'], ['y'], {
      domain: 'com.microsoft',
      attributes: { num_heads: { type: 'int', value: 2 }, unidirectional: { type: 'int', value: 1 } },
    });
    const file = model([attention], sequence, [weight('w', [8, 24]), weight('b', [24])]);
    const { graph, notes } = await imported(file);
    assert.deepEqual(
      graph.nodes.map(({ op }) => op),
      ['Attention'],
    );
    assert.deepEqual(graph.values.get('y')?.shape, [1, 5, 8]);
    assert.match(notes.join(), /not counted: com.microsoft.Attention; MACs are a lower bound/);
  });

  it('projects QAttention in integers and scales it back, its heads seen', async () => {
    const attention = node('QAttention', ['x', 'w', 'b', 'xs', 'ws'], ['y'], {
      domain: 'com.microsoft',
      attributes: { num_heads: { type: 'int', value: 2 } },
    });
    const bytes: readonly OnnxValue[] = [{ name: 'x', dtype: 'U8', shape: [1, 5, 8] }];
    const stored = [weight('w', [8, 24], 'I8'), weight('b', [24]), weight('xs', [1]), weight('ws', [24])];
    const graph = await importIt(model([attention], bytes, stored));
    assert.ok(graph.nodes.some(({ op }) => op === 'MatMulInteger'));
    assert.deepEqual(
      graph.probes.map(({ heads, queries }) => ({ heads, queries })),
      [{ heads: 2, queries: { sequence: 5 } }],
    );
  });

  it('writes a transposed FusedMatMul as Transpose, MatMul and Mul', async () => {
    const fused = node('FusedMatMul', ['x', 'x'], ['y'], {
      domain: 'com.microsoft',
      attributes: { transB: { type: 'int', value: 1 }, alpha: { type: 'float', value: 0.5 } },
    });
    const graph = await importIt(model([fused], sequence));
    assert.deepEqual(
      graph.nodes.map(({ op }) => op),
      ['Transpose', 'MatMul', 'Mul'],
    );
    assert.deepEqual(graph.values.get('y')?.shape, [1, 5, 5]);
  });

  it('writes out functions with their attributes, under the names of the call', async () => {
    const body = node('Softmax', ['a'], ['c'], {
      attributes: { axis: { type: 'reference', value: 'which' } },
    });
    const call = node('soft', ['x'], ['y'], {
      domain: 'local',
      attributes: { which: { type: 'int', value: 1 } },
    });
    const own = {
      name: 'soft',
      domain: 'local',
      inputs: ['a'],
      outputs: ['c'],
      attributes: ['which'],
      nodes: [body],
      opsets: {},
    };
    const graph = await importIt({ ...model([call], sequence), functions: [own] });
    assert.deepEqual(graph.nodes[0]?.attributes['axis'], { type: 'int', value: 1 });
    assert.deepEqual(graph.nodes[0]?.outputs, ['y']);
  });

  it('keeps an operator that only the runtime knows, with the shape that the file states', async () => {
    const unknown = node('Inverse', ['x'], ['z'], { domain: 'com.microsoft' });
    const last = node('Relu', ['z'], ['y']);
    const file = model(
      [unknown, node('Inverse', ['x'], ['other'], { domain: 'com.microsoft' }), last],
      sequence,
    );
    const stated = {
      ...file,
      graph: { ...file.graph, values: [{ name: 'z', dtype: 'F32', shape: [7, 3] } as const] },
    };
    const { graph, notes } = await imported(stated);
    assert.deepEqual(graph.values.get('y')?.shape, [7, 3]);
    assert.deepEqual(graph.values.get('other')?.shape, [1, 5, 8]);
    assert.match(notes.join(), /com.microsoft.Inverse × 2/);
  });

  it('refuses an operator that it does not know if it holds a graph', async () => {
    const body = { type: 'graph', value: model([], []).graph } as const;
    const loop = node('Loop', ['x'], ['y'], { attributes: { body } });
    await assert.rejects(importIt(model([loop], sequence)), /operator Loop is not known/);
  });
});
