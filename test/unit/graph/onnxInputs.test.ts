import assert from 'node:assert/strict';
import type { OnnxModel, OnnxNode, OnnxValue } from '../../../src/checkpoint/formats/onnxModel';
import type { DType, Tensor } from '../../../src/checkpoint/tensors';
import { check } from '../../../src/graph/check';
import type { Graph } from '../../../src/graph/graph';
import { imageInput, importWithNotes, ImportError, readShapeConstants } from '../../../src/graph/onnx/import';
import { packedParameters } from '../../../src/models/onnxFamilies';
import { sizeCandidates } from '../../../src/models/onnxSizes';
import { model, node, weight } from '../../support/onnxModels';

const inlineBytes = async ({ storage }: Tensor): Promise<Uint8Array> =>
  storage.kind === 'inline' ? storage.bytes : new Uint8Array();
const ints = (...value: number[]) => ({ type: 'ints', value }) as const;
const int = (value: number) => ({ type: 'int', value }) as const;
const input = (name: string, shape: readonly (number | string)[], dtype: DType = 'F32'): OnnxValue => ({
  name,
  dtype,
  shape,
});
const patches = (from: string, to: string): OnnxNode =>
  node('Conv', [from, 'patch'], [to], { attributes: { kernel_shape: ints(8, 8), strides: ints(8, 8) } });

/** Nodes that make scores `[batch, 6]` of patches of `from`. */
const classifier = (from: string, to = 'y'): OnnxNode[] => [
  patches(from, 'map'),
  node('GlobalAveragePool', ['map'], ['pooled']),
  node('Flatten', ['pooled'], ['flat']),
  node('Gemm', ['flat', 'head'], [to]),
];
const stored = (channels = 3): Tensor[] => [weight('patch', [4, channels, 8, 8]), weight('head', [4, 6])];

async function imported(file: OnnxModel, batch = 1, imageSize: readonly [number, number] = [16, 24]) {
  const constants = await readShapeConstants(file, (tensors) => Promise.all(tensors.map(inlineBytes)));
  const { graph, notes } = importWithNotes(file, constants, { imageSize, batch });
  check(graph, { constants });
  return { graph, notes, image: imageInput(file, constants) };
}
const ops = ({ nodes }: Graph): readonly string[] => nodes.map(({ op }) => op);
const outputShapes = ({ outputs, values }: Graph): Readonly<Record<string, readonly number[] | undefined>> =>
  Object.fromEntries(outputs.map(({ name, value }) => [name, values.get(value)?.shape]));

