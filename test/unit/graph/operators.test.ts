import assert from 'node:assert/strict';
import {
  int,
  ints,
  text,
  type Attribute,
  type ConstantTensor,
  type Node,
  type ValueInfo,
} from '../../../src/graph/graph';
import {
  Call,
  costOf,
  foldNode,
  inferOutputs,
  OperatorError,
  operatorOf,
  operatorRows,
  type Operator,
  type OperatorKind,
} from '../../../src/graph/operators';
import { graphLimits } from '../../../src/graph/limits';
import { decode, encode } from '../../../src/graph/operators/constants';

type Attributes = Readonly<Record<string, Attribute>>;
type Given = ConstantTensor | readonly number[] | undefined;

/** An input that is only a shape, or a constant. */
const isConstant = (input: Given): input is ConstantTensor => input !== undefined && 'bytes' in input;

const i64 = (values: readonly number[], shape: readonly number[] = [values.length]): ConstantTensor =>
  encode('I64', shape, values);
const f32 = (values: readonly number[], shape: readonly number[] = [values.length]): ConstantTensor =>
  encode('F32', shape, values);

function call(op: string, given: readonly Given[], attributes: Attributes = {}, outputs = 1) {
  const node: Node = {
    name: `test/${op}`,
    scope: 'test',
    op,
    domain: '',
    inputs: given.map((input, index) => (input ? `in${index}` : '')),
    outputs: Array.from({ length: outputs }, (_, index) => `out${index}`),
    attributes,
  };
  const inputs = given.map((input, index): ValueInfo | undefined =>
    isConstant(input)
      ? { name: `in${index}`, dtype: input.dtype, shape: input.shape }
      : input && { name: `in${index}`, dtype: 'F32', shape: input },
  );
  const constantOf = ({ name }: ValueInfo): ConstantTensor | undefined => {
    const input = given[Number(name.slice(2))];
    return isConstant(input) ? input : undefined;
  };
  return { node, inputs, constantOf };
}

function shapesOf(
  op: string,
  given: readonly Given[],
  attributes: Attributes = {},
  outputs = 1,
): readonly string[] {
  const { node, inputs, constantOf } = call(op, given, attributes, outputs);
  return inferOutputs(node, inputs, constantOf).map(({ shape }) => shape.join('x'));
}

/** Values of the first output, and its type. */
function folded(
  op: string,
  given: readonly Given[],
  attributes: Attributes = {},
): readonly number[] | undefined {
  const { node, inputs, constantOf } = call(op, given, attributes);
  const [output] = foldNode(node, inputs, constantOf, graphLimits.foldedNumbers) ?? [];
  return output && Array.from(decode(output)!);
}

function macsOf(op: string, given: readonly Given[], attributes: Attributes = {}): number {
  const { node, inputs, constantOf } = call(op, given, attributes);
  return costOf(node, inputs, inferOutputs(node, inputs, constantOf), constantOf).macs;
}

const [batch, heads, tokens, width] = [2, 3, 5, 8];

