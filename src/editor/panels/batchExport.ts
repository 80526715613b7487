import { stringify } from 'csv-stringify/sync';
import type { BatchState } from '../../protocol/batch';

/** A spreadsheet takes a cell that begins so for a formula; a file's name must not become one. */
const inert = (text: string): string => (/^[=+\-@\t\r]/.test(text) ? `'${text}` : text);

/** Results as a table: one line per image, the first guesses side by side. */
export function batchCsv({ checkpoint, provider, rows }: BatchState): string {
  const guesses = rows.reduce((most, { top }) => Math.max(most, top.length), 0);
  const ranks = Array.from({ length: guesses }, (_, rank) => rank);
  const header = ['image', ...ranks.flatMap((rank) => [`label_${rank + 1}`, `score_${rank + 1}`]), 'error'];
  const lines = rows.map(({ image, top, error }) => [
    inert(image),
    ...ranks.flatMap((rank) => [inert(top[rank]?.label ?? ''), top[rank]?.score ?? '']),
    inert(error ?? ''),
  ]);
  const facts = ['checkpoint', 'provider'];
  return stringify([[...header, ...facts], ...lines.map((line) => [...line, inert(checkpoint), provider])]);
}

/** The same as JSON, with the score of every guess as it was computed. */
export function batchJson({ checkpoint, provider, total, rows }: BatchState): string {
  const results = rows.map(({ image, top, error }) => ({
    image,
    top,
    ...(error !== undefined && { error }),
  }));
  return `${JSON.stringify({ checkpoint, provider, pictures: total, results }, undefined, 2)}\n`;
}