describe('image inputs of .onnx files', () => {
  it('takes channels that lie last, and is given them in front', async () => {
    const turned = node('Transpose', ['in'], ['x'], { attributes: { perm: ints(0, 3, 1, 2) } });
    const file = model([turned, ...classifier('x')], [input('in', ['n', 16, 24, 3])], stored());
    const { graph } = await imported(file);
    assert.deepEqual(graph.inputs, [{ name: 'pixel_values', dtype: 'F32', shape: [1, 3, 16, 24] }]);
    assert.deepEqual(ops(graph).slice(0, 2), ['Transpose', 'Transpose']);
    assert.deepEqual(graph.values.get('x')?.shape, [1, 3, 16, 24]);
  });

  it('knows the axes by the convolution where shapes do not tell', async () => {
    const file = model(classifier('in', 'y'), [input('in', ['a', 'b', 'c', 'd'])], stored(5));
    const { graph, image } = await imported(file);
    assert.equal(image?.channels, 5);
    assert.deepEqual(graph.inputs[0]?.shape, [1, 5, 16, 24]);
  });

  for (const channels of [1, 4, 13])
    it(`takes ${channels} channels`, async () => {
      const file = model(classifier('in'), [input('in', [1, channels, 16, 24])], stored(channels));
      const { graph } = await imported(file);
      assert.deepEqual(graph.inputs[0]?.shape, [1, channels, 16, 24]);
    });

  it('takes what a convolution reads for the image, not a mask before it', async () => {
    const nodes = [node('Relu', ['mask'], ['m']), ...classifier('in')];
    const inputs = [input('mask', [1, 1, 17, 17]), input('in', [1, 3, 16, 24])];
    const file = model(nodes, inputs, stored(), [{ name: 'm' }, { name: 'y' }]);
    const { graph, image, notes } = await imported(file);
    assert.equal(image?.name, 'in');
    assert.deepEqual(
      graph.inputs.map(({ name }) => name),
      ['pixel_values'],
    );
    assert.match(notes.join(), /not run: m, which needs mask/);
  });

  it('takes an image without a batch', async () => {
    const nodes = [node('Unsqueeze', ['in', 'zero'], ['x']), ...classifier('x')];
    const file = model(nodes, [input('in', [3, 16, 24])], [...stored(), weight('zero', [1], 'I64', [0])]);
    const { graph } = await imported(file);
    assert.deepEqual(graph.inputs[0]?.shape, [1, 3, 16, 24]);
    assert.deepEqual(graph.values.get('x')?.shape, [1, 3, 16, 24]);
  });

  it('takes no sequence and no map of many channels for an image', async () => {
    const few = model([node('Relu', ['x'], ['y'])], [input('x', [1, 5, 8])]);
    const many = model([node('Relu', ['x'], ['y'])], [input('x', [1, 64, 56, 56])]);
    assert.equal(imageInput(few), undefined);
    assert.equal(imageInput(many), undefined);
  });

  it('is given bytes where they are divided inside, whatever type they come in', async () => {
    const bytes = [node('Cast', ['in'], ['f'], { attributes: { to: int(1) } }), ...classifier('f')];
    const { graph, image } = await imported(model(bytes, [input('in', [1, 3, 16, 24], 'U8')], stored()));
    assert.equal(image?.inside?.takes, 'bytes');
    assert.deepEqual(ops(graph).slice(0, 2), ['Cast', 'Cast']);
  });

  const arithmetic = (steps: readonly (readonly [op: string, values: readonly number[]])[]): OnnxModel => {
    const names = steps.map((_, index) => `c${index}`);
    const nodes = steps.map(([op], index) =>
      node(op, [index === 0 ? 'in' : `v${index - 1}`, names[index] ?? ''], [`v${index}`], { name: op }),
    );
    const constants = steps.map(([, values], index) =>
      weight(names[index] ?? '', values.length === 1 ? [] : [1, values.length, 1, 1], 'F32', values),
    );
    const last = steps.length === 0 ? 'in' : `v${steps.length - 1}`;
    return model([...nodes, ...classifier(last)], [input('in', [1, 3, 16, 24])], [...stored(), ...constants]);
  };
  const insides = [
    { steps: [], takes: undefined },
    { steps: [['Div', [255]]], takes: 'bytes' },
    {
      steps: [
        ['Mul', [1 / 127.5]],
        ['Sub', [1]],
      ],
      takes: 'bytes',
    },
    {
      steps: [
        ['Sub', [123.7, 116.3, 103.5]],
        ['Div', [58.4, 57.1, 57.4]],
      ],
      takes: 'bytes',
    },
    {
      steps: [
        ['Sub', [0.485, 0.456, 0.406]],
        ['Div', [0.229, 0.224, 0.225]],
      ],
      takes: 'unit',
    },
    {
      steps: [
        ['Mul', [2]],
        ['Sub', [1]],
      ],
      takes: 'unit',
    },
    {
      steps: [
        ['Mul', [0.458]],
        ['Sub', [0.03]],
      ],
      takes: undefined,
    },
    { steps: [['Add', [0.1]]], takes: undefined },
  ] as const;
  for (const { steps, takes } of insides)
    it(`reads ${JSON.stringify(steps)} before the first layer as ${takes ?? 'no normalisation'}`, async () => {
      const { image } = await imported(arithmetic(steps));
      assert.equal(image?.inside?.takes, takes);
      assert.deepEqual(image?.constants, takes ? steps.map((_, index) => `c${index}`) : []);
    });

  it('leaves a known input beside the image at its default, and says so', async () => {
    const masked = [
      patches('in', 'map'),
      node('Mul', ['map', 'keep_prob'], ['kept']),
      node('GlobalAveragePool', ['kept'], ['pooled']),
      node('Flatten', ['pooled'], ['flat']),
      node('Gemm', ['flat', 'head'], ['y']),
    ];
    const file = model(masked, [input('in', [1, 3, 16, 24]), input('keep_prob', [])], stored());
    const { graph, notes } = await imported(file);
    assert.deepEqual(
      graph.inputs.map(({ name }) => name),
      ['pixel_values'],
    );
    assert.match(notes.join(), /keep_prob is left at 1/);
  });

  it('runs what an image is enough for, and names what it is not', async () => {
    const text = [node('Gather', ['table', 'input_ids'], ['text'])];
    const inputs = [input('in', [1, 3, 16, 24]), input('input_ids', ['n', 's'], 'I64')];
    const file = model(
      [...text, ...classifier('in')],
      inputs,
      [...stored(), weight('table', [9, 4])],
      [{ name: 'text' }, { name: 'y' }],
    );
    const { graph, notes } = await imported(file);
    assert.deepEqual(
      graph.inputs.map(({ name }) => name),
      ['pixel_values'],
    );
    assert.deepEqual(
      graph.outputs.map(({ value }) => value),
      ['y'],
    );
    assert.ok(!ops(graph).includes('Gather') && !graph.initializers.has('table'));
    assert.match(notes.join(), /not run: text, which needs input_ids/);
  });
});

