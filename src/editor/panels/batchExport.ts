import { inertCell } from '../../domain/visible';
import { stringify } from 'csv-stringify/sync';
import type { BatchRow, BatchState } from '../../protocol/batch';

/** A spreadsheet takes a cell that begins so for a formula; a file's name must not become one. */

/** Guesses of a row as columns of one head: all there is without a name, or that head's. */
interface Columns {
  readonly prefix: string;
  readonly ranks: readonly number[];
  readonly of: (row: BatchRow) => BatchRow['top'];
}

function columnsOf(rows: readonly BatchRow[], head?: string): Columns {
  const of = ({ top, heads }: BatchRow): BatchRow['top'] =>
    head === undefined ? top : (heads?.find((each) => each.head === head)?.top ?? []);
  const guesses = rows.reduce((most, row) => Math.max(most, of(row).length), 0);
  const ranks = Array.from({ length: guesses }, (_, rank) => rank);
  return { prefix: head === undefined ? '' : `${head}_`, ranks, of };
}

/** Results as a table: one line per image, the first guesses of every head side by side. */
export function batchCsv({ checkpoint, provider, rows }: BatchState): string {
  const heads = [...new Set(rows.flatMap((row) => row.heads ?? []).map(({ head }) => head))];
  const columns = heads.length > 0 ? heads.map((head) => columnsOf(rows, head)) : [columnsOf(rows)];
  const names = columns.flatMap(({ prefix, ranks }) =>
    ranks.flatMap((rank) => [`${prefix}label_${rank + 1}`, `${prefix}score_${rank + 1}`]),
  );
  const hasObjects = rows.some(({ objects }) => objects !== undefined);
  const hasSummary = rows.some(({ summary }) => summary !== undefined);
  const lines = rows.map((row) => [
    inertCell(row.image),
    ...columns.flatMap(({ ranks, of }) =>
      ranks.flatMap((rank) => [inertCell(of(row)[rank]?.label ?? ''), of(row)[rank]?.score ?? '']),
    ),
    ...(hasObjects ? [row.objects ?? ''] : []),
    ...(hasSummary ? [inertCell(row.summary ?? '')] : []),
    ...[inertCell(row.error ?? ''), inertCell(checkpoint), provider],
  ]);
  return stringify([
    [
      'image',
      ...names.map(inertCell),
      ...(hasObjects ? ['objects'] : []),
      ...(hasSummary ? ['summary'] : []),
      ...['error', 'checkpoint', 'provider'],
    ],
    ...lines,
  ]);
}

/** The same as JSON, with the score of every guess as it was computed. */
export function batchJson({ checkpoint, provider, total, rows }: BatchState): string {
  const results = rows.map(({ image, top, objects, heads, error, summary }) => ({
    image,
    top,
    ...(summary !== undefined && { summary }),
    ...(objects !== undefined && { objects }),
    ...(heads && { heads }),
    ...(error !== undefined && { error }),
  }));
  return `${JSON.stringify({ checkpoint, provider, pictures: total, results }, undefined, 2)}\n`;
}
