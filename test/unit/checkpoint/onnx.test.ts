import assert from 'node:assert/strict';
import { fromBytes } from '../../../src/checkpoint/byteSource';
import { readOnnxModel } from '../../../src/checkpoint/formats/onnx';
import type { OnnxAttribute } from '../../../src/checkpoint/formats/onnxModel';
import { readTensor } from '../../../src/checkpoint/values';
import { field, float, int, varint } from '../../support/protobufWriter';

/** Numbers of onnx.proto that several tests need. */
const typeOf = { FLOAT: 1, UINT8: 2, INT8: 3, INT32: 6, INT64: 7, BOOL: 9, FLOAT16: 10, DOUBLE: 11 } as const;

/** A model around the fields of a graph whose input x becomes its output y. */
function model(...graph: readonly Buffer[]): Buffer {
  return Buffer.concat([
    int(1, 8),
    field(2, 'test'),
    field(7, field(2, 'g'), ...graph, value(11, 'x'), value(12, 'y')),
    field(8, int(2, 17)),
  ]);
}

function value(tag: number, name: string): Buffer {
  const shape = field(2, field(1, field(2, 'batch')), field(1, int(1, 3)), field(1));
  return field(tag, field(1, name), field(2, field(1, int(1, typeOf.FLOAT), shape)));
}

function node(
  opType: string,
  inputs: readonly string[],
  outputs: readonly string[],
  ...attributes: readonly Buffer[]
): Buffer {
  return field(
    1,
    ...inputs.map((name) => field(1, name)),
    ...outputs.map((name) => field(2, name)),
    field(4, opType),
    ...attributes,
  );
}

const attribute = (name: string, type: number, ...fields: readonly Buffer[]) =>
  field(5, field(1, name), ...fields, int(20, type));
const read = (bytes: Buffer) => readOnnxModel(fromBytes('m.onnx', bytes));
const identity = node('Identity', ['x'], ['y']);