describe('a number of images that an .onnx file fixes', () => {
  const fixed = (nodes: readonly OnnxNode[], extra: readonly Tensor[] = []): OnnxModel =>
    model(nodes, [input('in', [8, 3, 16, 24])], [...stored(), ...extra]);
  const shape = (name: string, ...values: number[]): Tensor => weight(name, [values.length], 'I64', values);
  /** `[8, 4, 2, 3]` as sequences `[8, 6, 4]`. */
  const tokens = [
    patches('in', 'map'),
    node('Reshape', ['map', 'flat_shape'], ['flat']),
    node('Transpose', ['flat'], ['tokens'], { attributes: { perm: ints(0, 2, 1) } }),
  ];

  it('is rewritten in every shape that was written down, and said', async () => {
    const { graph, notes } = await imported(
      fixed([...tokens, node('Relu', ['tokens'], ['y'])], [shape('flat_shape', 8, 4, 6)]),
    );
    assert.deepEqual(graph.inputs[0]?.shape, [1, 3, 16, 24]);
    assert.deepEqual(graph.values.get('y')?.shape, [1, 6, 4]);
    assert.match(notes.join(), /a batch of 8 is fixed/);
  });

  it('stays if as many images are given', async () => {
    const { graph, notes } = await imported(
      fixed([...tokens, node('Relu', ['tokens'], ['y'])], [shape('flat_shape', 8, 4, 6)]),
      8,
    );
    assert.deepEqual(graph.values.get('y')?.shape, [8, 6, 4]);
    assert.deepEqual(notes, []);
  });

  it('finds images in the second axis and inside of one, as PyTorch’s attention puts them', async () => {
    const nodes = [
      ...tokens,
      node('Transpose', ['tokens'], ['first'], { attributes: { perm: ints(1, 0, 2) } }),
      node('Reshape', ['first', 'heads'], ['split']),
      node('Transpose', ['split'], ['by_head'], { attributes: { perm: ints(1, 0, 2) } }),
      node('Transpose', ['by_head'], ['back'], { attributes: { perm: ints(1, 0, 2) } }),
      node('Reshape', ['back', 'rows'], ['merged']),
      node('Relu', ['merged'], ['active']),
      node('Reshape', ['active', 'apart'], ['y']),
    ];
    const shapes = [
      shape('flat_shape', 8, 4, 6),
      shape('heads', 6, 16, 2),
      shape('rows', 48, 4),
      shape('apart', 6, 8, 4),
    ];
    const { graph } = await imported(fixed(nodes, shapes));
    assert.deepEqual(graph.values.get('split')?.shape, [6, 2, 2]);
    assert.deepEqual(graph.values.get('merged')?.shape, [6, 4]);
    assert.deepEqual(graph.values.get('y')?.shape, [6, 1, 4]);
  });

  it('takes the first rows of what was repeated for each image', async () => {
    const nodes = [...tokens, node('Concat', ['cls', 'tokens'], ['y'], { attributes: { axis: int(1) } })];
    const { graph } = await imported(fixed(nodes, [shape('flat_shape', 8, 4, 6), weight('cls', [8, 1, 4])]));
    assert.deepEqual(graph.values.get('y')?.shape, [1, 7, 4]);
    assert.deepEqual(graph.initializers.get('cls/rows')?.shape, [1, 1, 4]);
  });

  it('gives the image to every row if it cannot be rewritten, and reads the first', async () => {
    // A reduction over the images makes every row depend on all of them.
    const nodes = [
      ...classifier('in', 'scores'),
      node('ReduceSum', ['scores', 'zero'], ['total']),
      node('Sub', ['scores', 'total'], ['y']),
    ];
    const { graph, notes } = await imported(fixed(nodes, [shape('zero', 0)]));
    assert.deepEqual(graph.inputs[0]?.shape, [1, 3, 16, 24]);
    assert.deepEqual(outputShapes(graph), { logits: [1, 6] });
    assert.equal(ops(graph)[0], 'Gather');
    assert.match(notes.join(), /cannot be rewritten .*given 8 times, and MACs and memory are those of 8/);
  });

  it('refuses more images than stored rows are there for', async () => {
    const nodes = [...tokens, node('Concat', ['cls', 'tokens'], ['y'], { attributes: { axis: int(1) } })];
    const file = fixed(nodes, [shape('flat_shape', 8, 4, 6), weight('cls', [8, 1, 4])]);
    await assert.rejects(
      imported(file, 16),
      (error) => error instanceof ImportError && /rows of 8 images/.test(error.message),
    );
  });
});