describe('operator shapes', () => {
  const cases: readonly (readonly [string, readonly Given[], Attributes, string])[] = [
    [
      'MatMul',
      [
        [batch, heads, tokens, width],
        [width, 7],
      ],
      {},
      '2x3x5x7',
    ],
    ['MatMul', [[width], [batch, width, 7]], {}, '2x7'],
    ['Gemm', [[tokens, width], [7, width], [7]], { transB: int(1) }, '5x7'],
    [
      'Gemm',
      [
        [width, tokens],
        [width, 7],
      ],
      { transA: int(1) },
      '5x7',
    ],
    [
      'Einsum',
      [
        [batch, tokens, width],
        [heads, width, 7],
      ],
      { equation: text('btd,hde->bhte') },
      '2x3x5x7',
    ],
    [
      'Einsum',
      [
        [batch, heads, tokens, width],
        [tokens, 4, width],
      ],
      { equation: text('...hc,hkc->...hk') },
      '2x3x5x4',
    ],
    [
      'Conv',
      [
        [1, 3, 224, 224],
        [768, 3, 16, 16],
      ],
      { strides: ints([16, 16]) },
      '1x768x14x14',
    ],
    [
      'Conv',
      [
        [1, 8, 7, 9],
        [8, 1, 3, 3],
      ],
      { group: int(8), pads: ints([1, 1, 1, 1]) },
      '1x8x7x9',
    ],
    [
      'Conv',
      [
        [1, 8, 7, 9],
        [4, 8, 3, 3],
      ],
      { auto_pad: text('SAME_UPPER'), strides: ints([2, 2]) },
      '1x4x4x5',
    ],
    [
      'ConvTranspose',
      [
        [1, 8, 7, 9],
        [8, 4, 2, 2],
      ],
      { strides: ints([2, 2]) },
      '1x4x14x18',
    ],
    [
      'Add',
      [
        [batch, 1, width],
        [tokens, 1],
      ],
      {},
      '2x5x8',
    ],
    ['Where', [[tokens, 1], [1, width], []], {}, '5x8'],
    ['Clip', [[tokens], undefined, f32([6], [])], {}, '5'],
    ['LayerNormalization', [[batch, tokens, width], [width], [width]], { axis: int(-1) }, '2x5x8'],
    [
      'LayerNormalization',
      [
        [batch, tokens, width],
        [tokens, width],
      ],
      { axis: int(1) },
      '2x5x8',
    ],
    ['GroupNormalization', [[1, 8, 4, 4], [2], [2]], { num_groups: int(2) }, '1x8x4x4'],
    ['ReduceMean', [[batch, tokens, width], i64([1])], { keepdims: int(0) }, '2x8'],
    ['ReduceMean', [[batch, tokens, width]], { axes: ints([-1]) }, '2x5x1'],
    ['ReduceL2', [[batch, tokens, width]], { keepdims: int(0) }, ''],
    ['ArgMax', [[batch, tokens, width]], { axis: int(1), keepdims: int(0) }, '2x8'],
    ['TopK', [[batch, 100], i64([5])], {}, '2x5'],
    ['Reshape', [[batch, tokens, width], i64([0, -1, 4, 2])], {}, '2x5x4x2'],
    ['Transpose', [[batch, tokens, width]], { perm: ints([2, 0, 1]) }, '8x2x5'],
    ['Squeeze', [[1, tokens, 1], i64([-1])], {}, '1x5'],
    ['Squeeze', [[1, tokens, 1]], {}, '5'],
    ['Unsqueeze', [[tokens, width], i64([0, -1])], {}, '1x5x8x1'],
    ['Flatten', [[batch, tokens, width]], { axis: int(2) }, '10x8'],
    ['Slice', [[tokens, width], i64([1, -3]), i64([2 ** 62, -1])], {}, '4x2'],
    ['Slice', [[tokens], i64([-1]), i64([-9]), i64([0]), i64([-2])], {}, '3'],
    ['Slice', [[tokens, width]], { starts: ints([1]), ends: ints([9]), axes: ints([1]) }, '5x7'],
    [
      'Concat',
      [
        [1, 1, width],
        [1, tokens, width],
      ],
      { axis: int(1) },
      '1x6x8',
    ],
    ['Gather', [[tokens, width], i64([0, 1, 2, 3], [2, 2])], { axis: int(1) }, '5x2x2'],
    ['Gather', [[batch, tokens, width], i64([0], [])], { axis: int(1) }, '2x8'],
    ['GatherND', [[tokens, width], i64([0, 1], [1, 2])], {}, '1'],
    ['GatherElements', [[tokens, width], i64([1, 0], [1, 2])], {}, '1x2'],
    ['Expand', [[tokens, 1], i64([batch, 1, width])], {}, '2x5x8'],
    ['Tile', [[1, width], i64([tokens, 2])], {}, '5x16'],
    ['Pad', [[batch, 4], i64([0, 1, 0, 2])], {}, '2x7'],
    ['Resize', [[1, 8, 7, 9], undefined, undefined, i64([1, 8, 14, 14])], {}, '1x8x14x14'],
    ['Resize', [[1, 8, 7, 9], undefined, f32([1, 1, 2, 2])], {}, '1x8x14x18'],
    [
      'MaxPool',
      [[1, 8, 7, 7]],
      { kernel_shape: ints([3, 3]), strides: ints([2, 2]), pads: ints([1, 1, 1, 1]) },
      '1x8x4x4',
    ],
    [
      'AveragePool',
      [[1, 8, 6, 6]],
      { kernel_shape: ints([3, 3]), strides: ints([2, 2]), ceil_mode: int(1) },
      '1x8x3x3',
    ],
    ['GlobalAveragePool', [[1, 8, 7, 9]], {}, '1x8x1x1'],
    ['DepthToSpace', [[1, 16, 3, 5]], { blocksize: int(2) }, '1x4x6x10'],
    ['SpaceToDepth', [[1, 4, 6, 10]], { blocksize: int(2) }, '1x16x3x5'],
    ['OneHot', [[tokens], i64([7], []), f32([0, 1])], {}, '5x7'],
    ['Shape', [[batch, tokens, width]], { start: int(1) }, '2'],
    ['Range', [i64([0], []), i64([10], []), i64([3], [])], {}, '4'],
  ];
  for (const [op, given, attributes, expected] of cases)
    it(`${op} ${given.map((input) => (isConstant(input) ? `constant [${input.shape.join()}]` : `[${input?.join() ?? ''}]`)).join(' ')} → ${expected}`, () =>
      assert.equal(shapesOf(op, given, attributes)[0], expected));

  it('Split makes equal parts, or those asked for', () => {
    assert.deepEqual(shapesOf('Split', [[tokens, 9]], { axis: int(1) }, 3), ['5x3', '5x3', '5x3']);
    assert.deepEqual(shapesOf('Split', [[7]], {}, 3), ['3', '3', '1']);
    assert.deepEqual(shapesOf('Split', [[7], i64([5, 2])], {}, 2), ['5', '2']);
  });

  it('errors name the node, its operator and the shapes', () => {
    const wrong: readonly (readonly [string, readonly Given[], Attributes, RegExp])[] = [
      [
        'MatMul',
        [
          [5, 8],
          [7, 3],
        ],
        {},
        /test\/MatMul \(MatMul\): inner sizes differ; inputs F32 \[5, 8\], F32 \[7, 3\]/,
      ],
      [
        'Add',
        [
          [5, 8],
          [5, 7],
        ],
        {},
        /do not broadcast/,
      ],
      [
        'Conv',
        [
          [1, 3, 8, 8],
          [4, 6, 3, 3],
        ],
        {},
        /3 channels do not fit/,
      ],
      [
        'Conv',
        [
          [1, 3, 2, 2],
          [4, 3, 3, 3],
        ],
        {},
        /a window of 3 × 3 does not fit into 2 × 2/,
      ],
      ['Reshape', [[5, 8], i64([3, -1])], {}, /cannot be reshaped to \[3, -1\]/],
      ['Reshape', [[5, 8], [2]], {}, /input 1 decides the shape and is not constant/],
      [
        'Concat',
        [
          [5, 8],
          [4, 7],
        ],
        { axis: int(0) },
        /shapes differ outside axis 0/,
      ],
      ['Transpose', [[5, 8]], { perm: ints([0, 0]) }, /perm \[0, 0\] does not order 2 axes/],
      ['LayerNormalization', [[5, 8], [7]], {}, /does not fit the normalised axes/],
      ['BatchNormalization', [[1, 8, 4, 4], [8], [8], [8], [7]], {}, /one number per channel/],
      ['Softmax', [undefined], {}, /input 0 is missing/],
      ['ReduceMean', [[5]], { axes: int(0) }, /attribute axes is int, ints needed/],
      ['If', [[1]], {}, /operator If is not known/],
    ];
    for (const [op, given, attributes, message] of wrong)
      assert.throws(
        () => shapesOf(op, given, attributes),
        (error: unknown) => error instanceof OperatorError && message.test(error.message),
        op,
      );
  });

  it('an operator of a foreign domain is not taken for the standard one', () => {
    assert.equal(operatorOf({ op: 'Gelu', domain: 'com.example' }), undefined);
    assert.equal(operatorOf({ op: 'toString', domain: '' }), undefined);
    assert.equal(operatorOf({ op: 'Gelu', domain: 'ai.onnx' })?.kind, 'activation');
  });
});

