import { elementCount } from '../../checkpoint/tensors';
import { at } from '../../domain/lists';
import { activation } from './activation';
import type { Call, Operator, OperatorTable } from './call';
import { unary } from './elementwise';
import { channelsSecond, conv, gemm, matMul, matrix, windowedShape } from './matrix';
import { normalisation } from './normalisation';
import { quantisation } from './quantisation';
import { reduction } from './reduction';
import { broadcast } from './shapes';

/** Arithmetic of two quantised operands, each followed by its scale and zero point. */
const quantisedPair: Operator = {
  kind: 'elementwise',
  scales: [1, 2, 4, 5, 6, 7],
  infer: (call) => [call.output(broadcast(call, [call.shape(0), call.shape(3)]))],
};

/** A function of one quantised operand, with scales and zero points before and after it. */
const quantisedUnary = (kind: Operator['kind']): Operator => ({ ...unary(kind), scales: [1, 2, 3, 4] });

/** Scale and zero point of the result, then triples of a value, its scale and its zero point. */
const quantisedConcat: Operator = {
  kind: 'layout',
  scales: Array.from({ length: 64 }, (_, place) => 3 * Math.floor(place / 2) + (place % 2)),
  infer: (call) => {
    const operands = call.inputs.flatMap((_, index) => (index >= 2 && index % 3 === 2 ? [index] : []));
    const axis = call.axis(call.int('axis', 1), call.rank(2));
    const total = operands.reduce((sum, index) => sum + call.size(index, axis), 0);
    return [
      call.output(
        call.shape(2).map((size, place) => (place === axis ? total : size)),
        2,
      ),
    ];
  },
};

const quantisedWhere: Operator = {
  kind: 'elementwise',
  scales: [2, 3, 5, 6, 7, 8],
  infer: (call) => [call.output(broadcast(call, [call.shape(0), call.shape(1), call.shape(4)]), 1)],
};

const isChannelsLast = (call: Call): boolean => call.int('channels_last', 0) === 1;

/** Pooling in windows, of maps with channels in front or last. */
const pool = (rest: Partial<Operator> = {}): Operator => ({
  kind: 'elementwise',
  pools: 'windows',
  infer: (call) => {
    const isLast = rest.channelsLast ?? isChannelsLast(call);
    const [batch, channels, ...spatial] = isLast ? channelsSecond(call.map(0)) : call.map(0);
    const kernel = call.ints('kernel_shape') ?? call.fail('no kernel_shape');
    const sides = windowedShape(call, spatial, kernel);
    return [call.output(isLast ? [batch, ...sides, channels] : [batch, channels, ...sides])];
  },
  elements: (call) => elementCount(call.shape(0)),
  ...rest,
});

const quantisedGlobalPool: Operator = {
  kind: 'elementwise',
  pools: 'mean',
  scales: [1, 2, 3, 4],
  infer: (call) => {
    const channels = isChannelsLast(call) ? call.rank(0) - 1 : 1;
    const shape = call.shape(0).map((size, axis) => (axis === 0 || axis === channels ? size : 1));
    return [call.output(shape)];
  },
};

const globalPool: Operator = {
  kind: 'elementwise',
  infer: (call) => [call.output(call.shape(0).map((size, axis) => (axis < 2 ? size : 1)))],
};

/** A matrix product with a weight `[N, K]` of 2 … 8 bits, packed in blocks. */
const packedMatMul: Operator = {
  kind: 'product',
  factors: [0, 1],
  bias: 5,
  scales: [2, 3, 4],
  infer: (call) => [call.output([...call.shape(0).slice(0, -1), call.int('N', 1)])],
  macs: (call, { shape }) => elementCount(shape) * call.int('K', 1),
};

/**
 * Operators of onnxruntime's own domain that are kept as they are (onnxruntime
 * docs/ContribOperators.md); the fused ones are lowered on import.
 */
export const contrib = {
  Gelu: activation.Gelu,
  FastGelu: unary('activation'),
  QuickGelu: unary('activation'),
  SimplifiedLayerNormalization: normalisation.SimplifiedLayerNormalization,
  FusedConv: matrix.Conv,
  FusedGemm: matrix.Gemm,
  NhwcConv: conv(0, 1, { bias: 2, channelsLast: true }),
  NhwcFusedConv: conv(0, 1, { bias: 2, channelsLast: true }),
  NhwcMaxPool: pool({ channelsLast: true }),
  DynamicQuantizeMatMul: { ...matrix.MatMul, scales: [2, 3], bias: 4 },
  MatMulIntegerToFloat: matMul(0, 1, { scales: [2, 3, 4, 5], bias: 6 }, 'F32'),
  MatMulNBits: packedMatMul,
  QuantizeLinear: quantisation.QuantizeLinear,
  DequantizeLinear: quantisation.DequantizeLinear,
  QLinearConv: matrix.QLinearConv,
  QGemm: gemm(0, 3, 6, { scales: [1, 2, 4, 5, 7, 8] }, (call) => (call.has(8) ? call.dtype(8) : 'F32')),
  QLinearAdd: quantisedPair,
  QLinearMul: quantisedPair,
  QLinearConcat: quantisedConcat,
  QLinearWhere: quantisedWhere,
  QLinearSoftmax: quantisedUnary('softmax'),
  QLinearSigmoid: quantisedUnary('activation'),
  QLinearLeakyRelu: quantisedUnary('activation'),
  QLinearReduceMean: { ...reduction.ReduceMean, fold: undefined, scales: [1, 2, 3, 4] },
  QLinearAveragePool: pool({ scales: [1, 2, 3, 4] }),
  QLinearGlobalAveragePool: quantisedGlobalPool,
} as const satisfies OperatorTable;

/** Keeps sizes: blocks of channels, padded at most, are the runtime's own affair. */
const reorderOutput: Operator = {
  kind: 'layout',
  infer: (call) => {
    const [batch, channels, ...sides] = call.map(0);
    const own = call.int('channels', channels);
    return [call.output(isChannelsLast(call) ? [batch, ...sides, own] : [batch, own, ...sides])];
  },
};
const reorderInput: Operator = {
  kind: 'layout',
  infer: (call) => [call.output(isChannelsLast(call) ? channelsSecond(call.map(0)) : call.shape(0))],
};

/** A convolution of blocked maps, whose weights may have more channels than there are: zeros. */
const blockedConv: Operator = {
  ...matrix.Conv,
  infer: (call) => {
    const [batch, , ...spatial] = call.map(0);
    const [out, , ...kernel] = call.map(1);
    return [call.output([batch, out, ...windowedShape(call, spatial, kernel)])];
  },
};

/** Operators on maps in blocks of channels, as onnxruntime's layout optimiser writes them. */
export const blocked = {
  ReorderInput: reorderInput,
  ReorderOutput: reorderOutput,
  Conv: blockedConv,
  MaxPool: pool(),
  AveragePool: pool(),
  GlobalMaxPool: globalPool,
  GlobalAveragePool: { ...globalPool, pools: 'mean' },
  Upsample: {
    kind: 'elementwise',
    infer: (call) => {
      const scales = call.ints('scales') ?? call.fail('no scales');
      return [call.output(call.shape(0).map((size, axis) => size * at(scales, axis)))];
    },
  },
} as const satisfies OperatorTable;
