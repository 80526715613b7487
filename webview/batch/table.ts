import type { BatchRow } from '../../src/protocol/batch';
import { sortedIndices, type SortOrder } from '../marks/sorting';

export type Column = 'file' | 'label' | 'probability' | 'second' | 'margin';

/** Difference of the two best scores: how sure the answer is; undefined with fewer than two guesses. */
export function marginOf({ top }: BatchRow): number | undefined {
  const [first, second] = top;
  return first && second ? first.score - second.score : undefined;
}

export const fileOf = (image: string): string => image.split(/[\\/]/).at(-1) ?? image;

export interface ColumnFacts {
  readonly title: string;
  readonly numeric: boolean;
  readonly style: string;
  readonly value: (row: BatchRow) => number | string | undefined;
}

export const COLUMNS: Readonly<Record<Column, ColumnFacts>> = {
  file: { title: 'File', numeric: false, style: '', value: (row) => fileOf(row.image) },
  label: { title: 'Label', numeric: false, style: '', value: (row) => row.top[0]?.label },
  probability: {
    title: 'Probability',
    numeric: true,
    style: 'col-probability',
    value: (row) => row.top[0]?.score,
  },
  second: { title: 'Second guess', numeric: false, style: 'col-second', value: (row) => row.top[1]?.label },
  margin: { title: 'Margin', numeric: true, style: 'number col-margin', value: marginOf },
};

export const COLUMN_NAMES = Object.keys(COLUMNS) as readonly Column[];

export interface LabelCount {
  readonly label: string;
  readonly count: number;
}

/** How often each label came first, most frequent first; failures are counted by themselves. */
export function countLabels(rows: readonly BatchRow[]): readonly LabelCount[] {
  const counts = new Map<string, number>();
  for (const row of rows) {
    const label = row.top[0]?.label;
    if (label !== undefined && row.error === undefined) counts.set(label, (counts.get(label) ?? 0) + 1);
  }
  return [...counts]
    .map(([label, count]) => ({ label, count }))
    .sort((left, right) => right.count - left.count || left.label.localeCompare(right.label, 'en'));
}

export interface RowFilter {
  /** First guess must be this label; every label where it is null. */
  readonly label: string | null;
  readonly failuresOnly: boolean;
  readonly text: string;
}

/** Rows that a filter leaves, in the order asked for; in the order of the pictures without one. */
export function arrangeRows(
  rows: readonly BatchRow[],
  { label, failuresOnly, text }: RowFilter,
  order: SortOrder<Column> | undefined,
): readonly BatchRow[] {
  const wanted = text.toLowerCase();
  const found = rows
    .filter((row) => (failuresOnly ? row.error !== undefined : true))
    .filter((row) => label === null || row.top[0]?.label === label)
    .filter((row) => `${row.image} ${row.top[0]?.label ?? ''}`.toLowerCase().includes(wanted))
    .sort((left, right) => left.index - right.index);
  if (!order) return found;
  return sortedIndices(found.map(COLUMNS[order.column].value), order.descending).map(
    (at) => found[at] as BatchRow,
  );
}

/** Rows of a newer state over those known: each picture once, by its index. */
export function mergeRows(known: readonly BatchRow[], added: readonly BatchRow[]): readonly BatchRow[] {
  if (added.length === 0) return known;
  const byIndex = new Map([...known, ...added].map((row) => [row.index, row]));
  return [...byIndex.values()];
}

/** Seconds until the rest is done at the present rate; undefined while that is not known. */
export function secondsLeft(total: number, done: number, rate: number): number | undefined {
  return rate > 0 && done < total ? (total - done) / rate : undefined;
}
