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
