import assert from 'node:assert/strict';
import { openFile } from '../../../src/checkpoint/byteSource';
import { readOnnxModel } from '../../../src/checkpoint/formats/onnx';
import { readTogether } from '../../../src/checkpoint/values';
import { check, type Sources } from '../../../src/graph/check';
import type { Tensor } from '../../../src/checkpoint/tensors';
import { GraphBuilder } from '../../../src/graph/builder';
import {
  GraphError,
  int,
  ints,
  type Graph,
  type Initializer,
  type Node,
  type ValueInfo,
} from '../../../src/graph/graph';
import { OperatorError } from '../../../src/graph/operators';
import { readShapeConstants } from '../../../src/graph/onnx/import';
import { withClassActivation } from '../../../src/graph/rewrite/classActivation';
import { planTaps, withRowTaps, type Tap } from '../../../src/graph/rewrite/taps';
import { openAt } from '../../support/open';
import { checkpointPath, readCases, sizeOfCase, type Case } from '../../support/cases';

const cases = readCases('test/fixtures/cases');

async function open(golden: Case): Promise<{ graph: Graph; sources: Sources }> {
  const model = await openAt(checkpointPath(golden), {
    assume: golden.assume,
    imageSize: sizeOfCase(golden),
  });
  const { tensors } = model.checkpoint.selected;
  const constants = golden.format === 'onnx' ? await constantsOf(model.checkpoint.file) : undefined;
  return { graph: model.graph(), sources: { tensors, constants } };
}

async function constantsOf(path: string) {
  const source = await openFile(path);
  const file = await readOnnxModel(source).finally(() => source.close());
  return readShapeConstants(file, (tensors) => readTogether(tensors, openFile));
}

/** The taps of maps none of which is kept whole. */
const asRows = (graph: Graph): readonly Tap[] =>
  planTaps(graph, { whole: 0, kept: 0 }).filter(({ kind }) => kind === 'rows');

describe('legal graphs', () => {
  let taps = 0;
  let activations = 0;

  for (const golden of cases)
    it(`${golden.id}: as built, with row taps and with class activation`, async () => {
      const { graph, sources } = await open(golden);
      check(graph, sources);
      const tapped = withRowTaps(graph, asRows(graph));
      check(tapped, sources);
      const activated = withClassActivation(graph);
      check(activated, sources);
      check(withRowTaps(activated, asRows(activated)), sources);
      taps += tapped.outputs.length - graph.outputs.length;
      activations += activated.probes.length - graph.probes.length;
    });

  it('were many, and many of them rewritten', () => {
    assert.ok(cases.length > 300 && taps > 900 && activations > 30, `${taps}, ${activations}`);
    assert.ok(cases.filter(({ format }) => format === 'onnx').length >= 12);
  });
});

/**
 * The smallest graph with all that rules are about: an image, a weight, a constant, attention and a
 * note.
 */
function small(): Graph {
  const b = new GraphBuilder('small', {
    find: (name) => (name === 'w' ? { tensor: 'w', dtype: 'F32', stored: [4, 3], first: 0 } : undefined),
  });
  const x = b.input('x', [1, 2, 3, 3]);
  const map = b.scope('attn', () => b.add('Softmax', [x], { axis: int(-1) }), { title: 'Attention' });
  b.probe(map, { layer: 'attn', kind: 'self', queries: { sequence: 3 }, keys: { sequence: 3 } });
  const rows = b.reshape(b.add('Mul', [map, b.scalar(2)]), [6, 3]);
  b.output('logits', b.add('MatMul', [rows, b.transpose(b.parameter('w'), [1, 0])]), 'logits');
  return b.build();
}

const tensors: readonly Tensor[] = [
  {
    name: 'w',
    dtype: 'F32',
    shape: [4, 3],
    start: 0,
    storage: { kind: 'inline', bytes: new Uint8Array(48) },
  },
];

/** The graph with one of its nodes changed. */
const withNode = (graph: Graph, op: string, change: Partial<Node>): Graph => ({
  ...graph,
  nodes: graph.nodes.map((node) => (node.op === op ? { ...node, ...change } : node)),
});
const withValue = (graph: Graph, name: string, change: Partial<ValueInfo>): Graph => ({
  ...graph,
  values: new Map(
    [...graph.values].map(([key, value]) => [key, key === name ? { ...value, ...change } : value]),
  ),
});
const withInitializer = (graph: Graph, name: string, change: Partial<Initializer>): Graph => ({
  ...graph,
  initializers: new Map(
    [...graph.initializers].map(([key, value]) => [key, key === name ? { ...value, ...change } : value]),
  ),
});
const without = (graph: Graph, op: string): Graph => ({
  ...graph,
  nodes: graph.nodes.filter((node) => node.op !== op),
});

