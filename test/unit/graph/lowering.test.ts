import assert from 'node:assert/strict';
import type { OnnxModel, OnnxNode, OnnxValue } from '../../../src/checkpoint/formats/onnxModel';
import type { Tensor } from '../../../src/checkpoint/tensors';
import { check } from '../../../src/graph/check';
import { importOnnx, ImportError, readShapeConstants } from '../../../src/graph/onnx/import';

const weight = (name: string, shape: readonly number[]): Tensor => ({
  name,
  dtype: 'F32',
  shape,
  start: 0,
  storage: { kind: 'inline', bytes: new Uint8Array(4 * shape.reduce((product, size) => product * size, 1)) },
});

const node = (
  opType: string,
  inputs: string[],
  outputs: string[],
  rest: Partial<OnnxNode> = {},
): OnnxNode => ({
  name: '',
  opType,
  domain: '',
  inputs,
  outputs,
  attributes: {},
  metadata: {},
  ...rest,
});

function model(
  nodes: readonly OnnxNode[],
  inputs: readonly OnnxValue[],
  initializers: readonly Tensor[] = [],
): OnnxModel {
  const outputs = [{ name: 'y' }];
  return {
    irVersion: 9,
    opsets: { '': 17, 'com.microsoft': 1 },
    producer: 'test',
    graph: { name: 'test', inputs, outputs, values: [], nodes, initializers },
    functions: [],
    metadata: {},
    files: [],
    warnings: [],
  };
}

const sequence: readonly OnnxValue[] = [{ name: 'x', dtype: 'F32', shape: [1, 5, 8] }];
const plain = { imageSize: [8, 8], batch: 1 } as const;
const read = async (): Promise<Uint8Array> => new Uint8Array();
async function importIt(file: OnnxModel) {
  const constants = await readShapeConstants(file, read);
  const graph = importOnnx(file, constants, plain);
  check(graph, { constants });
  return graph;
}

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

  it('refuses a fused attention it has no plain form for, and says why', async () => {
    const attention = node('Attention', ['x', 'w', 'b'], ['y'], {
      domain: 'com.microsoft',
      attributes: { num_heads: { type: 'int', value: 2 }, unidirectional: { type: 'int', value: 1 } },
    });
    const file = model([attention], sequence, [weight('w', [8, 24]), weight('b', [24])]);
    await assert.rejects(
      importIt(file),
      (error) => error instanceof ImportError && /unidirectional = 1/.test(error.message),
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

  it('names the operator that it does not know', async () => {
    await assert.rejects(
      importIt(model([node('NonMaxSuppression', ['x'], ['y'])], sequence)),
      /NonMaxSuppression/,
    );
  });
});
