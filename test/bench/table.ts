import type { Paired, Spread } from './statistics';

/** One line of the table. */
export interface Row {
  readonly what: string;
  /**
   * What the target is about: a ratio to the peer, milliseconds, a difference. Absent where it
   * could not be measured.
   */
  readonly value?: Spread;
  readonly unit: '×' | 'ms' | 's' | 'ppm' | 'MB';
  /** The value must not be above it; a row without one informs. */
  readonly target?: number;
  /** Medians of both sides, or what is missing. */
  readonly detail: string;
  /** Why the target is missed, where it is known. */
  readonly why?: string;
}

/** A peer that varies by more within one run says that the machine was busy with something else. */
const steadyFactor = 1.3;

/** A row about the ratio of two things measured in turns. */
export function ratioRow(what: string, peer: string, { ours, theirs, ratio }: Paired, target?: number): Row {
  const detail = `${formatTime(ours.median)} against ${formatTime(theirs.median)}, ${peer}`;
  const factor = theirs.highest / theirs.lowest;
  const busy = `the peer's own slowest turn took ${factor.toFixed(1)} times its fastest: the machine was busy`;
  return { what, value: ratio, unit: '×', target, detail, why: factor > steadyFactor ? busy : undefined };
}

/** A row for something that this machine does not have. */
export const missingRow = (what: string, detail: string): Row => ({ what, unit: '×', detail });

/** Milliseconds as people read them. */
export function formatTime(milliseconds: number): string {
  if (milliseconds >= 1000) return `${(milliseconds / 1000).toFixed(2)} s`;
  return `${milliseconds.toFixed(milliseconds < 10 ? 1 : 0)} ms`;
}

const isMissed = ({ value, target }: Row): boolean =>
  value !== undefined && target !== undefined && value.median > target;

function verdict(row: Row): string {
  if (!row.value) return 'not found';
  if (row.target === undefined) return '';
  return isMissed(row) ? 'MISSED' : 'met';
}

const headings = ['', 'median', 'lowest – highest', 'target', '', 'of'];

/** The table as text, and below it what misses its target, with the reason where one is known. */
export function formatTable(rows: readonly Row[]): string {
  const cells = [headings, ...rows.map(cellsOf)];
  const widths = headings.map((_, column) => Math.max(...cells.map((line) => line[column]!.length)));
  const lines = cells.map((line) => line.map((cell, column) => cell.padEnd(widths[column]!)).join('  '));
  const missed = rows.filter(isMissed);
  const reasons = missed.map(({ what, why }) => `  ${what}: ${why ?? 'reason not known'}`);
  const summary = missed.length === 0 ? ['every target that could be measured is met'] : ['missed:'];
  return [...lines.map((line) => line.trimEnd()), '', ...summary, ...reasons].join('\n');
}

function cellsOf(row: Row): readonly string[] {
  const { what, value, unit, target, detail } = row;
  const show = (number: number): string => `${number.toFixed(unit === 'ms' ? 1 : 2)} ${unit}`;
  return [
    what,
    value ? show(value.median) : '–',
    value ? `${show(value.lowest)} – ${show(value.highest)}` : '',
    target === undefined ? '' : `≤ ${target} ${unit}`,
    verdict(row),
    detail,
  ];
}
