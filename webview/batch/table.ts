import type { BatchRow, KeptFile } from '../../src/protocol/batch';
import { formatExact, quantity } from '../../src/domain/units';
import { matchingRows, sortedRows, type SortOrder } from '../kit/sorting';

export type Column = 'thumbnail' | 'file' | 'label' | 'probability' | 'second' | 'margin';

/**
 * Difference of the two best scores: how sure the answer is; undefined with fewer than two guesses.
 */
export function marginOf({ top, objects, scoresAreAreas }: BatchRow): number | undefined {
  const [first, second] = top;
  // Objects and segments stand beside one another: none is the answer instead of another.
  if (objects !== undefined || scoresAreAreas) return undefined;
  return first && second ? first.score - second.score : undefined;
}

/** Kinds of files that some rows can be exported as, in their order. */
export function keptFiles(rows: readonly BatchRow[]): readonly KeptFile[] {
  const kept = new Map(rows.flatMap(({ files = [] }) => files).map((file) => [file.ending, file] as const));
  return [...kept.values()];
}

export const failuresIn = (rows: readonly BatchRow[]): number =>
  rows.reduce((count, { error }) => count + (error === undefined ? 0 : 1), 0);

/** `198 done, 2 failed, of 500`; `200 done` at the end. */
export function progressText(done: number, total: number, failed: number): string {
  const parts = [
    `${formatExact(done - failed)} done`,
    ...(failed > 0 ? [`${formatExact(failed)} failed`] : []),
    ...(done < total ? [`of ${formatExact(total)}`] : []),
  ];
  return parts.join(', ');
}

/** Names of a class are synonyms in a row: `tabby, tabby cat`. A list shows the first. */
export const firstSynonym = (label: string): string => label.split(/,\s/)[0] || label;

/** A reason begins with itself: the row has named the file already. */
export function reasonOf(error: string, image: string): string {
  const names = [image, fileOf(image)].map((name) => `${name}: `);
  const named = names.find((name) => error.startsWith(name));
  const reason = named === undefined ? error : error.slice(named.length);
  return `${reason.charAt(0).toUpperCase()}${reason.slice(1)}`;
}

export const fileOf = (image: string): string => image.split(/[\\/]/).at(-1) ?? image;

/** What a row came to: the first label, of several heads each under its name. */
export const labelOf = (row: BatchRow): string | undefined => joinedLabels(row, (label) => label);

/** What a row shows of it: `cat`; of objects the best with their number, `cat, 3 objects`. */
export function answerText(row: BatchRow): string {
  const { objects } = row;
  if (objects === undefined) return shortLabelOf(row) ?? (row.summary || 'features only');
  return objects === 0 ? 'nothing found' : `${shortLabelOf(row)}, ${quantity(objects, 'object')}`;
}

/** The same with the first synonym of each label alone. */
export const shortLabelOf = (row: BatchRow): string | undefined => joinedLabels(row, firstSynonym);

const joinedLabels = (
  { top: [first], heads }: BatchRow,
  text: (label: string) => string,
): string | undefined =>
  heads
    ? heads.map(({ head, top: [best] }) => `${head}: ${best ? text(best.label) : '–'}`).join(' · ')
    : first && text(first.label);

/** What each column is sorted by. */
export const VALUES: Readonly<Record<Column, (row: BatchRow) => number | string | undefined>> = {
  thumbnail: () => undefined,
  file: (row) => fileOf(row.image),
  label: labelOf,
  probability: (row) => row.top[0]?.score,
  second: (row) => row.top[1]?.label,
  margin: marginOf,
};

export interface LabelCount {
  readonly label: string;
  readonly count: number;
}

/** How often each label came first, most frequent first; failures are counted by themselves. */
export function countLabels(rows: readonly BatchRow[]): readonly LabelCount[] {
  const counts = new Map<string, number>();
  for (const row of rows) {
    const label = labelOf(row);
    if (label !== undefined && row.error === undefined) counts.set(label, (counts.get(label) ?? 0) + 1);
  }
  return [...counts]
    .map(([label, count]) => ({ label, count }))
    .sort((left, right) => right.count - left.count || left.label.localeCompare(right.label, 'en'));
}

export interface RowFilter {
  /** First guess must be this label; every label if it is null. */
  readonly label: string | null;
  readonly failuresOnly: boolean;
  readonly text: string;
}

/** Rows that a filter leaves, in the order asked for; in the order of the images without one. */
export function arrangeRows(
  rows: readonly BatchRow[],
  { label, failuresOnly, text }: RowFilter,
  order: SortOrder<Column> | undefined,
): readonly BatchRow[] {
  const found = matchingRows(rows, text, (row) => `${row.image} ${labelOf(row) ?? ''}`)
    .filter((row) => (failuresOnly ? row.error !== undefined : true))
    .filter((row) => label === null || labelOf(row) === label)
    .sort((left, right) => left.index - right.index);
  return sortedRows(found, order, (row, column) => VALUES[column](row));
}

/** Rows of a newer state over those known: each image once, by its index. */
export function mergeRows(known: readonly BatchRow[], added: readonly BatchRow[]): readonly BatchRow[] {
  if (added.length === 0) return known;
  const byIndex = new Map([...known, ...added].map((row) => [row.index, row]));
  return [...byIndex.values()];
}

/** Seconds until the rest is done at the present rate; undefined while that is not known. */
export function secondsLeft(total: number, done: number, rate: number): number | undefined {
  return rate > 0 && done < total ? (total - done) / rate : undefined;
}
