import type { ValueInfo } from '../../graph';
import type { Writer } from '../../writer';
import { add, divide, multiply, subtract, sumOver, unbroadcast, where } from './arithmetic';
import type { GradientCall, GradientRule } from './call';
import { local, sloped } from './elementwise';

const sigmoid = (b: Writer, x: ValueInfo): ValueInfo => b.add('Sigmoid', [x]);

/** 1 − s² for s between −1 and 1. */
const tanhSlope = (b: Writer, y: ValueInfo): ValueInfo => subtract(b, 1, multiply(b, y, y));

/** Φ(x) + x·φ(x), the normal distribution and its density (Hendrycks & Gimpel 2016, §2). */
function exactGelu(b: Writer, x: ValueInfo): ValueInfo {
  const distribution = multiply(b, add(b, b.add('Erf', [multiply(b, x, Math.SQRT1_2)]), 1), 0.5);
  const density = multiply(
    b,
    b.add('Exp', [multiply(b, multiply(b, x, x), -0.5)]),
    1 / Math.sqrt(2 * Math.PI),
  );
  return add(b, distribution, multiply(b, x, density));
}

/** Of x·(1 + t)/2 with t = tanh(√(2/π)(x + 0.044715 x³)), that paper's approximation. */
function tanhGelu(b: Writer, x: ValueInfo): ValueInfo {
  const [factor, cubic] = [Math.sqrt(2 / Math.PI), 0.044715];
  const square = multiply(b, x, x);
  const inner = multiply(b, multiply(b, x, factor), add(b, multiply(b, square, cubic), 1));
  const t = b.add('Tanh', [inner]);
  const slope = multiply(b, tanhSlope(b, t), add(b, multiply(b, square, 3 * cubic * factor), factor));
  return multiply(b, add(b, add(b, t, 1), multiply(b, x, slope)), 0.5);
}

/** σ(αx)·(1 + αx·(1 − σ(αx))) */
function sigmoidGated(b: Writer, x: ValueInfo, alpha: number): ValueInfo {
  const wide = alpha === 1 ? x : multiply(b, x, alpha);
  const gate = sigmoid(b, wide);
  return multiply(b, gate, add(b, multiply(b, wide, subtract(b, 1, gate)), 1));
}

/** Axes over which a softmax sums: one, or before operator set 13 all from there on. */
function softmaxAxes(call: GradientCall): readonly number[] {
  const [rank, isOld] = [call.rank(0), call.b.operatorSet < 13];
  const first = call.axis(call.int('axis', isOld ? 1 : -1), rank);
  return isOld ? Array.from({ length: rank - first }, (_, index) => first + index) : [first];
}

/** y·(g − Σ y·g): entries that are masked are exactly 0 and stay so, as nothing is divided by y. */
const softmax: GradientRule = (call) => {
  const { b, g, y } = call;
  const mean = sumOver(b, multiply(b, y, g), softmaxAxes(call));
  return [multiply(b, y, subtract(b, g, mean))];
};

/** g − softmax(x)·Σ g */
const logSoftmax: GradientRule = (call) => {
  const { b, g, y } = call;
  const total = sumOver(b, g, softmaxAxes(call));
  return [subtract(b, g, multiply(b, b.add('Exp', [y]), total))];
};

/** Nothing passes at the corners, as in PyTorch. */
const hardSigmoid: GradientRule = (call) => {
  const { b, y } = call;
  const inside = b.add('And', [b.add('Greater', [y, b.scalar(0)]), b.add('Less', [y, b.scalar(1)])]);
  return [where(b, inside, multiply(b, call.g, call.float('alpha', 0.2)))];
};

/** x·clip(x/6 + 1/2): 0 up to −3, 1 from 3 on, x/3 + 1/2 between. */
const hardSwish: GradientRule = (call) => {
  const { b } = call;
  const x = call.input(0);
  const rising = add(b, multiply(b, x, 1 / 3), 0.5);
  const upper = b.add('Where', [b.add('GreaterOrEqual', [x, b.scalar(3)]), b.scalar(1), rising]);
  return [multiply(b, call.g, where(b, b.add('Greater', [x, b.scalar(-3)]), upper))];
};

