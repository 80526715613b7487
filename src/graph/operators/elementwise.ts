import { dtypes } from '../../checkpoint/tensors';
import { at, largest, smallest, sum } from '../../domain/lists';
import type { Call, Operator, OperatorTable, OutputInfo } from './call';
import { isInteger } from './constants';
import { selectBroadcast } from './selection';
import { broadcast, broadcastStrides, collectBroadcast } from './shapes';

/** Values of an elementwise function over broadcast inputs. */
function foldBroadcast(
  call: Call,
  { shape }: OutputInfo,
  compute: (values: readonly number[]) => number,
): readonly ArrayLike<number>[] {
  const operands = call.inputs.map((_, index) => ({
    values: call.constant(index),
    steps: broadcastStrides(call.shape(index), shape.length),
  }));
  return [collectBroadcast(shape, operands, compute)];
}

const inferUnary = (call: Call): readonly OutputInfo[] => [call.output(call.shape(0))];
const allShapes = (call: Call): readonly number[] =>
  broadcast(
    call,
    call.inputs.map((_, index) => call.shape(index)),
  );

/** y = f(x), same type and shape. */
export const unary = (kind: Operator['kind'], compute?: (value: number, call: Call) => number): Operator => ({
  kind,
  select: selectBroadcast,
  infer: inferUnary,
  fold: compute && ((call) => [Float64Array.from(call.constant(0), (value) => compute(value, call))]),
});

/** Function of any number of broadcast operands with the type of the first. */
const arithmetic = (compute: (values: readonly number[]) => number): Operator => ({
  kind: 'elementwise',
  select: selectBroadcast,
  infer: (call) => [call.output(allShapes(call))],
  fold: (call, output) => foldBroadcast(call, output, compute),
});

/** Function of two broadcast operands with the type of the first. */
const binary = (compute: (a: number, b: number, call: Call) => number): Operator => ({
  kind: 'elementwise',
  select: selectBroadcast,
  infer: (call) => [call.output(allShapes(call))],
  fold: (call, output) =>
    foldBroadcast(call, output, (values) => compute(at(values, 0), at(values, 1), call)),
});

/** Predicate of one or two broadcast operands. */
const comparison = (compute: (a: number, b: number) => boolean): Operator => ({
  kind: 'elementwise',
  select: selectBroadcast,
  infer: (call) => [{ dtype: 'BOOL', shape: allShapes(call) }],
  fold: (call, output) =>
    foldBroadcast(call, output, (values) => Number(compute(at(values, 0), values[1] ?? 0))),
});

/** Python's remainder, with the divisor's sign; C's with `fmod`. */
const remainder = (a: number, b: number, fmod: boolean): number =>
  fmod || a % b === 0 || Math.sign(a) === Math.sign(b) ? a % b : (a % b) + b;

/** IEEE 754 round half to even, as ONNX Round. */
function roundEven(value: number): number {
  const floor = Math.floor(value);
  if (value - floor !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}

const cast: Operator = {
  kind: 'elementwise',
  select: selectBroadcast,
  carries: 'converts',
  infer: (call) => [{ dtype: call.dtypeAttribute('to', 'F32'), shape: call.shape(0) }],
  fold: (call, output) => {
    const toBool = dtypes[output.dtype].onnx === dtypes.BOOL.onnx;
    return [Float64Array.from(call.constant(0), (value) => (toBool ? Number(value !== 0) : value))];
  },
};

/** Element-wise operators: each output element depends on the elements at its place. */
export const elementwise = {
  Add: binary((a, b) => a + b),
  Sub: binary((a, b) => a - b),
  Mul: binary((a, b) => a * b),
  Div: binary((a, b, call) => (isInteger(call.dtype(0)) ? Math.trunc(a / b) : a / b)),
  Pow: binary((a, b) => a ** b),
  Mod: binary((a, b, call) => remainder(a, b, call.int('fmod', 0) !== 0)),
  Min: arithmetic(smallest),
  Max: arithmetic(largest),
  Sum: arithmetic(sum),
  Mean: arithmetic((values) => sum(values) / values.length),
  Equal: comparison((a, b) => a === b),
  Less: comparison((a, b) => a < b),
  LessOrEqual: comparison((a, b) => a <= b),
  Greater: comparison((a, b) => a > b),
  GreaterOrEqual: comparison((a, b) => a >= b),
  And: comparison((a, b) => a !== 0 && b !== 0),
  Or: comparison((a, b) => a !== 0 || b !== 0),
  Xor: comparison((a, b) => (a !== 0) !== (b !== 0)),
  Not: comparison((a) => a === 0),
  IsNaN: comparison((a) => Number.isNaN(a)),
  IsInf: comparison((a) => Math.abs(a) === Infinity),
  Where: {
    kind: 'elementwise',
    select: selectBroadcast,
    infer: (call) => [call.output(allShapes(call), 1)],
    fold: (call, output) => foldBroadcast(call, output, (values) => at(values, at(values, 0) ? 1 : 2)),
  },
  Clip: {
    kind: 'elementwise',
    select: selectBroadcast,
    infer: inferUnary,
    fold: (call) => {
      const low = call.known(1)?.[0] ?? call.float('min', -Infinity);
      const high = call.known(2)?.[0] ?? call.float('max', Infinity);
      return [Float64Array.from(call.constant(0), (value) => Math.min(high, Math.max(low, value)))];
    },
  },
  Cast: cast,
  CastLike: {
    kind: 'elementwise',
    carries: 'converts',
    infer: (call) => [call.output(call.shape(0), 1)],
    fold: cast.fold,
  },
  Neg: unary('elementwise', (x) => -x),
  Abs: unary('elementwise', Math.abs),
  Sign: unary('elementwise', Math.sign),
  Exp: unary('elementwise', Math.exp),
  Log: unary('elementwise', Math.log),
  Sqrt: unary('elementwise', Math.sqrt),
  Reciprocal: unary('elementwise', (x) => 1 / x),
  Floor: unary('elementwise', Math.floor),
  Ceil: unary('elementwise', Math.ceil),
  Round: unary('elementwise', roundEven),
  Sin: unary('elementwise', Math.sin),
  Cos: unary('elementwise', Math.cos),
  Tan: unary('elementwise', Math.tan),
  Asin: unary('elementwise', Math.asin),
  Acos: unary('elementwise', Math.acos),
  Atan: unary('elementwise', Math.atan),
  Sinh: unary('elementwise', Math.sinh),
  Cosh: unary('elementwise', Math.cosh),
  BitwiseNot: unary('elementwise', (x) => -x - 1),
} as const satisfies OperatorTable;
