import { at } from '../../../domain/lists';
import { dtypes } from '../../../checkpoint/tensors';
import { int, type ValueInfo } from '../../graph';
import { reducedAxes } from '../reduction';
import { divide, multiply, shaped, stretched, where } from './arithmetic';
import type { GradientCall, GradientRule } from './call';
import { scattered } from './places';

interface Reduced {
  readonly axes: readonly number[];
  /** Elements that one number was made of. */
  readonly count: number;
  /** A value of the output's shape with the reduced axes kept as 1. */
  readonly keep: (x: ValueInfo) => ValueInfo;
}

function reduced(call: GradientCall): Reduced {
  const own = reducedAxes(call);
  const shape = call.shape(0).map((size, axis) => (own.has(axis) ? 1 : size));
  const axes = [...own];
  return {
    axes,
    count: axes.reduce((count, axis) => count * call.size(0, axis), 1),
    keep: (x) => shaped(call.b, x, shape),
  };
}

/** The gradient of what was reduced, repeated to the input's shape and weighted there. */
const spread =
  (weight: (call: GradientCall, g: ValueInfo, y: ValueInfo, own: Reduced) => ValueInfo): GradientRule =>
  (call) => {
    const own = reduced(call);
    return [stretched(call.b, weight(call, own.keep(call.g), own.keep(call.y), own), call.shape(0))];
  };

/** Shared among elements that are equally far out, as torch.amax has it. */
const extreme = spread((call, g, y, { axes }) => {
  const { b } = call;
  const chosen = b.add('Cast', [b.add('Equal', [call.input(0), y])], { to: int(dtypes.F32.onnx) });
  const ties = axes.length > 0 ? b.reduce('ReduceSum', chosen, axes) : chosen;
  return multiply(b, divide(b, g, ties), chosen);
});

/** x/‖x‖, 0 where the norm is 0. */
const length = spread((call, g, y) => {
  const { b } = call;
  const isThere = b.add('Greater', [y, b.scalar(0)]);
  const inverse = divide(b, g, b.add('Where', [isThere, y, b.scalar(1)]));
  return multiply(b, where(b, isThere, inverse), call.input(0));
});

const global: GradientRule = (call) => {
  const pixels = call
    .shape(0)
    .slice(2)
    .reduce((count, size) => count * size, 1);
  return [stretched(call.b, multiply(call.b, call.g, 1 / pixels), call.shape(0))];
};

/** The one that is largest; shared among equals. */
const globalMax: GradientRule = (call) => {
  const { b } = call;
  const sides = call
    .shape(0)
    .map((_, axis) => axis)
    .slice(2);
  const chosen = b.add('Cast', [b.add('Equal', [call.input(0), call.y])], { to: int(dtypes.F32.onnx) });
  return [multiply(b, divide(b, call.g, b.reduce('ReduceSum', chosen, sides)), chosen)];
};

const topK: GradientRule = (call) => {
  call.only(0);
  const axis = call.axis(call.int('axis', -1), call.rank(0));
  const g = call.gradient(0);
  return [g && scattered(call.b, call.shape(0), at(call.made, 1), g, axis)];
};

/** Derivatives of reductions. */
export const reductionGradients = {
  ReduceMean: spread(({ b }, g, _, { count }) => multiply(b, g, 1 / count)),
  ReduceSum: spread((_, g) => g),
  ReduceMax: extreme,
  ReduceMin: extreme,
  ReduceL1: spread((call, g) => multiply(call.b, g, call.b.add('Sign', [call.input(0)]))),
  ReduceL2: length,
  ReduceSumSquare: spread((call, g) => multiply(call.b, multiply(call.b, g, 2), call.input(0))),
  ReduceLogSum: spread(({ b }, g, y) => divide(b, g, b.add('Exp', [y]))),
  /** softmax of the elements */
  ReduceLogSumExp: spread((call, g, y) => {
    const off = call.b.add('Sub', [call.input(0), y]);
    return multiply(call.b, g, call.b.add('Exp', [off]));
  }),
  GlobalAveragePool: global,
  GlobalMaxPool: globalMax,
  TopK: topK,
} as const;
