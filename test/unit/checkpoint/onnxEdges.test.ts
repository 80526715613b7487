import assert from 'node:assert/strict';
import { fromBytes } from '../../../src/checkpoint/byteSource';
import { readOnnxModel } from '../../../src/checkpoint/formats/onnx';
import type { OnnxModel } from '../../../src/checkpoint/formats/onnxModel';
import { readTensor } from '../../../src/checkpoint/values';
import { field, int, varint } from '../../support/protobufWriter';

const typeOf = { FLOAT: 1, INT64: 7, DOUBLE: 11 } as const;
const version = Buffer.concat([int(1, 8), field(8, int(2, 17))]);
const readGraph = (...graph: readonly Buffer[]): Promise<OnnxModel> =>
  readOnnxModel(fromBytes('m.onnx', Buffer.concat([version, field(7, ...graph)])));

/** A model with an empty graph and one local function of these fields. */
const readFunction = (...fields: readonly Buffer[]): Promise<OnnxModel> =>
  readOnnxModel(fromBytes('m.onnx', Buffer.concat([version, field(7), field(25, field(1, 'F'), ...fields)])));

const texts = (tag: number, names: readonly string[]) => names.map((name) => field(tag, name));
const node = (opType: string, inputs: readonly string[], output: string): Buffer =>
  field(1, ...texts(1, inputs), field(2, output), field(4, opType));

/** An initializer of 64-bit integers; a scalar if `shape` is empty. */
const integers = (name: string, shape: readonly number[], values: readonly number[]): Buffer =>
  field(
    5,
    ...shape.map((size) => int(1, size)),
    int(2, typeOf.INT64),
    field(8, name),
    field(9, new Uint8Array(BigInt64Array.from(values, BigInt).buffer)),
  );

describe('values that a node of an ONNX model makes', () => {
  const tooLarge = (what: string, elements: number): string =>
    `node y (${what}) makes a value of ${elements} elements: too large to fold or to run (at most 2147483648)`;
  const range = async (start: number, limit: number, delta: number): Promise<readonly string[]> => {
    const given = Object.entries({ start, limit, delta }).map(([name, value]) => integers(name, [], [value]));
    return (await readGraph(...given, node('Range', ['start', 'limit', 'delta'], 'y'))).warnings;
  };

  it('Range: steps between start and limit, 2^31 at most', async () => {
    assert.deepEqual(await range(10, 10 + 2 ** 33, 4), []);
    assert.deepEqual(await range(10, 11 + 2 ** 33, 4), [tooLarge('Range', 2 ** 31 + 1)]);
  });

  const filled = async (shape: readonly number[]): Promise<readonly string[]> => {
    const stored = integers('shape', [shape.length], shape);
    return (await readGraph(stored, node('ConstantOfShape', ['shape'], 'y'))).warnings;
  };

  it('ConstantOfShape: the product of all numbers of a shape', async () => {
    assert.deepEqual(await filled([2, 2 ** 30]), []);
    assert.deepEqual(await filled([2, 3, 2 ** 30]), [tooLarge('ConstantOfShape', 6 * 2 ** 30)]);
  });

  it('are looked at where a shape has 64 numbers at most', async () => {
    const ones = Array<number>(63).fill(1);
    assert.deepEqual(await filled([...ones, 2 ** 32]), [tooLarge('ConstantOfShape', 2 ** 32)]);
    assert.deepEqual(await filled([...ones, 1, 2 ** 32]), []);
  });
});

describe('warnings of an ONNX model', () => {
  const names = Array.from({ length: 10 }, (_, index) => `N${index}`);
  const firstEight = names.slice(0, 8).join(', ');

  it('name the first eight inputs that are no tensors', async () => {
    const inputs = names.map((name) => field(11, field(1, name)));
    const { warnings } = await readGraph(...inputs);
    assert.deepEqual(warnings, [
      `inputs whose type is no tensor of numbers, a model with them cannot run here: ${firstEight}`,
    ]);
  });

  it('name the first eight unknown operators and count the others', async () => {
    const { warnings } = await readGraph(...names.map((name) => node(name, [], `of ${name}`)));
    assert.deepEqual(warnings, [
      `operators that are not known, a model with them may not run: ${firstEight} and 2 more`,
    ]);
  });
});

