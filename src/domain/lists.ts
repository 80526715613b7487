/** The item at an index. Throws where the list is shorter: whoever asks knows that it is not. */
export function at<T>(list: ArrayLike<T>, index: number): T {
  const item = list[index];
  if (item === undefined) throw new RangeError(`index ${index} asked of a list of ${list.length}`);
  return item;
}

/** The last item. Throws where there is none. */
export const last = <T>(list: ArrayLike<T>): T => at(list, list.length - 1);

export const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

export const product = (values: readonly number[]): number =>
  values.reduce((total, value) => total * value, 1);
