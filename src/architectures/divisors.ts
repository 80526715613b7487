import { ParameterError } from '../graph/builder';

/** Divisors of a whole number above 0, in order; each small one has its large one. */
export function divisorsOf(total: number): readonly number[] {
  const small: number[] = [];
  for (let each = 1; each <= Math.sqrt(total); each++) if (total % each === 0) small.push(each);
  const large = small.map((each) => total / each).filter((each) => each * each !== total);
  return [...small, ...large.reverse()];
}

/**
 * The divisor of `width` nearest to `wanted`, the smaller of two that are as near. Throws
 * `ParameterError` if the width is none: the layer that shows it is missing.
 */
export function nearestDivisor(width: number, wanted: number): number {
  if (!Number.isInteger(width) || width < 1)
    throw new ParameterError('width', `${width} found, a whole number above 0 needed`);
  const far = (each: number): number => Math.abs(each - wanted);
  return divisorsOf(width).reduce((best, each) => (far(each) < far(best) ? each : best));
}

/** Numbers of heads that divide the width, `count` of them around the given one, in order. */
export function headsNear(dim: number, heads: number, count = 7): readonly number[] {
  const far = (each: number): number => Math.abs(Math.log(each / heads));
  return [...divisorsOf(dim)]
    .sort((a, b) => far(a) - far(b))
    .slice(0, count)
    .sort((a, b) => a - b);
}
