import assert from 'node:assert/strict';
import { at, product, sum } from '../../../src/domain/lists';
import { GraphBuilder } from '../../../src/graph/builder';
import { check } from '../../../src/graph/check';
import { float, int, ints, text, type Attribute, type Graph, type ValueInfo } from '../../../src/graph/graph';
import { gradientOf, operatorRows } from '../../../src/graph/operators';
import { noGradient } from '../../../src/graph/operators/gradients/call';
import { GradientError, gradientNames, withGradients } from '../../../src/graph/rewrite/backward';
import { interpret, type Tensor } from '../../support/interpreter';
import { seeded } from '../../support/random';

/** An input: numbers drawn for a shape, or an integer constant. */
type Input =
  | {
      readonly drawn: readonly number[];
      readonly constant?: boolean;
      readonly between?: readonly [number, number];
    }
  | { readonly places: readonly number[]; readonly shape?: readonly number[]; readonly late?: true };

interface Case {
  readonly op: string;
  readonly domain?: string;
  readonly inputs: readonly (Input | undefined)[];
  readonly attributes?: Readonly<Record<string, Attribute>>;
  readonly outputs?: number;
  readonly set?: number;
  readonly title?: string;
}

const x = (...drawn: readonly number[]): Input => ({ drawn });
const weight = (...drawn: readonly number[]): Input => ({ drawn, constant: true });
const positive = (...drawn: readonly number[]): Input => ({ drawn, between: [0.5, 2] });
const fixed = (...drawn: readonly number[]): Input => ({ drawn, between: [0.5, 2], constant: true });
const list = (...places: readonly number[]): Input => ({ places });
/** Indices that are known only when the graph runs. */
const late = (shape: readonly number[], ...places: readonly number[]): Input => ({
  places,
  shape,
  late: true,
});

const unary = (op: string, input: Input = x(3, 5), attributes: Case['attributes'] = {}): Case => ({
  op,
  inputs: [input],
  attributes,
});
const window = (kernel: number, stride: number, pads: readonly number[], more: Case['attributes'] = {}) => ({
  kernel_shape: ints([kernel, kernel]),
  strides: ints([stride, stride]),
  pads: ints(pads),
  ...more,
});

