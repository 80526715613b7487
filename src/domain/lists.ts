/** A list is shorter than what is asked of it: of a file's shapes, the file is of another kind. */
export class MissingItemError extends RangeError {
  override readonly name = 'MissingItemError';
}

/** Returns the item at an index. Throws `MissingItemError` if the list is shorter. */
export function at<T>(list: ArrayLike<T>, index: number): T {
  const item = list[index];
  if (item === undefined) throw new MissingItemError(`index ${index} asked of a list of ${list.length}`);
  return item;
}

/** Returns the last item. Throws `MissingItemError` if there is none. */
export const last = <T>(list: ArrayLike<T>): T => at(list, list.length - 1);

export const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

export const product = (values: readonly number[]): number =>
  values.reduce((total, value) => total * value, 1);

// A call takes about 120,000 arguments before the stack overflows: lists as long as a file makes
// them are never spread into one.

/** Returns the largest value; -Infinity of none. */
export const largest = (values: Iterable<number>): number => {
  let most = -Infinity;
  for (const value of values) most = Math.max(most, value);
  return most;
};

/** Returns the smallest value; Infinity of none. */
export const smallest = (values: Iterable<number>): number => {
  let least = Infinity;
  for (const value of values) least = Math.min(least, value);
  return least;
};

/** Appends all items. */
export const pushAll = <T>(target: T[], items: Iterable<T>): void => {
  for (const item of items) target.push(item);
};

/** Adds to one number of many; of a place that they do not have nothing is kept. */
export function increase(values: Float32Array | Float64Array, place: number, by: number): void {
  values[place] = (values[place] ?? 0) + by;
}