describe('local functions of an ONNX model', () => {
  it('have inputs, and attributes that stand for those of the call', async () => {
    const reference = field(5, field(1, 'alpha'), field(21, 'slope'));
    const leaky = field(7, field(1, 'a'), field(2, 'b'), field(4, 'LeakyRelu'), reference);
    const { functions } = await readFunction(...texts(4, ['a', 'k']), field(5, 'b'), leaky);
    assert.deepEqual(functions[0]!.inputs, ['a', 'k']);
    assert.deepEqual(functions[0]!.nodes[0]!.attributes, { alpha: { type: 'reference', value: 'slope' } });
  });

  it('may hold subgraphs of 16 levels', async () => {
    /** Fields of a node with so many graphs in each other. */
    const nested = (levels: number): Buffer => {
      const inner = levels > 1 ? [field(1, nested(levels - 1))] : [];
      return field(5, field(1, 'body'), field(6, ...inner), int(20, 5));
    };
    await readFunction(field(7, nested(16)));
    await assert.rejects(
      readFunction(field(7, nested(17))),
      /m\.onnx.*subgraphs are nested more than 16 levels deep/s,
    );
  });
});

describe('limits of an ONNX model', () => {
  it('read 300,000 nodes', async () => {
    const nodes = (count: number): Buffer => Buffer.concat(Array<Buffer>(count).fill(field(1)));
    assert.equal((await readGraph(nodes(300_000))).graph.nodes.length, 300_000);
    await assert.rejects(readGraph(nodes(300_001)), /more than 300000 nodes/);
  }).timeout(60_000);
});

describe('typed fields of an ONNX tensor', () => {
  const read = async (type: number, count: number, ...data: readonly Uint8Array[]): Promise<Uint8Array> => {
    const weight = field(5, int(1, count), int(2, type), field(8, 'w'), ...data);
    return readTensor((await readGraph(weight)).graph.initializers[0]!);
  };
  const bytesOf = (values: ArrayBufferView) => new Uint8Array(values.buffer);

  it('may come in several packed pieces', async () => {
    const pieces = [Float32Array.of(1, 2), Float32Array.of(3, 4)].map((piece) => field(4, bytesOf(piece)));
    const found = await read(typeOf.FLOAT, 4, ...pieces);
    assert.deepEqual([...found], [...bytesOf(Float32Array.of(1, 2, 3, 4))]);
  });

  it('may come as single numbers of 64 bits', async () => {
    const numbers = [1, -2].map((value) =>
      Buffer.concat([varint(10 * 8 + 1), bytesOf(Float64Array.of(value))]),
    );
    const found = await read(typeOf.DOUBLE, 2, ...numbers);
    assert.deepEqual([...found], [...bytesOf(Float64Array.of(1, -2))]);
  });
});

describe('weights in Constant nodes of an ONNX model', () => {
  const numbers = (shape: readonly number[]): readonly Buffer[] => [
    ...shape.map((size) => int(1, size)),
    int(2, typeOf.FLOAT),
    field(9, new Uint8Array(4 * shape.reduce((product, size) => product * size, 1))),
  ];
  const constant = (output: string, shape: readonly number[]): Buffer =>
    field(
      1,
      field(2, output),
      field(4, 'Constant'),
      field(5, field(1, 'value'), field(5, ...numbers(shape)), int(20, 4)),
    );
  const initializer = (name: string, shape: readonly number[]): Buffer =>
    field(5, ...numbers(shape), field(8, name));
  const stored = async (...graph: readonly Buffer[]): Promise<readonly string[]> =>
    (await readGraph(...graph)).graph.initializers.map(({ name }) => name);

  it('are stored tensors if the graph keeps its weights there; single numbers are none', async () => {
    assert.deepEqual(await stored(constant('w', [4, 3]), constant('scale', []), constant('one', [1])), ['w']);
  });

  it('are the exporter’s own beside larger initializers', async () => {
    assert.deepEqual(await stored(initializer('w', [4, 4]), constant('mean', [3])), ['w']);
  });
});
