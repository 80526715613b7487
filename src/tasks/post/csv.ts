/** Tables of numbers and names, a line each. */
import { inertCell } from '../../domain/visible';

/** Quotes a cell with commas or quotes; makes text of what a spreadsheet took for a formula. */
function csvCell(value: string | number): string {
  if (typeof value === 'number') return String(value);
  const text = inertCell(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** Returns rows as text, the first of which names the columns. */
export const csvTable = (rows: readonly (readonly (string | number)[])[]): string =>
  rows.map((row) => `${row.map(csvCell).join(',')}\n`).join('');

/** Returns one table of several with the same head. */
export const joinTables = (texts: readonly string[]): string =>
  texts.map((text, index) => (index === 0 ? text : text.slice(text.indexOf('\n') + 1))).join('');