describe('operator costs', () => {
  it('are exact multiply-accumulates', () => {
    assert.equal(
      macsOf(
        'Gemm',
        [
          [tokens, width],
          [7, width],
        ],
        { transB: int(1) },
      ),
      tokens * width * 7,
    );
    assert.equal(
      macsOf('MatMul', [
        [batch, heads, tokens, width],
        [batch, heads, width, tokens],
      ]),
      batch * heads * tokens * width * tokens,
    );
    assert.equal(
      macsOf(
        'Einsum',
        [
          [tokens, width],
          [7, width],
        ],
        { equation: text('td,od->to') },
      ),
      tokens * width * 7,
    );
    assert.equal(
      macsOf(
        'Conv',
        [
          [1, 3, 224, 224],
          [768, 3, 16, 16],
        ],
        { strides: ints([16, 16]) },
      ),
      14 ** 2 * 768 * 3 * 16 ** 2,
    );
    assert.equal(
      macsOf(
        'Conv',
        [
          [1, 8, 7, 9],
          [8, 1, 3, 3],
        ],
        { group: int(8), pads: ints([1, 1, 1, 1]) },
      ),
      7 * 9 * 8 * 9,
    );
    assert.equal(
      macsOf(
        'ConvTranspose',
        [
          [1, 8, 7, 9],
          [8, 4, 2, 2],
        ],
        { strides: ints([2, 2]) },
      ),
      7 * 9 * 8 * 4 * 4,
    );
    assert.equal(macsOf('Softmax', [[tokens, width]]), 0);
  });

  it('count the elements that element-wise work touches', () => {
    const elements = (op: string, given: readonly Given[], attributes: Attributes = {}): number => {
      const { node, inputs, constantOf } = call(op, given, attributes);
      return costOf(node, inputs, inferOutputs(node, inputs, constantOf), constantOf).elements;
    };
    assert.equal(elements('Gelu', [[tokens, width]]), tokens * width);
    assert.equal(elements('ReduceMean', [[tokens, width]], { axes: ints([0]) }), tokens * width);
    assert.equal(elements('Transpose', [[tokens, width]]), 0);
    assert.equal(
      elements('MatMul', [
        [tokens, width],
        [width, tokens],
      ]),
      0,
    );
  });
});

