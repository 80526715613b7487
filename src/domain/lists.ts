/** Returns the item at an index. Throws `RangeError` if the list is shorter: callers made sure. */
export function at<T>(list: ArrayLike<T>, index: number): T {
  const item = list[index];
  if (item === undefined) throw new RangeError(`index ${index} asked of a list of ${list.length}`);
  return item;
}

/** Returns the last item. Throws `RangeError` if there is none. */
export const last = <T>(list: ArrayLike<T>): T => at(list, list.length - 1);

export const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

export const product = (values: readonly number[]): number =>
  values.reduce((total, value) => total * value, 1);