const cases: readonly Case[] = [
  ...['Add', 'Sub', 'Mul', 'Sum', 'Mean', 'Max', 'Min'].flatMap((op) => [
    { op, inputs: [x(2, 3, 4), x(2, 3, 4)] },
    { op, inputs: [x(2, 3, 4), x(3, 1)], title: 'repeated' },
    { op, inputs: [x(4), weight(2, 3, 4)], title: 'a constant' },
  ]),
  { op: 'Mul', inputs: [x(1, 3, 1), x(5, 1, 2)], title: 'both repeated' },
  { op: 'Div', inputs: [x(2, 3), positive(3)] },
  { op: 'Div', inputs: [weight(2, 3), positive(2, 3)], title: 'by the active one' },
  { op: 'Pow', inputs: [positive(2, 3), fixed(1)] },
  { op: 'Pow', inputs: [positive(2, 3), positive(3)], title: 'both' },
  { op: 'Where', inputs: [{ places: [1, 0, 1, 0, 0, 1], shape: [2, 3] }, x(2, 3), x(3)] },
  { op: 'Clip', inputs: [x(4, 6)], attributes: { min: float(-0.5), max: float(0.6) }, set: 10 },
  { op: 'Clip', inputs: [x(4, 6), { drawn: [], constant: true, between: [-0.5, -0.4] }] },
  unary('Cast', x(2, 3), { to: int(1) }),
  { op: 'CastLike', inputs: [x(2, 3), weight(1)] },
  ...[0, 1].map((corners) => ({
    op: 'GridSample',
    title: `corners ${corners}`,
    inputs: [x(2, 3, 4, 5), x(2, 3, 2, 2)],
    attributes: { mode: text('linear'), align_corners: int(corners) },
  })),
  { op: 'SimplifiedLayerNormalization', inputs: [x(2, 3, 6), x(6)] },
  ...['Neg', 'Abs', 'Exp', 'Sin', 'Cos', 'Tan', 'Relu', 'Erf', 'Gelu', 'Tanh', 'Sigmoid', 'HardSigmoid'].map(
    (op) => unary(op),
  ),
  ...[
    'HardSwish',
    'Swish',
    'Mish',
    'Softplus',
    'Softsign',
    'LeakyRelu',
    'Elu',
    'Selu',
    'Celu',
    'Atan',
    'Sinh',
    'Cosh',
    'Identity',
    'Dropout',
  ].map((op) => unary(op, { drawn: [4, 6], between: [-4, 4] })),
  ...['Asin', 'Acos'].map((op) => unary(op, { drawn: [3, 4], between: [-0.8, 0.8] })),
  ...['Log', 'Sqrt', 'Reciprocal'].map((op) => unary(op, positive(3, 4))),
  unary('Gelu', x(3, 5), { approximate: text('tanh') }),
  { op: 'QuickGelu', domain: 'com.microsoft', inputs: [x(3, 4)] },
  { op: 'FastGelu', domain: 'com.microsoft', inputs: [x(3, 4), x(4)] },
  { op: 'PRelu', inputs: [x(2, 3, 4), weight(3, 1)] },
  ...['Softmax', 'LogSoftmax'].flatMap((op) => [
    unary(op, x(2, 3, 4)),
    unary(op, x(2, 3, 4), { axis: int(1) }),
  ]),
  { op: 'MatMul', inputs: [x(2, 3, 4), x(2, 4, 5)] },
  { op: 'MatMul', inputs: [x(2, 3, 4), x(4, 5)], title: 'a matrix for a stack' },
  { op: 'MatMul', inputs: [x(1, 3, 4), x(6, 4, 2)], title: 'a stack of one' },
  ...[0, 1].flatMap((transA) =>
    [0, 1].map((transB) => ({
      op: 'Gemm',
      title: `${transA}${transB}`,
      inputs: [transA ? x(4, 3) : x(3, 4), transB ? x(5, 4) : x(4, 5), x(5)],
      attributes: { transA: int(transA), transB: int(transB), alpha: float(0.5), beta: float(2) },
    })),
  ),
  { op: 'Einsum', inputs: [x(2, 3, 4), x(2, 5, 4)], attributes: { equation: text('bqd,bkd->bqk') } },
  { op: 'Einsum', inputs: [x(2, 3), x(4)], attributes: { equation: text('ab,c->a') }, title: 'sums' },
  { op: 'Conv', inputs: [x(2, 3, 5, 6), weight(4, 3, 3, 3), x(4)], attributes: window(3, 1, [1, 1, 1, 1]) },
  {
    op: 'Conv',
    title: 'asymmetric',
    inputs: [x(1, 2, 6, 7), weight(4, 2, 3, 3)],
    attributes: window(3, 2, [0, 0, 1, 1]),
  },
  {
    op: 'Conv',
    title: 'groups',
    inputs: [x(1, 4, 5, 5), weight(6, 2, 3, 3)],
    attributes: window(3, 1, [1, 1, 1, 1], { group: int(2) }),
  },
  {
    op: 'Conv',
    title: 'depthwise',
    inputs: [x(1, 4, 5, 5), weight(4, 1, 3, 3)],
    attributes: window(3, 1, [0, 0, 2, 2], { group: int(4) }),
  },
  {
    op: 'Conv',
    title: 'depthwise, wider',
    inputs: [x(1, 2, 5, 5), weight(4, 1, 3, 3)],
    attributes: window(3, 2, [1, 1, 1, 1], { group: int(2) }),
  },
  {
    op: 'Conv',
    title: 'patches and a rest',
    inputs: [x(1, 2, 11, 9), weight(3, 2, 4, 4)],
    attributes: window(4, 4, [0, 0, 0, 0]),
  },
  {
    op: 'Conv',
    title: 'a padded rest',
    inputs: [x(1, 1, 6, 6), weight(2, 1, 3, 3)],
    attributes: window(3, 2, [1, 1, 1, 1]),
  },
  {
    op: 'Conv',
    title: 'dilated',
    inputs: [x(1, 2, 8, 8), weight(3, 2, 3, 3)],
    attributes: window(3, 1, [2, 2, 2, 2], { dilations: ints([2, 2]) }),
  },
  {
    op: 'Conv',
    title: 'points',
    inputs: [x(1, 3, 4, 4), weight(5, 3, 1, 1)],
    attributes: window(1, 1, [0, 0, 0, 0]),
  },
  {
    op: 'Conv',
    title: 'more padding than kernel',
    inputs: [x(1, 2, 4, 4), weight(2, 2, 1, 1)],
    attributes: window(1, 1, [1, 1, 1, 1]),
  },
  {
    op: 'Conv',
    title: 'same',
    inputs: [x(1, 2, 7, 8), weight(2, 2, 3, 3)],
    attributes: { strides: ints([2, 2]), auto_pad: text('SAME_UPPER') },
  },
  {
    op: 'ConvTranspose',
    inputs: [x(1, 3, 4, 5), weight(3, 2, 2, 2), x(2)],
    attributes: window(2, 2, [0, 0, 0, 0]),
  },
  {
    op: 'ConvTranspose',
    title: 'groups',
    inputs: [x(1, 4, 4, 4), weight(4, 1, 3, 3)],
    attributes: window(3, 2, [1, 1, 1, 1], { group: int(2), output_padding: ints([1, 1]) }),
  },
  { op: 'LayerNormalization', inputs: [x(2, 3, 6), x(6), x(6)] },
  {
    op: 'LayerNormalization',
    title: 'two axes',
    inputs: [x(2, 3, 4), x(3, 4), x(3, 4)],
    attributes: { axis: int(1) },
  },
  { op: 'RMSNormalization', inputs: [x(2, 3, 6), x(6)], set: 23 },
  { op: 'BatchNormalization', inputs: [x(2, 3, 2, 2), weight(3), weight(3), weight(3), fixed(3)] },
  { op: 'InstanceNormalization', inputs: [x(2, 3, 2, 3), weight(3), weight(3)] },
  {
    op: 'GroupNormalization',
    inputs: [x(1, 4, 2, 2), weight(4), weight(4)],
    attributes: { num_groups: int(2) },
    set: 21,
  },
  {
    op: 'GroupNormalization',
    title: 'a number for each group',
    inputs: [x(1, 4, 2, 2), weight(2), weight(2)],
    attributes: { num_groups: int(2) },
  },
  unary('LpNormalization', x(2, 3, 4)),
  ...[
    'ReduceMean',
    'ReduceSum',
    'ReduceMax',
    'ReduceMin',
    'ReduceL1',
    'ReduceL2',
    'ReduceSumSquare',
    'ReduceLogSumExp',
  ].flatMap((op) => [
    { op, inputs: [x(2, 3, 4), list(1)] },
    { op, inputs: [x(2, 3, 4), list(-1, 0)], attributes: { keepdims: int(0) }, title: 'two axes' },
  ]),
  {
    op: 'ReduceMean',
    title: 'axes as an attribute',
    inputs: [x(2, 3, 4)],
    attributes: { axes: ints([-1]) },
    set: 13,
  },
  { op: 'ReduceMean', title: 'all', inputs: [x(2, 3)] },
  { op: 'ReduceLogSum', inputs: [positive(2, 3), list(1)] },
  { op: 'GlobalAveragePool', inputs: [x(2, 3, 4, 2)] },
  { op: 'GlobalMaxPool', inputs: [x(2, 3, 4, 2)] },
  { op: 'TopK', inputs: [x(2, 6), list(3)], outputs: 2 },
  { op: 'Reshape', inputs: [x(2, 3, 4), list(0, -1)] },
  { op: 'Squeeze', inputs: [x(2, 1, 4), list(1)] },
  { op: 'Unsqueeze', inputs: [x(2, 4), list(1)] },
  unary('Flatten', x(2, 3, 4)),
  unary('Transpose', x(2, 3, 4), { perm: ints([2, 0, 1]) }),
  { op: 'Slice', inputs: [x(4, 7), list(1, -5), list(3, 1 << 30), list(0, 1)] },
  { op: 'Slice', title: 'steps', inputs: [x(4, 7), list(1, 5), list(4, -100), list(0, 1), list(2, -2)] },
  { op: 'Concat', inputs: [x(2, 3), weight(2, 1), x(2, 4)], attributes: { axis: int(1) } },
  { op: 'Split', inputs: [x(2, 6), list(1, 2, 3)], attributes: { axis: int(1) }, outputs: 3 },
  { op: 'Expand', inputs: [x(3, 1), list(2, 3, 4)] },
  { op: 'Tile', inputs: [x(2, 3), list(2, 3)] },
  { op: 'Trilu', inputs: [x(4, 4)], attributes: { upper: int(0) } },
  { op: 'Pad', inputs: [x(3, 4), list(0, 1, 2, -1)] },
  ...['edge', 'reflect', 'wrap'].map((mode) => ({
    op: 'Pad',
    title: mode,
    inputs: [x(1, 4), list(0, 2, 0, 3)],
    attributes: { mode: text(mode) },
  })),
  ...['DCR', 'CRD'].map((mode) => ({
    op: 'DepthToSpace',
    title: mode,
    inputs: [x(1, 8, 2, 3)],
    attributes: { blocksize: int(2), mode: text(mode) },
  })),
  { op: 'SpaceToDepth', inputs: [x(1, 2, 4, 6)], attributes: { blocksize: int(2) } },
  { op: 'Gather', title: 'an order', inputs: [x(2, 4, 3), list(2, 0, 3, 1)], attributes: { axis: int(1) } },
  {
    op: 'Gather',
    title: 'some',
    inputs: [x(2, 5, 3), { places: [4, -4], shape: [2] }],
    attributes: { axis: int(1) },
  },
  { op: 'Gather', title: 'repeated', inputs: [x(3, 2), { places: [0, 2, 0, 0, 2, 2], shape: [2, 3] }] },
  { op: 'Gather', title: 'often', inputs: [x(3, 2), { places: Array<number>(20).fill(1), shape: [20] }] },
  { op: 'Gather', title: 'one', inputs: [x(3, 4), { places: [1], shape: [] }], attributes: { axis: int(1) } },
  {
    op: 'Gather',
    title: 'places of the run',
    inputs: [x(2, 4), late([3], 3, 1, 1)],
    attributes: { axis: int(1) },
  },
  { op: 'GatherElements', inputs: [x(3, 4), late([2, 4], 0, 1, 2, 0, 1, 1, 2, 0)] },
  { op: 'GatherND', inputs: [x(3, 4), late([2, 2], 0, 1, 2, 3)] },
  { op: 'ScatterND', inputs: [x(4, 3), late([2, 1], 2, 0), x(2, 3)] },
  { op: 'ScatterElements', inputs: [x(3, 4), late([1, 4], 0, 2, 1, 0), x(1, 4)] },
  { op: 'CumSum', inputs: [x(3, 4), { places: [1], shape: [] }] },
  { op: 'AveragePool', inputs: [x(1, 2, 5, 6)], attributes: window(3, 2, [1, 1, 1, 1]) },
  {
    op: 'AveragePool',
    title: 'with padding',
    inputs: [x(1, 2, 4, 4)],
    attributes: window(2, 2, [1, 1, 1, 1], { count_include_pad: int(1) }),
  },
  {
    op: 'AveragePool',
    title: 'hanging over',
    inputs: [x(1, 1, 5, 5)],
    attributes: window(2, 2, [0, 0, 0, 0], { ceil_mode: int(1) }),
  },
  { op: 'MaxPool', inputs: [x(1, 2, 6, 6)], attributes: window(3, 2, [1, 1, 1, 1]) },
  ...['linear', 'cubic', 'nearest'].flatMap((mode) =>
    (mode === 'cubic'
      ? [[3, 4, 7, 5]]
      : [
          [3, 4, 7, 5],
          [6, 5, 3, 4],
        ]
    ).map(([rows = 1, columns = 1, high = 1, wide = 1]) => ({
      op: 'Resize',
      title: `${mode} ${rows} to ${high}`,
      inputs: [x(1, 2, rows, columns), undefined, undefined, list(1, 2, high, wide)],
      attributes: { mode: text(mode), cubic_coeff_a: float(-0.75) },
    })),
  ),
  {
    op: 'Resize',
    title: 'corners',
    inputs: [x(1, 2, 3, 4), undefined, undefined, list(1, 2, 5, 4)],
    attributes: { mode: text('linear'), coordinate_transformation_mode: text('align_corners') },
  },
];