describe('constant folding', () => {
  const cases: readonly (readonly [string, readonly Given[], Attributes, readonly number[]])[] = [
    ['Shape', [[batch, tokens, width]], {}, [batch, tokens, width]],
    ['Shape', [[batch, tokens, width]], { start: int(-2), end: int(3) }, [tokens, width]],
    ['Size', [[batch, tokens]], {}, [batch * tokens]],
    ['Gather', [i64([10, 20, 30]), i64([-1], [])], {}, [30]],
    ['Gather', [i64([1, 2, 3, 4, 5, 6], [2, 3]), i64([2, 0])], { axis: int(1) }, [3, 1, 6, 4]],
    ['GatherElements', [i64([1, 2, 3, 4], [2, 2]), i64([1, 0], [1, 2])], {}, [3, 2]],
    ['Concat', [i64([1, 2], [1, 2]), i64([3, 4], [1, 2])], { axis: int(0) }, [1, 2, 3, 4]],
    ['Concat', [i64([1, 2], [2, 1]), i64([3, 4], [2, 1])], { axis: int(1) }, [1, 3, 2, 4]],
    ['Slice', [i64([1, 2, 3, 4, 5]), i64([-1]), i64([-6]), i64([0]), i64([-2])], {}, [5, 3, 1]],
    ['Slice', [i64([1, 2, 3, 4, 5, 6], [2, 3]), i64([1]), i64([2 ** 62]), i64([1])], {}, [2, 3, 5, 6]],
    ['Unsqueeze', [i64([7], []), i64([0])], {}, [7]],
    ['Transpose', [i64([1, 2, 3, 4, 5, 6], [2, 3])], { perm: ints([1, 0]) }, [1, 4, 2, 5, 3, 6]],
    ['Expand', [i64([1, 2], [2, 1]), i64([2, 3])], {}, [1, 1, 1, 2, 2, 2]],
    ['Tile', [i64([1, 2]), i64([2])], {}, [1, 2, 1, 2]],
    ['Pad', [i64([1, 2]), i64([1, 2]), i64([9], [])], {}, [9, 1, 2, 9, 9]],
    ['Trilu', [i64([1, 2, 3, 4, 5, 6, 7, 8, 9], [3, 3])], { upper: int(0) }, [1, 0, 0, 4, 5, 0, 7, 8, 9]],
    ['Range', [i64([2], []), i64([9], []), i64([3], [])], {}, [2, 5, 8]],
    ['ConstantOfShape', [i64([3])], { value: { type: 'tensor', value: i64([4]) } }, [4, 4, 4]],
    ['Constant', [], { value_ints: ints([3, 4]) }, [3, 4]],
    ['Add', [i64([1, 2], [2, 1]), i64([10, 20])], {}, [11, 21, 12, 22]],
    ['Div', [i64([7, -7]), i64([2])], {}, [3, -3]],
    ['Div', [f32([7]), f32([2])], {}, [3.5]],
    ['Mod', [i64([7, -7]), i64([3])], {}, [1, 2]],
    ['Mod', [i64([-7]), i64([3])], { fmod: int(1) }, [-1]],
    ['Equal', [i64([1, -1]), i64([-1])], {}, [0, 1]],
    ['Where', [encode('BOOL', [2], [1, 0]), i64([5, 6]), i64([7, 8])], {}, [5, 8]],
    ['Not', [encode('BOOL', [2], [1, 0])], {}, [0, 1]],
    ['Cast', [f32([1.9, -1.9])], { to: int(7) }, [1, -1]],
    ['Cast', [f32([0.5, 0])], { to: int(9) }, [1, 0]],
    ['Floor', [f32([1.5, -1.5])], {}, [1, -2]],
    ['Round', [f32([0.5, 1.5, -0.5, 2.4])], {}, [0, 2, 0, 2]],
    ['ReduceProd', [i64([2, 3, 4])], { keepdims: int(0) }, [24]],
    ['ReduceMax', [i64([1, 5, 2, 4], [2, 2]), i64([0])], {}, [2, 5]],
    ['CumSum', [i64([1, 2, 3, 4], [2, 2]), i64([0], [])], {}, [1, 2, 4, 6]],
    ['NonZero', [i64([0, 1, 0, 1], [2, 2])], {}, [0, 1, 1, 1]],
    ['ScatterND', [i64([1, 2, 3]), i64([1], [1, 1]), i64([9])], {}, [1, 9, 3]],
    ['Clip', [i64([-5, 5]), i64([0], []), i64([3], [])], {}, [0, 3]],
  ];
  for (const [op, given, attributes, expected] of cases)
    it(`${op} → ${expected.join(', ')}`, () => assert.deepEqual(folded(op, given, attributes), expected));

  it('leaves alone what depends on the image', () => {
    assert.equal(folded('Add', [[3], i64([1])]), undefined);
    assert.equal(folded('LayerNormalization', [f32([1, 2]), f32([1, 1])]), undefined);
  });

  it('keeps "to the end" sentinels at the limits of 64 bits', () => {
    const { node, inputs, constantOf } = call('Identity', [i64([2 ** 63, -(2 ** 63)])]);
    const [output] = foldNode(node, inputs, constantOf, graphLimits.foldedNumbers)!;
    assert.deepEqual(new BigInt64Array(output!.bytes.buffer), BigInt64Array.of(2n ** 63n - 1n, -(2n ** 63n)));
  });

  it('rounds to single precision as the runtime does', () => {
    assert.deepEqual(folded('Mul', [f32([0.1]), f32([0.2])]), [
      Math.fround(Math.fround(0.1) * Math.fround(0.2)),
    ]);
  });
});

