export interface SortOrder<Column extends string> {
  readonly column: Column;
  readonly descending: boolean;
}

/**
 * The order after a click on a column's head: the same column turns round, another begins with its
 * natural direction.
 */
export function nextOrder<Column extends string>(
  order: SortOrder<Column> | undefined,
  column: Column,
  numeric: boolean,
): SortOrder<Column> {
  if (order?.column === column) return { column, descending: !order.descending };
  // Of numbers people want the largest first, of names the first of the alphabet.
  return { column, descending: numeric };
}

const byName = new Intl.Collator('en', { numeric: true });

/**
 * Indices of `values` in order. Stable; `blocks.2` stands before `blocks.10`; what has no value
 * stands last either way.
 */
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

/** Rows in the order of one of their columns; as they are without an order. */
export function sortedRows<Row, Name extends string>(
  rows: readonly Row[],
  order: SortOrder<Name> | undefined,
  valueOf: (row: Row, column: Name) => number | string | undefined,
): readonly Row[] {
  if (!order) return rows;
  const values = rows.map((row) => valueOf(row, order.column));
  return sortedIndices(values, order.descending).flatMap((index) => {
    const row = rows[index];
    return row === undefined ? [] : [row];
  });
}

/** The text of each row in small letters, put together once and not for every key that is typed. */
export function remembered<Row>(textOf: (row: Row) => string): (row: Row) => string {
  const texts = new Map<Row, string>();
  return (row) => {
    const known = texts.get(row) ?? textOf(row).toLowerCase();
    texts.set(row, known);
    return known;
  };
}

/** Puts the texts of rows together while the page is idle, so that the first key finds them. */
export function prepare<Row>(rows: readonly Row[], textOf: (row: Row) => string): () => void {
  const idle = requestIdleCallback(() => rows.forEach(textOf));
  return () => cancelIdleCallback(idle);
}

/** Rows whose text contains every word of the query, whatever its case. */
export function matchingRows<Row>(
  rows: readonly Row[],
  query: string,
  textOf: (row: Row) => string,
): readonly Row[] {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0) return rows;
  return rows.filter((row) => {
    const text = textOf(row).toLowerCase();
    return words.every((word) => text.includes(word));
  });
}

/**
 * Where a key leads in a list; undefined for keys that do not move. `page` is how many rows a page
 * has.
 */
export function movedRow(key: string, at: number, count: number, page: number): number | undefined {
  const targets: Readonly<Record<string, number>> = {
    ArrowDown: at + 1,
    ArrowUp: at - 1,
    PageDown: at + page,
    PageUp: at - page,
    Home: 0,
    End: count - 1,
  };
  const target = targets[key];
  return target === undefined ? undefined : Math.min(count - 1, Math.max(0, target));
}
