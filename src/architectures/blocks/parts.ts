import { at } from '../../domain/lists';
import { ParameterError, type GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';

/**
 * Side of a stored parameter along an axis. Throws `ParameterError` if it is not stored or has no
 * such axis.
 */
export function parameterSide(b: GraphBuilder, name: string, axis: number): number {
  const side = b.shapeOf(name).at(axis);
  if (side === undefined)
    throw new ParameterError([b.scopePath, name].filter(Boolean).join('.'), `no axis ${axis}`);
  return side;
}

/** Splits along an axis in two: equal parts, or parts of the given sizes. */
export function splitInTwo(
  b: GraphBuilder,
  x: ValueInfo,
  axis: number,
  sizes: 2 | readonly [number, number] = 2,
): readonly [ValueInfo, ValueInfo] {
  const parts = b.split(x, sizes, axis);
  return [at(parts, 0), at(parts, 1)];
}

/** Splits along an axis in three: equal parts, or parts of the given sizes. */
export function splitInThree(
  b: GraphBuilder,
  x: ValueInfo,
  axis: number,
  sizes: 3 | readonly [number, number, number] = 3,
): readonly [ValueInfo, ValueInfo, ValueInfo] {
  const parts = b.split(x, sizes, axis);
  return [at(parts, 0), at(parts, 1), at(parts, 2)];
}
