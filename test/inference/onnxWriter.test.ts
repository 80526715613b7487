import assert from 'node:assert/strict';
import { mkdtemp, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { GraphBuilder, type ParameterSource } from '../../src/graph/builder';
import { float, int, ints, text, type Graph, type Initializer } from '../../src/graph/graph';
import { onnxParts, writeOnnx, type Located, type WriteOptions } from '../../src/graph/onnx/export';
import { seeded } from '../support/random';

/** x·Wᵀ + b with W `[out, in]`, in double precision. */
function linear(x: readonly number[][], weight: readonly number[][], bias: readonly number[]): number[][] {
  return x.map((row) =>
    weight.map((column, at) => column.reduce((sum, w, index) => sum + w * row[index]!, bias[at]!)),
  );
}

const rowsOf = (values: ArrayLike<number>, columns: number): number[][] =>
  Array.from({ length: values.length / columns }, (_, row) =>
    Array.from({ length: columns }, (_, column) => values[row * columns + column]!),
  );

function softmax(row: readonly number[]): number[] {
  const exps = row.map((value) => Math.exp(value - Math.max(...row)));
  return exps.map((value) => value / exps.reduce((a, b) => a + b));
}

const random = seeded(7);
const numbers = (count: number): Float32Array => Float32Array.from({ length: count }, () => random() * 2 - 1);

const [tokens, width, out] = [5, 4, 3];
const stored = {
  'proj.weight': { shape: [out, width], values: numbers(out * width) },
  'proj.bias': { shape: [out], values: numbers(out) },
};
type Name = keyof typeof stored;

/** proj(x), and self-attention of x over itself as a probe. */
function buildSmall(dtype: 'F32' | 'F16' = 'F32'): Graph {
  const source: ParameterSource = {
    find: (name) =>
      name in stored ? { tensor: name, dtype, stored: stored[name as Name].shape, first: 0 } : undefined,
  };
  const b = new GraphBuilder('small', source);
  const x = b.input('x', [tokens, width]);
  const layout = { sequence: tokens };
  const heads = b.reshape(x, [1, 1, tokens, width]);
  const mixed = b.scope('attn', () =>
    b.attention(heads, heads, heads, {
      probe: { layer: 'attn', kind: 'self', queries: layout, keys: layout },
    }),
  );
  b.output('logits', b.linear(x, 'proj'), 'logits');
  b.output('mixed', b.reshape(mixed, [tokens, width]), 'tokens');
  return b.build();
}

const inline =
  (convert: (values: Float32Array) => Uint8Array, dtype?: 'F32') =>
  ({ data }: Initializer): Located => {
    assert.equal(data.kind, 'parameter');
    const { values } = stored[(data as { tensor: Name }).tensor];
    return { kind: 'inline', bytes: convert(values), dtype };
  };
const floatBytes = (values: Float32Array): Uint8Array => new Uint8Array(values.buffer);

const x = numbers(tokens * width);
const feeds = { x: new Tensor('float32', x, [tokens, width]) };
const expectedLogits = linear(
  rowsOf(x, width),
  rowsOf(stored['proj.weight'].values, width),
  Array.from(stored['proj.bias'].values),
).flat();

function assertClose(actual: ArrayLike<number>, expected: readonly number[], tolerance = 1e-6): void {
  assert.equal(actual.length, expected.length);
  expected.forEach((value, index) =>
    assert.ok(Math.abs(actual[index]! - value) <= tolerance, `${index}: ${actual[index]} is not ${value}`),
  );
}

async function load(graph: Graph, options: WriteOptions): Promise<InferenceSession> {
  return InferenceSession.create(writeOnnx(graph, options), { logSeverityLevel: 3 });
}

const data = (tensor: Tensor | undefined): ArrayLike<number> => tensor!.data as Float32Array;

describe('writeOnnx', () => {
  it('writes a model whose outputs equal a plain computation', async () => {
    const session = await load(buildSmall(), { locate: inline(floatBytes) });
    assert.deepEqual(session.outputNames, ['logits', 'mixed']);
    const result = await session.run(feeds);
    assertClose(data(result['logits']), expectedLogits);
    await session.release();
  });

  it('makes attention maps outputs under their number', async () => {
    const session = await load(buildSmall(), { outputs: ['mixed'], probes: [0], locate: inline(floatBytes) });
    assert.deepEqual(session.outputNames, ['mixed', 'attention.0']);
    const result = await session.run(feeds);
    const rows = rowsOf(x, width);
    const map = rows.map((query) =>
      softmax(rows.map((key) => key.reduce((sum, k, at) => sum + k * query[at]!, 0) / Math.sqrt(width))),
    );
    assert.deepEqual(result['attention.0']!.dims, [1, 1, tokens, tokens]);
    assertClose(data(result['attention.0']), map.flat());
    const mixed = map.map((row) =>
      Array.from({ length: width }, (_, at) => row.reduce((sum, w, key) => sum + w * rows[key]![at]!, 0)),
    );
    assertClose(data(result['mixed']), mixed.flat());
    await session.release();
  });

  it('reads external data at odd offsets of another file', async () => {
    const folder = await realpath(await mkdtemp(join(tmpdir(), 'vitrine-writer-')));
    try {
      const header = Buffer.alloc(13, 0xaa);
      const gap = Buffer.alloc(2, 0xbb);
      const parts = [
        header,
        floatBytes(stored['proj.weight'].values),
        gap,
        floatBytes(stored['proj.bias'].values),
      ];
      await writeFile(join(folder, 'weights é.bin'), Buffer.concat(parts));
      const start: Record<Name, number> = { 'proj.weight': 13, 'proj.bias': 13 + 4 * out * width + 2 };
      const locate = (initializer: Initializer): Located => {
        const { tensor } = initializer.data as { tensor: Name };
        const length = stored[tensor].values.byteLength;
        return { kind: 'external', location: 'weights é.bin', offset: start[tensor], length };
      };
      const session = await InferenceSession.create(
        writeOnnx(buildSmall(), { outputs: ['logits'], locate }),
        {
          extra: { session: { model_external_initializers_file_folder_path: folder } },
        },
      );
      assertClose(data((await session.run(feeds))['logits']), expectedLogits);
      await session.release();
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it('drops the cast of a half-precision parameter that was converted', async () => {
    const session = await load(buildSmall('F16'), { outputs: ['logits'], locate: inline(floatBytes, 'F32') });
    assertClose(data((await session.run(feeds))['logits']), expectedLogits);
    await session.release();
    assert.ok(
      !modelText(buildSmall('F16'), { outputs: ['logits'], locate: inline(floatBytes, 'F32') }).includes(
        'Cast',
      ),
    );
  });

  it('leaves out what the wanted outputs do not need', () => {
    const locate = inline(floatBytes);
    const names = modelText(buildSmall(), { outputs: ['mixed'], locate });
    assert.ok(names.includes('Softmax'));
    assert.ok(!names.includes('Gemm'));
    assert.ok(!names.includes('proj.weight'));
  });

  it('taps one value under two names, an input, and a name another value bears', async () => {
    const graph = buildSmall();
    const gemm = graph.nodes.find(({ op }) => op === 'Gemm')!.outputs[0]!;
    const taps = [
      { name: 'again', value: gemm },
      { name: 'attn/Softmax:out', value: graph.outputs[1]!.value },
      { name: 'pixels', value: 'x' },
    ];
    const session = await load(graph, { outputs: ['logits'], probes: [0], taps, locate: inline(floatBytes) });
    const result = await session.run(feeds);
    assertClose(data(result['again']), expectedLogits);
    assertClose(data(result['pixels']), Array.from(x), 0);
    assert.deepEqual(result['attention.0']!.dims, [1, 1, tokens, tokens]);
    assert.deepEqual(result['attn/Softmax:out']!.dims, [tokens, width]);
    await session.release();
  });

  it('writes every kind of attribute', async () => {
    const b = new GraphBuilder('attributes', { find: () => undefined });
    const image = b.input('x', [tokens, width]);
    const value = { dtype: 'F32', shape: [1], bytes: floatBytes(Float32Array.of(0.5)) } as const;
    const half = b.add('Constant', [], { value: { type: 'tensor', value } });
    const list = b.add('Constant', [], { value_floats: { type: 'floats', value: [1, 2, 3, 4] } });
    const gelu = b.add('Gelu', [b.add('Mul', [image, half])], { approximate: text('tanh') });
    const turned = b.add('Transpose', [b.add('Sub', [gelu, list])], { perm: ints([1, 0]) });
    const leaky = b.add('LeakyRelu', [turned], { alpha: float(0.25) });
    b.output('y', b.add('Softmax', [leaky], { axis: int(-2) }), 'tokens');
    const session = await load(b.build(), { locate: inline(floatBytes) });
    const curve = (v: number): number =>
      (v / 2) * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (v + 0.044715 * v ** 3)));
    const columns = rowsOf(x, width).map((row) =>
      softmax(
        row.map((value, at) => curve(value / 2) - (at + 1)).map((value) => (value < 0 ? value / 4 : value)),
      ),
    );
    const expected = Array.from({ length: width }, (_, at) => columns.map((column) => column[at]!)).flat();
    assertClose(data((await session.run(feeds))['y']), expected);
    await session.release();
  });

  it('hands out the same bytes in pieces', () => {
    const options = { locate: inline(floatBytes) };
    assert.deepEqual(
      new Uint8Array(Buffer.concat(onnxParts(buildSmall(), options))),
      writeOnnx(buildSmall(), options),
    );
  });

  it('refuses an output the graph does not have, and bytes that do not fit', () => {
    assert.throws(
      () => writeOnnx(buildSmall(), { outputs: ['boxes'], locate: inline(floatBytes) }),
      /small has no output boxes; it has logits, mixed/,
    );
    assert.throws(
      () => writeOnnx(buildSmall(), { locate: inline((values) => floatBytes(values).subarray(4)) }),
      /proj\.weight: 44 bytes for F32 \[3, 4\], 48 needed/,
    );
  });
});

const modelText = (graph: Graph, options: WriteOptions): string =>
  Buffer.from(writeOnnx(graph, options)).toString('latin1');
