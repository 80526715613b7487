import { dtypes } from '../../../checkpoint/tensors';
import { int, type ValueInfo } from '../../graph';
import type { Writer } from '../../writer';
import { add, divide, multiply, negate, subtract, unbroadcast, where } from './arithmetic';
import type { GradientCall, GradientRule } from './call';

/** y = f(x): dy/dx at each element, of x and y. Use y where both would do: x may be freed. */
export const local =
  (derivative: (b: Writer, x: ValueInfo, y: ValueInfo, call: GradientCall) => ValueInfo): GradientRule =>
  (call) => {
    call.only(0);
    return [multiply(call.b, call.g, derivative(call.b, call.input(0), call.y, call))];
  };

/** The gradient passes where a condition on x and y holds. */
const gate =
  (condition: (b: Writer, x: ValueInfo, y: ValueInfo, call: GradientCall) => ValueInfo): GradientRule =>
  (call) => {
    call.only(0);
    return [where(call.b, condition(call.b, call.input(0), call.y, call), call.g)];
  };

/** Operands that are broadcast to the output: the gradient of each there, summed to its shape. */
const broadcastOperands =
  (gradientOf: (call: GradientCall, index: number) => ValueInfo): GradientRule =>
  (call) =>
    call.each((index) => unbroadcast(call.b, gradientOf(call, index), call.shape(index)));

const quotient = broadcastOperands((call, index) => {
  const over = divide(call.b, call.g, call.input(1));
  return index === 0 ? over : negate(call.b, multiply(call.b, over, call.y));
});

/** c·x^(c−1); of the exponent y·ln x. */
const power = broadcastOperands((call, index) => {
  const { b, g } = call;
  const [x, exponent] = [call.input(0), call.input(1)];
  if (index === 1) return multiply(b, g, multiply(b, call.y, b.add('Log', [x])));
  const known = call.known(1);
  if (known?.length === 1 && known[0] === 2) return multiply(b, g, multiply(b, x, 2));
  const lower = b.add('Pow', [x, subtract(b, exponent, 1)]);
  return multiply(b, g, multiply(b, exponent, lower));
});

/**
 * Of each operand where it is the one that is chosen. Of several that are equal each gets all of
 * it beside a constant, as torch.clamp has it, and its share otherwise (torch.maximum).
 */
const extreme: GradientRule = (call) => {
  const { b, g } = call;
  const active = call.inputs.filter((_, index) => call.wants(index)).length;
  const chosen = (index: number): ValueInfo =>
    b.add('Cast', [b.add('Equal', [call.input(index), call.y])], { to: int(dtypes.F32.onnx) });
  const ties =
    active > 1
      ? call.inputs.map((_, index) => chosen(index)).reduce((sum, each) => add(b, sum, each))
      : undefined;
  const share = ties ? divide(b, g, ties) : g;
  return call.each((index) => unbroadcast(b, multiply(b, share, chosen(index)), call.shape(index)));
};

const choice: GradientRule = (call) => {
  const { b, g } = call;
  const condition = call.input(0);
  const passed = (index: number): ValueInfo =>
    index === 1 ? where(b, condition, g) : b.add('Where', [condition, b.scalar(0), g]);
  return [
    undefined,
    ...[1, 2].map((index) =>
      call.wants(index) ? unbroadcast(b, passed(index), call.shape(index)) : undefined,
    ),
  ];
};

const bounds = (call: GradientCall): readonly [low: ValueInfo | undefined, high: ValueInfo | undefined] => {
  const bound = (index: number, name: string): ValueInfo | undefined => {
    const given = call.float(name, Number.NaN);
    return call.has(index) ? call.input(index) : Number.isNaN(given) ? undefined : call.b.scalar(given);
  };
  return [bound(1, 'min'), bound(2, 'max')];
};

/** torch.clamp passes the gradient at its bounds. */
const clip: GradientRule = (call) => {
  call.only(0);
  const { b } = call;
  const [low, high] = bounds(call);
  const x = call.input(0);
  const above = low ? where(b, b.add('GreaterOrEqual', [x, low]), call.g) : call.g;
  return [high ? where(b, b.add('LessOrEqual', [x, high]), above) : above];
};

const cast: GradientRule = (call) => [
  isReal(call.y) && isReal(call.input(0))
    ? call.b.add('Cast', [call.g], { to: int(dtypes[call.dtype(0)].onnx) })
    : undefined,
];

const isReal = ({ dtype }: ValueInfo): boolean => ['F16', 'BF16', 'F32', 'F64'].includes(dtype);

/** Derivatives of element-wise operators. */
export const elementwiseGradients = {
  Add: broadcastOperands((call) => call.g),
  Sub: broadcastOperands((call, index) => (index === 0 ? call.g : negate(call.b, call.g))),
  Mul: broadcastOperands((call, index) => multiply(call.b, call.g, call.input(1 - index))),
  Div: quotient,
  Pow: power,
  Sum: broadcastOperands((call) => call.g),
  Mean: broadcastOperands((call) => multiply(call.b, call.g, 1 / call.inputs.length)),
  Min: extreme,
  Max: extreme,
  Where: choice,
  Clip: clip,
  Cast: cast,
  CastLike: cast,
  Neg: ((call) => [negate(call.b, call.g)]) satisfies GradientRule,
  Abs: local((b, x) => b.add('Sign', [x])),
  Exp: local((_, __, y) => y),
  Log: ((call) => [divide(call.b, call.g, call.input(0))]) satisfies GradientRule,
  Sqrt: ((call) => [divide(call.b, multiply(call.b, call.g, 0.5), call.y)]) satisfies GradientRule,
  Reciprocal: local((b, _, y) => negate(b, multiply(b, y, y))),
  Sin: local((b, x) => b.add('Cos', [x])),
  Cos: local((b, x) => negate(b, b.add('Sin', [x]))),
  Tan: local((b, _, y) => add(b, multiply(b, y, y), 1)),
  Asin: local((b, x) => divide(b, 1, b.add('Sqrt', [subtract(b, 1, multiply(b, x, x))]))),
  Acos: local((b, x) => divide(b, -1, b.add('Sqrt', [subtract(b, 1, multiply(b, x, x))]))),
  Atan: local((b, x) => divide(b, 1, add(b, multiply(b, x, x), 1))),
  Sinh: local((b, x) => b.add('Cosh', [x])),
  Cosh: local((b, x) => b.add('Sinh', [x])),
  Relu: gate((b, _, y) => b.add('Greater', [y, b.scalar(0)])),
} as const;

/** Slope of a leaky rectifier below 0. */
export const sloped =
  (slope: number): GradientRule =>
  (call) => {
    const { b, g } = call;
    const below = multiply(b, g, call.float('alpha', slope));
    return [b.add('Where', [b.add('Greater', [call.input(0), b.scalar(0)]), g, below])];
  };