/** Numbers away from the corners of rectifiers and clips, no two of them alike. */
function drawn(
  random: () => number,
  shape: readonly number[],
  [low, high]: readonly [number, number],
): Tensor {
  const number = (): number => {
    const value = low + random() * (high - low);
    return Math.abs(value) < 0.02 && low < 0 ? number() : value;
  };
  return { shape, data: Float64Array.from({ length: product(shape) }, number) };
}

interface Made {
  readonly graph: Graph;
  readonly given: Map<string, Tensor>;
  readonly by: readonly string[];
  readonly of: readonly string[];
}

/** A graph of the one operator. */
function made({ op, domain = '', inputs, attributes = {}, outputs = 1, set = 20 }: Case): Made {
  const empty: Graph = {
    ...new GraphBuilder('one', { find: () => undefined }).build(),
    opsets: { '': set, 'com.microsoft': 1 },
  };
  const b = GraphBuilder.continuing(empty, 'one');
  const random = seeded(op.length * 7 + inputs.length);
  const given = new Map<string, Tensor>();
  const by: string[] = [];
  const values = inputs.map((input, index): ValueInfo | undefined => {
    const name = `x${index}`;
    if (!input) return undefined;
    if ('places' in input) {
      const { places, shape = [places.length] } = input;
      const isCondition = op === 'Where';
      if (!input.late && !isCondition)
        return b.constant(name, 'I64', shape, BigInt64Array.from(places.map(BigInt)));
      given.set(name, { shape, data: Float64Array.from(places) });
      return b.input(name, shape, isCondition ? 'BOOL' : 'I64');
    }
    const value = drawn(random, input.drawn, input.between ?? [-1.5, 1.5]);
    if (input.constant) return b.constant(name, 'F32', input.drawn, Float32Array.from(value.data));
    by.push(name);
    given.set(name, value);
    return b.input(name, input.drawn);
  });
  const results = b.addMany(op, values, outputs, attributes, { domain });
  const of = results.filter(({ dtype }) => dtype === 'F32').map(({ name }) => name);
  for (const name of of)
    b.output(
      name,
      at(
        results,
        results.findIndex((each) => each.name === name),
      ),
      'state',
    );
  return { graph: b.build(), given, by, of };
}