describe('readOnnxModel', () => {
  it('gives versions, inputs without initializers, and dimensions as they are stated', async () => {
    const weight = field(5, int(1, 1), int(2, typeOf.FLOAT), field(8, 'w'), field(9, Buffer.alloc(4)));
    const read1 = await read(model(identity, weight, value(11, 'w'), value(13, 'h')));
    assert.equal(read1.irVersion, 8);
    assert.deepEqual(read1.opsets, { '': 17 });
    assert.deepEqual(read1.graph.inputs, [{ name: 'x', dtype: 'F32', shape: ['batch', 3, ''] }]);
    assert.deepEqual(
      read1.graph.values.map(({ name }) => name),
      ['h'],
    );
  });

  /** Every kind of attribute that tensor models use. */
  const attributes: Readonly<
    Record<string, { fields: readonly [number, ...Buffer[]]; expected: OnnxAttribute }>
  > = {
    a_float: { fields: [1, float(2, 0.25)], expected: { type: 'float', value: 0.25 } },
    an_int: { fields: [2, int(3, -1)], expected: { type: 'int', value: -1 } },
    a_wide_int: { fields: [2, int(3, 2n ** 62n)], expected: { type: 'int', value: 2n ** 62n } },
    a_string: { fields: [3, field(4, 'NOTSET')], expected: { type: 'string', value: 'NOTSET' } },
    some_floats: { fields: [6, float(7, 1), float(7, -2)], expected: { type: 'floats', value: [1, -2] } },
    packed_floats: {
      fields: [6, field(7, Buffer.from(Float32Array.of(1, -2).buffer))],
      expected: { type: 'floats', value: [1, -2] },
    },
    some_ints: { fields: [7, int(8, 3), int(8, -4)], expected: { type: 'ints', value: [3, -4] } },
    packed_ints: { fields: [7, field(8, varint(3), varint(-4))], expected: { type: 'ints', value: [3, -4] } },
    some_strings: {
      fields: [8, field(9, 'a'), field(9, 'b')],
      expected: { type: 'strings', value: ['a', 'b'] },
    },
    sparse: { fields: [11], expected: { type: 'other', value: 'attribute type 11' } },
  };
  for (const [
    name,
    {
      fields: [type, ...fields],
      expected,
    },
  ] of Object.entries(attributes)) {
    it(`reads the attribute ${name}`, async () => {
      const { graph } = await read(model(node('Identity', ['x'], ['y'], attribute(name, type, ...fields))));
      assert.deepEqual(graph.nodes[0]!.attributes, { [name]: expected });
    });
  }

  it('gives an attribute without a type the kind of the field that is filled (IR version 2)', async () => {
    const { graph } = await read(model(node('Identity', ['x'], ['y'], field(5, field(1, 'k'), int(3, 5)))));
    assert.deepEqual(graph.nodes[0]!.attributes.k, { type: 'int', value: 5 });
  });

  /** Typed fields: what is stored value by value, and the bytes it stands for. */
  const typed: Readonly<Record<string, { type: number; data: Buffer; bytes: ArrayBufferView }>> = {
    'float_data, packed': {
      type: typeOf.FLOAT,
      data: field(4, Buffer.from(Float32Array.of(1, 2).buffer)),
      bytes: Float32Array.of(1, 2),
    },
    'float_data, one by one': {
      type: typeOf.FLOAT,
      data: Buffer.concat([float(4, 1), float(4, 2)]),
      bytes: Float32Array.of(1, 2),
    },
    double_data: {
      type: typeOf.DOUBLE,
      data: field(10, Buffer.from(Float64Array.of(1, 2).buffer)),
      bytes: Float64Array.of(1, 2),
    },
    int64_data: {
      type: typeOf.INT64,
      data: field(7, varint(-1), varint(2n ** 60n)),
      bytes: BigInt64Array.of(-1n, 2n ** 60n),
    },
    'int32_data as int8': {
      type: typeOf.INT8,
      data: field(5, varint(-1), varint(5)),
      bytes: Int8Array.of(-1, 5),
    },
    'int32_data as float16': {
      type: typeOf.FLOAT16,
      data: field(5, varint(0x3c00), varint(0xc000)),
      bytes: Uint16Array.of(0x3c00, 0xc000),
    },
    'int32_data as bool': {
      type: typeOf.BOOL,
      data: field(5, varint(1), varint(0)),
      bytes: Uint8Array.of(1, 0),
    },
  };
  for (const [name, { type, data, bytes }] of Object.entries(typed)) {
    it(`reads ${name}`, async () => {
      const file = model(identity, field(5, int(1, 2), int(2, type), field(8, 'w'), data));
      const { graph } = await read(file);
      const [tensor] = graph.initializers;
      const { storage } = tensor!;
      const found =
        storage.kind === 'inline'
          ? await readTensor(tensor!)
          : file.subarray(storage.offset, storage.offset + storage.length);
      assert.deepEqual([...found], [...new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)]);
    });
  }

  it('reads functions, subgraphs and the metadata of nodes', async () => {
    const branch = field(6, field(2, 'then'), node('Relu', ['x'], ['r']), field(12, field(1, 'r')));
    const conditional = node(
      'If',
      ['c'],
      ['y'],
      attribute('then_branch', 5, branch),
      attribute('else_branch', 5, branch),
      field(9, field(1, 'scope'), field(2, 'blocks.0')),
    );
    const condition = field(5, int(2, typeOf.BOOL), field(8, 'c'), field(9, Buffer.of(1)));
    const called = field(
      25,
      field(1, 'F'),
      field(4, 'a'),
      field(5, 'b'),
      field(7, field(1, 'a'), field(2, 'b'), field(4, 'Relu')),
      field(10, 'local'),
    );
    const found = await read(Buffer.concat([model(conditional, condition), called]));
    const [first] = found.graph.nodes;
    assert.deepEqual(first!.metadata, { scope: 'blocks.0' });
    const inner = first!.attributes.then_branch;
    assert.ok(inner?.type === 'graph');
    assert.deepEqual(
      inner.value.nodes.map(({ opType }) => opType),
      ['Relu'],
    );
    assert.deepEqual(
      found.functions.map(({ domain, name, outputs }) => [domain, name, outputs]),
      [['local', 'F', ['b']]],
    );
    assert.deepEqual(found.warnings, []);
  });

  it('finds small fields again after a payload that it jumps over', async () => {
    const payload = 200_000;
    const tensors = ['a', 'b', 'c'].map((name) =>
      field(
        5,
        int(1, payload / 4),
        int(2, typeOf.FLOAT),
        field(8, name),
        field(9, Buffer.alloc(payload)),
        field(12, 'doc'),
      ),
    );
    const file = model(identity, ...tensors);
    let bytes = 0;
    const source = fromBytes('m.onnx', file);
    const { graph } = await readOnnxModel({
      ...source,
      read: (offset, length) => ((bytes += length), source.read(offset, length)),
    });
    assert.deepEqual(
      graph.initializers.map(({ name, shape }) => [name, shape[0]]),
      [
        ['a', payload / 4],
        ['b', payload / 4],
        ['c', payload / 4],
      ],
    );
    assert.ok(bytes < 3 * payload * 0.3, `${bytes} bytes were read of ${file.length}`);
  });
});
