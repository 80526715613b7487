import type { OperatorTable } from './call';
import { unary } from './elementwise';
import { selectOutsideAxis } from './selection';

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));

/** Activations, and the functions they are written with in exported graphs (Erf, Tanh). */
export const activation = {
  Relu: { ...unary('activation', (x) => Math.max(0, x)), title: 'ReLU', formula: 'max(0, x)' },
  LeakyRelu: unary('activation'),
  PRelu: unary('activation'),
  ThresholdedRelu: unary('activation'),
  Elu: unary('activation'),
  Selu: unary('activation'),
  Celu: unary('activation'),
  Gelu: { ...unary('activation'), title: 'GELU', formula: 'x · Φ(x)' },
  Erf: unary('activation'),
  Tanh: { ...unary('activation', Math.tanh), title: 'Tanh' },
  Sigmoid: { ...unary('activation', sigmoid), title: 'Sigmoid' },
  HardSigmoid: unary('activation'),
  HardSwish: { ...unary('activation'), title: 'Hard swish', formula: 'x · min(max(x + 3, 0), 6) / 6' },
  Swish: unary('activation', (x) => x * sigmoid(x)),
  Mish: unary('activation'),
  Softplus: unary('activation'),
  Softsign: unary('activation'),
  Softmax: { ...unary('softmax'), select: selectOutsideAxis, title: 'Softmax' },
  LogSoftmax: { ...unary('softmax'), select: selectOutsideAxis },
  Hardmax: { ...unary('softmax'), select: selectOutsideAxis },
} as const satisfies OperatorTable;
