import { elementCount } from '../../checkpoint/tensors';
import type { Operator, OperatorTable, SelectionRule } from './call';
import { everything } from './places';

/** One scale for all elements, which may then be looked at by themselves. */
const selectScaled: SelectionRule = (call, _, asked) =>
  elementCount(call.shape(1)) === 1
    ? call.inputs.map((_, index) => (index === 0 ? asked : everything))
    : undefined;

const quantize: Operator = {
  kind: 'elementwise',
  carries: 'converts',
  scales: [1, 2],
  select: selectScaled,
  infer: (call) => [{ dtype: call.has(2) ? call.dtype(2) : 'U8', shape: call.shape(0) }],
};

const dequantize: Operator = {
  kind: 'elementwise',
  carries: 'converts',
  scales: [1, 2],
  select: selectScaled,
  infer: (call) => [{ dtype: call.dtype(1), shape: call.shape(0) }],
};

const dynamicQuantize: Operator = {
  kind: 'elementwise',
  carries: 'converts',
  infer: (call) => [
    { dtype: 'U8', shape: call.shape(0) },
    { dtype: 'F32', shape: [] },
    { dtype: 'U8', shape: [] },
  ],
};

/** Operators of quantised files. */
export const quantisation = {
  QuantizeLinear: quantize,
  DequantizeLinear: dequantize,
  DynamicQuantizeLinear: dynamicQuantize,
} as const satisfies OperatorTable;
