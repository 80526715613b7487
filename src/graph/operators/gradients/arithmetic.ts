import type { ValueInfo } from '../../graph';
import type { Writer } from '../../writer';

type Operand = ValueInfo | number;

const valueOf = (b: Writer, operand: Operand): ValueInfo =>
  typeof operand === 'number' ? b.scalar(operand) : operand;

const binary =
  (op: string) =>
  (b: Writer, left: Operand, right: Operand): ValueInfo =>
    b.add(op, [valueOf(b, left), valueOf(b, right)]);

export const add = binary('Add');
export const subtract = binary('Sub');
export const multiply = binary('Mul');
export const divide = binary('Div');
export const negate = (b: Writer, x: ValueInfo): ValueInfo => b.add('Neg', [x]);

/** `x` where the condition holds, 0 elsewhere. */
export const where = (b: Writer, condition: ValueInfo, x: ValueInfo): ValueInfo =>
  b.add('Where', [condition, x, b.scalar(0)]);

/** Sum over an axis, which stays with size 1. */
export const sumOver = (b: Writer, x: ValueInfo, axes: readonly number[]): ValueInfo =>
  axes.length === 0 ? x : b.reduce('ReduceSum', x, axes);

/** The value in a shape, as it is if it has that. */
export const shaped = (b: Writer, x: ValueInfo, shape: readonly number[]): ValueInfo =>
  x.shape.join() === shape.join() ? x : b.reshape(x, shape);

/** Zeros of a shape, written once. */
export const zeros = (b: Writer, shape: readonly number[]): ValueInfo =>
  b.shared(`zeros ${shape.join(' ')}`, () => b.add('Expand', [b.scalar(0), b.indices(shape)]));

/** The value repeated to a shape that it broadcasts to. */
export const stretched = (b: Writer, x: ValueInfo, shape: readonly number[]): ValueInfo =>
  x.shape.join() === shape.join() ? x : b.add('Expand', [x, b.indices(shape)]);

/**
 * The gradient of an operand that was broadcast: the sum over the axes along which it was
 * repeated.
 */
export function unbroadcast(b: Writer, g: ValueInfo, shape: readonly number[]): ValueInfo {
  const missing = g.shape.length - shape.length;
  const repeated = g.shape.flatMap((size, axis) =>
    size !== 1 && (axis < missing || shape[axis - missing] === 1) ? [axis] : [],
  );
  return shaped(b, sumOver(b, g, repeated), shape);
}
