export interface SortOrder<Column extends string> {
  readonly column: Column;
  readonly descending: boolean;
}

/** The order after a click on a column's head: the same column turns round, another begins with its natural direction. */
export function nextOrder<Column extends string>(
  order: SortOrder<Column> | undefined,
  column: Column,
  numeric: boolean,
): SortOrder<Column> {
  if (order?.column === column) return { column, descending: !order.descending };
  // Of figures people want the largest first, of names the first of the alphabet.
  return { column, descending: numeric };
}

const byName = new Intl.Collator('en', { numeric: true });

/** Indices of `values` in order. Stable; `blocks.2` stands before `blocks.10`; what has no value stands last either way. */
export function sortedIndices(
  values: readonly (number | string | undefined)[],
  descending: boolean,
): readonly number[] {
  const sign = descending ? -1 : 1;
  return values
    .map((_, index) => index)
    .sort((left, right) => {
      const a = values[left];
      const b = values[right];
      if (a === undefined || b === undefined) return Number(a === undefined) - Number(b === undefined);
      const difference =
        typeof a === 'number' && typeof b === 'number' ? a - b : byName.compare(String(a), String(b));
      return sign * difference;
    });
}