describe('rows of the operator table', () => {
  /** What a row of each kind must have; anything it lacks, in words. */
  const lacks: { readonly [K in OperatorKind]: (row: Operator, op: string) => string | false } = {
    conv: ({ macs, factors }) => !(macs && factors) && 'MACs and the inputs it multiplies',
    product: ({ macs, factors }, op) => !(macs && (factors || op === 'Einsum')) && 'MACs and factors',
    normalisation: ({ macs, carries }) => Boolean(macs ?? carries) && 'nothing that is counted or carried',
    softmax: ({ macs, carries }) => Boolean(macs ?? carries) && 'nothing that is counted or carried',
    activation: ({ macs, carries }) => Boolean(macs ?? carries) && 'nothing that is counted or carried',
    elementwise: ({ macs, carries }) =>
      Boolean(macs) && carries !== 'view' && 'no MACs and memory of its own',
    layout: ({ macs, elements, charge }) => Boolean(macs ?? elements ?? charge) && 'no work',
    other: ({ macs, carries }) => Boolean(macs ?? carries) && 'nothing that is counted or carried',
  };

  it('has one for every operator of the field, ours and onnxruntime’s', () =>
    assert.ok(operatorRows.length > 130, String(operatorRows.length)));

  for (const { domain, op, row } of operatorRows)
    it(`${domain ? `${domain}.` : ''}${op} has what its kind needs`, () => {
      assert.equal(lacks[row.kind](row, op), false);
      assert.equal(operatorOf({ op, domain }), row);
      // What is a view or only moved can be computed beforehand, which shape arithmetic relies on.
      if (row.carries === 'view' || row.carries === 'moves') assert.ok(row.fold, 'fold');
      if (row.foldsShape) assert.ok(row.fold, 'fold');
      if (row.joins) assert.ok(row.carries, 'carries');
      if (row.formula) assert.ok(row.title, 'title');
      const factors = row.factors ?? [];
      const given = [...factors, ...(row.bias === undefined ? [] : [row.bias])];
      assert.ok(!row.scales?.some((input) => given.includes(input)), 'scales are no factors');
    });

  it('a view keeps its input’s elements in number and order', () => {
    const views = operatorRows.filter(({ row }) => row.carries === 'view');
    assert.deepEqual(views.map(({ op }) => op).sort(), [
      'Dropout',
      'Flatten',
      'Identity',
      'Reshape',
      'Squeeze',
      'Unsqueeze',
    ]);
    const second: Readonly<Record<string, readonly number[]>> = {
      Reshape: [3, 2],
      Squeeze: [0],
      Unsqueeze: [0],
    };
    for (const { op, row } of views) {
      const axes = second[op];
      const { node, inputs, constantOf } = call(op, [f32([1, 2, 3, 4, 5, 6], [1, 2, 3]), axes && i64(axes)]);
      const rule = new Call(node, inputs, constantOf);
      const outputs = row.infer(rule);
      const [output] = outputs;
      assert.ok(output && row.fold, op);
      assert.deepEqual(Array.from(row.fold(rule, output, outputs)[0] ?? []), [1, 2, 3, 4, 5, 6], op);
    }
  });
});
