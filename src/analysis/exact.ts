import { TooLargeError } from '../graph/limits';

/**
 * Sum of counts. Throws if it is no longer exact: beyond 2^53 a double skips integers, and a
 * count that is almost right is wrong.
 */
export function exactSum(counts: Iterable<number>): number {
  let sum = 0;
  for (const count of counts) sum = exact(sum + count);
  return sum;
}

/** A count as it is, if it is exact. */
export function exact(count: number): number {
  if (!Number.isSafeInteger(count))
    throw new TooLargeError(`${count} cannot be counted exactly; choose a smaller image size or batch`);
  return count;
}