describe('broken graphs', () => {
  const broken: readonly (readonly [rule: string, graph: (whole: Graph) => Graph, message: RegExp])[] = [
    [
      'nodes out of order',
      (g) => ({ ...g, nodes: g.nodes.toReversed() }),
      /MatMul.* is read before it is made/,
    ],
    ['a node taken out', (g) => without(g, 'Mul'), /Reshape.* is read before it is made/],
    [
      'a node twice',
      (g) => ({ ...g, nodes: [...g.nodes, ...g.nodes.slice(-1)] }),
      /a node of this name is not/,
    ],
    [
      'a value made twice',
      (g) => withNode(g, 'Mul', { outputs: ['attn/Softmax:out'] }),
      /Mul.* is made twice/,
    ],
    [
      'an operator that is not known',
      (g) => withNode(g, 'Mul', { op: 'Times' }),
      /operator Times is not known/,
    ],
    [
      'a domain without operator set',
      (g) => withNode(g, 'Mul', { domain: 'com.example' }),
      /Mul.*com\.example/,
    ],
    ['no operator set', (g) => ({ ...g, opsets: {} }), /no operator set of ai\.onnx/],
    ['an operator set of no number', (g) => ({ ...g, opsets: { '': 0.5 } }), /ai\.onnx: operator set 0\.5/],
    [
      'another shape than inferred',
      (g) => withValue(g, '/Mul:out', { shape: [1, 2, 3, 4] }),
      /Mul.*is F32 \[1, 2, 3, 3\], not/,
    ],
    ['another type than inferred', (g) => withValue(g, '/Mul:out', { dtype: 'F16' }), /Mul.*not F16/],
    [
      'a shape that does not fit',
      (g) => withNode(g, 'Transpose', { attributes: { perm: ints([0, 0]) } }),
      /Transpose.*does not order/,
    ],
    [
      'an output too many',
      (g) => withNode(g, 'Mul', { outputs: ['/Mul:out', 'more'] }),
      /Mul.*makes 1 outputs, not more/,
    ],
    [
      'a size that is no number',
      (g) => ({
        ...withValue(g, 'x', { shape: [0.5] }),
        inputs: [{ name: 'x', dtype: 'F32', shape: [0.5] }],
      }),
      /x has no whole sizes/,
    ],
    [
      'an input that is an initializer, too',
      (g) => ({ ...g, inputs: [...g.inputs, { name: 'w', dtype: 'F32', shape: [4, 3] }] }),
      /w: an input or initializer/,
    ],
    [
      'an input that is no value',
      (g) => ({ ...g, inputs: [...g.inputs, { name: 'y', dtype: 'F32', shape: [1] }] }),
      /y is not among the values/,
    ],
    [
      'a value that nothing makes',
      (g) => ({ ...g, values: new Map([...g.values, ['y', { name: 'y', dtype: 'F32', shape: [1] }]]) }),
      /y: a value that nothing makes/,
    ],
    [
      'an output that is not there',
      (g) => ({ ...g, outputs: [{ name: 'logits', value: 'y', means: 'logits' }] }),
      /logits: its value y/,
    ],
    [
      'two outputs of one name',
      (g) => ({ ...g, outputs: [...g.outputs, ...g.outputs] }),
      /logits: an output of this name/,
    ],
    [
      'an initializer that no node reads',
      (g) => ({
        ...withNode(g, 'Transpose', { inputs: ['/scalar'], attributes: { perm: ints([]) } }),
        outputs: [],
        nodes: g.nodes.slice(0, 2),
        values: new Map([...g.values].filter(([name]) => !/Reshape|Transpose|MatMul/.test(name))),
      }),
      /no node reads it/,
    ],
    [
      'an initializer under another name',
      (g) => withInitializer(g, 'w', { name: 'v' }),
      /w: stored under the name of v/,
    ],
    [
      'a constant of too few bytes',
      (g) => withInitializer(g, '/scalar', { data: { kind: 'constant', bytes: new Uint8Array(3) } }),
      /\/scalar: 3 bytes for F32/,
    ],
    [
      'a range beyond its tensor',
      (g) => withInitializer(g, 'w', { data: { kind: 'parameter', tensor: 'w', first: 1 } }),
      /w: .* from element 1 on is no range/,
    ],
    [
      'a tensor of another type',
      (g) => withInitializer(g, 'w', { dtype: 'I32' }),
      /w: I32 .* is no range of F32/,
    ],
    [
      'a tensor that is not stored',
      (g) => withInitializer(g, 'w', { data: { kind: 'parameter', tensor: 'v', first: 0 } }),
      /v is not in the checkpoint/,
    ],
    [
      'a probe of other heads',
      (g) => ({ ...g, probes: g.probes.map((probe) => ({ ...probe, heads: 3 })) }),
      /attn: 3 heads of 3 × 3 tokens/,
    ],
    [
      'a probe of other tokens',
      (g) => ({ ...g, probes: g.probes.map((probe) => ({ ...probe, keys: { sequence: 4 } })) }),
      /attn: 2 heads of 3 × 4 tokens/,
    ],
    [
      'a probe of no value',
      (g) => ({ ...g, probes: g.probes.map((probe) => ({ ...probe, value: 'y' })) }),
      /attn: the attention map y/,
    ],
    [
      'a note on no module',
      (g) => ({ ...g, modules: new Map([['mlp', { title: 'MLP' }]]) }),
      /mlp: no node stands/,
    ],
  ];

  it('the whole one is legal', () => check(small(), { tensors }));

  for (const [rule, change, message] of broken)
    it(`${rule} is an error`, () =>
      assert.throws(
        () => check(change(small()), { tensors }),
        (error) =>
          (error instanceof GraphError || error instanceof OperatorError) && message.test(error.message),
      ));
});