/** Central differences of the weighted sum by every element of a value. */
function differences(
  graph: Graph,
  given: Map<string, Tensor>,
  name: string,
  weigh: (values: ReadonlyMap<string, Tensor>) => number,
): Float64Array {
  const { shape, data } = given.get(name) ?? assert.fail(name);
  return data.map((value, place) => {
    const step = 1e-6 * (1 + Math.abs(value));
    const moved = [step, -step].map((by) => {
      const own = data.slice();
      own[place] = value + by;
      return weigh(interpret(graph, new Map(given).set(name, { shape, data: own })));
    });
    return (at(moved, 0) - at(moved, 1)) / (2 * step);
  });
}

describe('derivatives of operators, against central differences in double precision', () => {
  for (const each of cases)
    it([each.op, each.title].filter(Boolean).join(', '), () => {
      const { graph, given, by, of } = made(each);
      const derived = withGradients(graph, { of, by });
      check(derived);
      const random = seeded(11);
      const seeds = of.map((name) => drawn(random, graph.values.get(name)?.shape ?? [], [0.2, 1]));
      const weigh = (values: ReadonlyMap<string, Tensor>): number =>
        sum(
          of.map((name, index) =>
            sum(
              [...(values.get(name)?.data ?? [])].map(
                (value, place) => value * at(at(seeds, index).data, place),
              ),
            ),
          ),
        );
      const weighted = new Map(given);
      seeds.forEach((seed, index) => weighted.set(gradientNames.seed(index), seed));
      const found = interpret(derived, weighted);
      by.forEach((name, index) => {
        const output =
          derived.outputs.find((own) => own.name === gradientNames.gradient(index)) ?? assert.fail(name);
        const own = found.get(output.value) ?? assert.fail(output.value);
        assert.deepEqual(own.shape, given.get(name)?.shape);
        const wanted = differences(graph, given, name, weigh);
        const most = Math.max(1, ...wanted.map(Math.abs));
        // Central differences with steps of 1e-6 are right to about 1e-9 of values near 1.
        wanted.forEach((value, place) =>
          assert.ok(
            Math.abs(value - at(own.data, place)) <= 1e-6 * most,
            `${name}[${place}]: ${at(own.data, place)} for ${value}`,
          ),
        );
      });
    });
});

