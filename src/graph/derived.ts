import type { Derivation } from '../checkpoint/tensors';
import { at } from '../domain/lists';
import { int, type ValueInfo } from './graph';
import type { Writer } from './writer';

/** Largest integer of the 8 bit that rows are scaled to. */
const int8Most = 127;

type Formula = (
  b: Writer,
  parts: readonly ValueInfo[],
  factors: Required<Pick<Derivation, 'scale' | 'zeroPoint' | 'thirds'>>,
) => ValueInfo;

const count = ({ shape }: ValueInfo): number => shape.reduce((product, side) => product * side, 1);

/** Sum over axes, which stay with size 1. */
const sumOver = (b: Writer, x: ValueInfo, axes: readonly number[]): ValueInfo =>
  axes.length === 0 ? x : b.reduce('ReduceSum', x, axes);

/** base + scale · up · down; of a convolution, over the rows of its kernels. */
const lowRank: Formula = (b, parts, { scale }) => {
  const [base, down, up] = [at(parts, 0), at(parts, 1), at(parts, 2)];
  const flat = (x: ValueInfo): ValueInfo =>
    x.shape.length === 2 ? x : b.reshape(x, [at(x.shape, 0), count(x) / at(x.shape, 0)]);
  const product = b.add('Mul', [b.add('MatMul', [flat(up), flat(down)]), b.scalar(scale)]);
  return b.add('Add', [base, base.shape.length === 2 ? product : b.reshape(product, base.shape)]);
};

/** magnitude · direction / ‖direction‖, the length over all axes along which it has one element. */
function withLength(b: Writer, magnitude: ValueInfo, direction: ValueInfo): ValueInfo {
  const axes = direction.shape.flatMap((_, axis) => ((magnitude.shape[axis] ?? 1) === 1 ? [axis] : []));
  const norm = b.add('Sqrt', [sumOver(b, b.add('Mul', [direction, direction]), axes)]);
  return b.add('Mul', [magnitude, b.add('Div', [direction, norm])]);
}

/** The formulas of `Derivation`, one for each kind. */
const formulas: Readonly<Record<Derivation['kind'], Formula>> = {
  masked: (b, parts) => b.add('Mul', parts),
  'weight-norm': (b, parts) => withLength(b, at(parts, 0), at(parts, 1)),
  'spectral-norm': (b, parts) => {
    const [original, left, right] = [at(parts, 0), at(parts, 1), at(parts, 2)];
    const rows = at(left.shape, 0);
    const matrix = b.reshape(original, [rows, count(original) / rows]);
    const turned = b.add('MatMul', [matrix, b.reshape(right, [count(right), 1])]);
    const sigma = b.add('MatMul', [b.reshape(left, [1, rows]), turned]);
    return b.add('Div', [original, b.reshape(sigma, [1])]);
  },
  'low-rank': lowRank,
  'low-rank-norm': (b, parts, factors) => {
    const [base, magnitude] = [at(parts, 0), at(parts, 3)];
    const rows = base.shape.map((side, axis) => (axis === 0 ? side : 1));
    return withLength(b, b.reshape(magnitude, rows), lowRank(b, parts, factors));
  },
  'low-rank-thirds': (b, parts, { scale, thirds }) => {
    const products = thirds.map((_, index) =>
      b.add('MatMul', [at(parts, 2 * index + 2), at(parts, 2 * index + 1)]),
    );
    const added = [0, 1, 2].map((third) => {
      const index = thirds.indexOf(third);
      // Rows without a product get one of no weight.
      return b.add('Mul', [at(products, Math.max(0, index)), b.scalar(index < 0 ? 0 : scale)]);
    });
    return b.add('Add', [at(parts, 0), b.add('Concat', added, { axis: int(0) })]);
  },
  'scaled-rows': (b, parts) => {
    const [matrix, scales] = [at(parts, 0), at(parts, 1)];
    const factors = b.add('Mul', [scales, b.scalar(1 / int8Most)]);
    return b.add('Mul', [matrix, b.reshape(factors, [count(scales), 1])]);
  },
  affine: (b, parts, { scale, zeroPoint }) =>
    b.add('Mul', [b.add('Sub', [at(parts, 0), b.scalar(zeroPoint)]), b.scalar(scale)]),
  'affine-rows': (b, parts) => {
    const [matrix, scales, zeroPoints] = [at(parts, 0), at(parts, 1), at(parts, 2)];
    const column = (x: ValueInfo): ValueInfo =>
      b.reshape(x, [count(x), ...matrix.shape.slice(1).map(() => 1)]);
    return b.add('Mul', [b.add('Sub', [matrix, column(zeroPoints)]), column(scales)]);
  },
};

/**
 * A parameter that is computed from several tensors, by operators that read nothing but weights:
 * the runtime computes them once, when it loads the graph.
 *
 * @param parts float32 values of the derivation's parts
 */
export const derivedValue = (
  b: Writer,
  { kind, scale = 1, zeroPoint = 0, thirds = [] }: Derivation,
  parts: readonly ValueInfo[],
): ValueInfo => formulas[kind](b, parts, { scale, zeroPoint, thirds });
