import { elementCount, type DType } from '../../checkpoint/tensors';
import { at, largest, product, smallest, sum } from '../../domain/lists';
import type { Call, Operator, OperatorTable, OutputInfo } from './call';
import { selectAlike } from './selection';
import { collect, flatIndex, strides, withAxis } from './shapes';

const inputElements = (call: Call): number => elementCount(call.shape(0));

/**
 * Axes that are reduced: attribute or input; all if none are given, unless
 * `noop_with_empty_axes`.
 */
export function reducedAxes(call: Call): ReadonlySet<number> {
  const rank = call.rank(0);
  const axes = call.list('axes', 1);
  if (axes?.length) return new Set(axes.map((axis) => call.axis(axis, rank)));
  return new Set(call.int('noop_with_empty_axes', 0) ? [] : Array.from({ length: rank }, (_, axis) => axis));
}

/** Elements of every reduced group, in the order of the outputs. */
function groups(call: Call, axes: ReadonlySet<number>): readonly number[][] {
  const shape = call.shape(0);
  const kept = strides(shape.map((size, axis) => (axes.has(axis) ? 1 : size)));
  const steps = kept.map((step, axis) => (axes.has(axis) ? 0 : step));
  const values = call.constant(0);
  const result = Array.from(
    { length: elementCount(shape.filter((_, axis) => !axes.has(axis))) },
    (): number[] => [],
  );
  let flat = 0;
  collect(shape, (index) => at(result, flatIndex(index, steps)).push(at(values, flat++)));
  return result;
}

const reduce = (compute?: (values: readonly number[]) => number): Operator => ({
  kind: 'elementwise',
  // The reduced axes stay with size 1, and nothing is chosen of them.
  select: (call, output, asked) =>
    call.int('keepdims', 1) === 0 ? undefined : selectAlike(() => [])(call, output, asked),
  infer: (call) => {
    const axes = reducedAxes(call);
    const keep = call.int('keepdims', 1) !== 0;
    const shape = call.shape(0).flatMap((size, axis) => (axes.has(axis) ? (keep ? [1] : []) : [size]));
    return [call.output(shape)];
  },
  fold: compute && ((call) => [groups(call, reducedAxes(call)).map(compute)]),
  elements: inputElements,
});

const argument: Operator = {
  kind: 'elementwise',
  infer: (call) => {
    const axis = call.axis(call.int('axis', 0), call.rank(0));
    const keep = call.int('keepdims', 1) !== 0;
    const shape = call.shape(0).flatMap((size, place) => (place !== axis ? [size] : keep ? [1] : []));
    return [{ dtype: 'I64', shape }];
  },
  elements: inputElements,
};

const topK: Operator = {
  kind: 'other',
  infer: (call): readonly OutputInfo[] => {
    const axis = call.axis(call.int('axis', -1), call.rank(0));
    const count = call.has(1) ? at(call.values(1), 0) : call.int('k', 1);
    const shape = withAxis(call.shape(0), axis, count);
    return [call.output(shape), { dtype: 'I64' satisfies DType, shape }];
  },
  elements: inputElements,
};

const cumSum: Operator = {
  kind: 'elementwise',
  infer: (call) => [call.output(call.shape(0))],
  fold: (call) => {
    if (call.int('exclusive', 0) || call.int('reverse', 0)) call.fail('only plain running sums are folded');
    const shape = call.shape(0);
    const axis = call.axis(at(call.values(1), 0), shape.length);
    const [size, step] = [at(shape, axis), at(strides(shape), axis)];
    const result = Float64Array.from(call.constant(0));
    for (let flat = 0; flat < result.length; flat++)
      if (Math.floor(flat / step) % size > 0) result[flat] = at(result, flat) + at(result, flat - step);
    return [result];
  },
};

/** Reductions and what else looks along an axis. */
export const reduction = {
  ReduceMean: { ...reduce((values) => sum(values) / values.length), pools: 'mean' },
  ReduceSum: reduce(sum),
  ReduceMax: reduce(largest),
  ReduceMin: reduce(smallest),
  ReduceProd: reduce(product),
  ReduceL1: reduce((values) => sum(values.map(Math.abs))),
  ReduceL2: reduce((values) => Math.sqrt(sum(values.map((value) => value * value)))),
  ReduceSumSquare: reduce((values) => sum(values.map((value) => value * value))),
  ReduceLogSum: reduce(),
  ReduceLogSumExp: reduce(),
  ArgMax: argument,
  ArgMin: argument,
  TopK: topK,
  CumSum: cumSum,
} as const satisfies OperatorTable;