/** t + x·(1 − t²)·σ(x), t = tanh(softplus(x)) */
function mish(b: Writer, x: ValueInfo): ValueInfo {
  const t = b.add('Tanh', [b.add('Softplus', [x])]);
  return add(b, t, multiply(b, multiply(b, x, tanhSlope(b, t)), sigmoid(b, x)));
}

/** One slope above 0, another below. */
const bent =
  (above: number, below: (call: GradientCall) => ValueInfo): GradientRule =>
  (call) => {
    const { b } = call;
    const isAbove = b.add('Greater', [call.input(0), b.scalar(0)]);
    return [multiply(b, call.g, b.add('Where', [isAbove, b.scalar(above), below(call)]))];
  };

/** The two constants of Klambauer et al. 2017, §2, as ONNX has them. */
const selu = { alpha: 1.6732632423543772, gamma: 1.0507009873554805 };

/** One slope for each channel, or any that broadcasts. */
const parametric: GradientRule = (call) => {
  const { b, g } = call;
  const isAbove = b.add('Greater', [call.input(0), b.scalar(0)]);
  const slope = call.wants(1)
    ? unbroadcast(b, b.add('Where', [isAbove, b.scalar(0), multiply(b, g, call.input(0))]), call.shape(1))
    : undefined;
  return [b.add('Where', [isAbove, g, multiply(b, g, call.input(1))]), slope];
};

/** onnxruntime's FastGelu(x + bias). */
const fastGelu: GradientRule = (call) => {
  const { b, g } = call;
  const x = call.has(1) ? add(b, call.input(0), call.input(1)) : call.input(0);
  const passed = multiply(b, g, tanhGelu(b, x));
  return call.each((index) => unbroadcast(b, passed, call.shape(index)));
};

/** Derivatives of activations. */
export const activationGradients = {
  LeakyRelu: sloped(0.01),
  PRelu: parametric,
  /** α·e^x below 0: y + α with y = α(e^x − 1). */
  Elu: bent(1, (call) => add(call.b, call.y, call.float('alpha', 1))),
  /** y = γα(e^x − 1) */
  Selu: bent(selu.gamma, (call) => add(call.b, call.y, selu.alpha * selu.gamma)),
  /** e^(x/α) */
  Celu: bent(1, (call) => call.b.add('Exp', [multiply(call.b, call.input(0), 1 / call.float('alpha', 1))])),
  Gelu: local((b, x, _, call) =>
    call.text('approximate', 'none') === 'tanh' ? tanhGelu(b, x) : exactGelu(b, x),
  ),
  /** 2/√π·e^(−x²) */
  Erf: local((b, x) =>
    multiply(b, b.add('Exp', [multiply(b, multiply(b, x, x), -1)]), 2 / Math.sqrt(Math.PI)),
  ),
  Tanh: local((b, _, y) => tanhSlope(b, y)),
  Sigmoid: local((b, _, y) => multiply(b, y, subtract(b, 1, y))),
  HardSigmoid: hardSigmoid,
  HardSwish: hardSwish,
  Swish: local((b, x, _, call) => sigmoidGated(b, x, call.float('alpha', 1))),
  Mish: local((b, x) => mish(b, x)),
  Softplus: local((b, x) => sigmoid(b, x)),
  Softsign: local((b, x) => {
    const wide = add(b, b.add('Abs', [x]), 1);
    return divide(b, 1, multiply(b, wide, wide));
  }),
  Softmax: softmax,
  LogSoftmax: logSoftmax,
  FastGelu: fastGelu,
  QuickGelu: local((b, x, _, call) => sigmoidGated(b, x, call.float('alpha', 1.702))),
} as const;