describe('outputs of .onnx files', () => {
  const several = (names: readonly string[], nodes: readonly OnnxNode[]): OnnxModel =>
    model(
      nodes,
      [input('in', [1, 3, 16, 24])],
      stored(),
      names.map((name) => ({ name })),
    );
  const meanings = ({ outputs }: Graph): Readonly<Record<string, string>> =>
    Object.fromEntries(outputs.map(({ name, means }) => [name, means]));

  it('keeps their names, and takes what the last linear layer makes for scores', async () => {
    const { graph } = await imported(several(['flat', 'map', 'a'], classifier('in', 'a')));
    assert.deepEqual(meanings(graph), { flat: 'features', map: 'maps', a: 'logits' });
  });

  it('reads scores before a softmax of the graph, which is then not taken twice', async () => {
    const soft = node('Softmax', ['s'], ['probs'], { attributes: { axis: int(-1) } });
    const { graph } = await imported(several(['probs'], [...classifier('in', 's'), soft]));
    assert.deepEqual(meanings(graph), { probs: 'probabilities', logits: 'logits' });
    assert.deepEqual(graph.outputs[1], {
      name: 'logits',
      value: 's',
      means: 'logits',
      activation: 'softmax',
    });
  });

  it('knows a sigmoid, and a softmax that is written out', async () => {
    const sigmoid = await imported(several(['p'], [...classifier('in', 's'), node('Sigmoid', ['s'], ['p'])]));
    assert.equal(sigmoid.graph.outputs[1]?.activation, 'sigmoid');
    const written = [
      ...classifier('in', 's'),
      node('ReduceMax', ['s'], ['m'], { attributes: { axes: ints(-1) } }),
      node('Sub', ['s', 'm'], ['d']),
      node('Exp', ['d'], ['e']),
      node('ReduceSum', ['e', 'last'], ['t']),
      node('Div', ['e', 't'], ['p']),
    ];
    const file = model(
      written,
      [input('in', [1, 3, 16, 24])],
      [...stored(), weight('last', [1], 'I64', [-1])],
      [{ name: 'p' }],
    );
    const { graph } = await imported(file);
    assert.deepEqual(graph.outputs[1], {
      name: 'logits',
      value: 's',
      means: 'logits',
      activation: 'softmax',
    });
  });

  it('takes raw scores before their probabilities, and says which of two heads is read', async () => {
    const both = [
      ...classifier('in', 'scores'),
      node('Softmax', ['scores'], ['probs'], { attributes: { axis: int(-1) } }),
    ];
    const { graph, notes } = await imported(several(['probs', 'scores'], both));
    assert.deepEqual(meanings(graph), { probs: 'features', scores: 'logits' });
    assert.deepEqual(notes, []);
    const heads = [...classifier('in', 'class_a'), node('Gemm', ['flat', 'head'], ['class_b'])];
    const two = await imported(several(['class_a', 'class_b'], heads));
    assert.match(two.notes.join(), /class_b is read, class_a not/);
  });

  it('takes a pooled vector for no classifier', async () => {
    const pooled = [
      patches('in', 'map'),
      node('ReduceMean', ['map'], ['y'], { attributes: { axes: ints(2, 3), keepdims: int(0) } }),
    ];
    const { graph } = await imported(model(pooled, [input('in', [1, 3, 16, 24])], stored()));
    assert.deepEqual(meanings(graph), { y: 'features' });
  });
});