/** Why an operator has no derivative. */
const without: Readonly<Record<string, readonly string[]>> = {
  'quantised graphs: a straight-through gradient would be a choice, not the derivative': [
    'MatMulInteger',
    'QLinearMatMul',
    'ConvInteger',
    'QLinearConv',
    'QuantizeLinear',
    'DequantizeLinear',
    'DynamicQuantizeLinear',
    'com.microsoft.DynamicQuantizeMatMul',
    'com.microsoft.MatMulIntegerToFloat',
    'com.microsoft.MatMulNBits',
    'com.microsoft.QuantizeLinear',
    'com.microsoft.DequantizeLinear',
    'com.microsoft.QLinearConv',
    'com.microsoft.QGemm',
    'com.microsoft.QLinearAdd',
    'com.microsoft.QLinearMul',
    'com.microsoft.QLinearConcat',
    'com.microsoft.QLinearWhere',
    'com.microsoft.QLinearSoftmax',
    'com.microsoft.QLinearSigmoid',
    'com.microsoft.QLinearLeakyRelu',
    'com.microsoft.QLinearReduceMean',
    'com.microsoft.QLinearAveragePool',
    'com.microsoft.QLinearGlobalAveragePool',
  ],
  'fused for one provider, by an optimiser that runs after export': [
    'com.microsoft.FusedConv',
    'com.microsoft.FusedGemm',
    'com.microsoft.NhwcConv',
    'com.microsoft.NhwcFusedConv',
    'com.microsoft.NhwcMaxPool',
    'com.microsoft.nchwc.ReorderInput',
    'com.microsoft.nchwc.ReorderOutput',
    'com.microsoft.nchwc.Conv',
    'com.microsoft.nchwc.MaxPool',
    'com.microsoft.nchwc.AveragePool',
    'com.microsoft.nchwc.GlobalMaxPool',
    'com.microsoft.nchwc.GlobalAveragePool',
    'com.microsoft.nchwc.Upsample',
  ],
  'reads integers alone': ['BitwiseNot', 'Constant', 'ConstantOfShape', 'Range'],
  'seen in no vision transformer': [
    'Mod',
    'ThresholdedRelu',
    'Hardmax',
    'MeanVarianceNormalization',
    'LRN',
    'ReduceProd',
    'ReverseSequence',
    'LpPool',
    'Upsample',
    'RoiAlign',
  ],
};

describe('the table of derivatives', () => {
  it('says of every operator that has none', () => {
    const missing = operatorRows
      .filter(({ op, domain }) => !gradientOf({ op, domain }))
      .map(({ domain, op }) => (domain ? `${domain}.${op}` : op));
    assert.deepEqual(missing.toSorted(), Object.values(without).flat().toSorted());
  });

  it('holds every rule to a case', () => {
    const held = new Set(cases.map(({ op }) => op));
    const rules = operatorRows.filter((row) => ![undefined, noGradient].includes(gradientOf(row)));
    assert.deepEqual(
      rules.filter(({ op }) => !held.has(op)).map(({ op }) => op),
      [],
    );
  });

  it('names an operator on the way that has no derivative', () => {
    const { graph, by, of } = made({ op: 'Hardmax', inputs: [x(2, 3)] });
    assert.throws(
      () => withGradients(graph, { of, by }),
      (error) => error instanceof GradientError && /Hardmax/.test(error.message),
    );
  });
});