describe('image sizes that an .onnx file leaves open', () => {
  const beside = { sidecars: {}, file: 'model.onnx' };
  const open = (table: readonly number[]): OnnxModel =>
    model([patches('in', 'map')], [input('in', [1, 3, 'h', 'w'])], [...stored(), weight('pos', table)]);
  const sizes = (file: OnnxModel, sidecars = {}): readonly string[] =>
    sizeCandidates(file, imageInput(file)!, { ...beside, sidecars }).map(({ size }) => size.join('x'));

  it('follow from a table with a row for each patch and token', () =>
    assert.equal(sizes(open([1, 17, 4]))[0], '32x32'));
  it('follow from a table in rows and columns', () => assert.equal(sizes(open([1, 4, 3, 5]))[0], '24x40'));
  it('lie nearest to a square if none fits, which is assumed', () => {
    const [first] = sizeCandidates(open([1, 24, 4]), imageInput(open([1, 24, 4]))!, beside).filter(
      ({ assumed }) => assumed,
    );
    assert.deepEqual(first?.size, [32, 48]);
  });
  it('are what lies beside the file says', () =>
    assert.equal(sizes(open([1, 17, 4]), { config: { image_size: 48 } })[0], '48x48'));
  it('are usual ones if nothing says more', () => assert.deepEqual(sizes(open([9, 9])), ['224x224']));
});

describe('layouts that onnxruntime’s optimiser writes', () => {
  const blockedNode = (op: string, inputs: string[], outputs: string[], attributes = {}): OnnxNode =>
    node(op, inputs, outputs, { domain: 'com.microsoft.nchwc', attributes });

  it('are followed in blocks of channels, which hold zeros beside the channels that there are', async () => {
    const conv = { kernel_shape: ints(8, 8), strides: ints(8, 8) };
    const nodes = [
      blockedNode('Conv', ['in', 'patch'], ['blocks'], conv),
      blockedNode('ReorderOutput', ['blocks'], ['map'], { channels: int(4) }),
      ...classifier('in').slice(1),
    ];
    const file = model(
      nodes,
      [input('in', [1, 3, 16, 24])],
      [weight('patch', [16, 3, 8, 8]), weight('head', [4, 6])],
    );
    const { graph, notes } = await imported({
      ...file,
      opsets: { ...file.opsets, 'com.microsoft.nchwc': 1 },
    });
    assert.deepEqual(graph.values.get('map')?.shape, [1, 4, 2, 3]);
    assert.equal(packedParameters(graph).get('patch'), 4 * 3 * 8 * 8);
    assert.match(notes.join(), /for the processor that the file was optimised on/);
  });

  it('are followed with channels last', async () => {
    const attributes = { kernel_shape: ints(8, 8), strides: ints(8, 8) };
    const nodes = [
      node('Transpose', ['in'], ['last'], { attributes: { perm: ints(0, 2, 3, 1) } }),
      node('NhwcFusedConv', ['last', 'patch'], ['y'], { domain: 'com.microsoft', attributes }),
    ];
    const { graph } = await imported(model(nodes, [input('in', [1, 3, 16, 24])], stored()));
    assert.deepEqual(graph.values.get('y')?.shape, [1, 2, 3, 4]);
  });
});
