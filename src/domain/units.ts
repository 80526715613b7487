/** How numbers are written for people, the same in every view, report and line of the terminal. */

import type { Size } from './size';

const DECIMAL: readonly (readonly [factor: number, suffix: string])[] = [
  [1e15, 'P'],
  [1e12, 'T'],
  [1e9, 'G'],
  [1e6, 'M'],
  [1e3, 'k'],
];

/** Digits grouped by commas, whatever the locale: `86,567,656`. */
export function formatExact(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  const [whole = '', fraction] = String(value).split('.');
  const grouped = whole.replace(/\B(?=(\d{3})+(?!\d))/g, ',');
  return fraction === undefined ? grouped : `${grouped}.${fraction}`;
}

/** A number of things: `1 head`, `12 heads`; several numbers are alternatives, `2/4 heads`. */
export function quantity(count: number | readonly number[], thing: string): string {
  const counts = typeof count === 'number' ? [count] : count;
  return `${counts.map(formatExact).join('/')} ${thing}${counts.join() === '1' ? '' : 's'}`;
}

/** A count with `digits` significant digits and a decimal prefix: `86.6 M`, `17.6 G`, `960`. */
export function formatCount(value: number, digits = 3): string {
  const [text, suffix] = scaled(value, digits);
  return suffix === '' ? text : `${text} ${suffix}`;
}

/** Bytes in decimal units: `346 MB`, `1.2 kB`, `12 B`. */
export function formatBytes(bytes: number, digits = 3): string {
  const [text, suffix] = scaled(bytes, digits);
  return `${text} ${suffix}B`;
}

/** `197×768`; `scalar` for rank 0. */
export const formatShape = (shape: readonly number[]): string =>
  shape.length === 0 ? 'scalar' : shape.join('×');

/** A share of one: `97.3 %`, `< 0.1 %`, `0 %`. */
export function formatPercent(share: number, decimals = 1): string {
  if (share > 0 && share < 0.5 * 10 ** -(decimals + 2)) return `< ${(10 ** -decimals).toFixed(decimals)} %`;
  return `${(100 * share).toFixed(decimals).replace(/^(0|100)\.0+$/, '$1')} %`;
}

/** Milliseconds as people read them: `0.4 ms`, `14 ms`, `2.3 s`, `4 min 10 s`. */
export function formatMilliseconds(milliseconds: number): string {
  if (milliseconds < 10) return `${milliseconds.toFixed(1)} ms`;
  if (milliseconds < 1000) return `${Math.round(milliseconds)} ms`;
  const seconds = milliseconds / 1000;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  return `${Math.floor(whole / 60)} min ${whole % 60} s`;
}

/**
 * A weight or statistic with `digits` significant digits, without exponents if they are not
 * needed.
 */
export function formatNumber(value: number, digits = 3): string {
  if (!Number.isFinite(value)) return String(value);
  if (value === 0) return '0';
  const magnitude = Math.abs(value);
  return magnitude >= 1e6 || magnitude < 1e-4
    ? value.toExponential(digits - 1)
    : String(Number(value.toPrecision(digits)));
}

function scaled(value: number, digits: number): readonly [text: string, suffix: string] {
  // Rounding first, so that 999,950 becomes `1.00 M` and not `1000 k`.
  const rounded = Number(value.toPrecision(digits));
  const row = DECIMAL.find(([factor]) => Math.abs(rounded) >= factor);
  if (!row) return [formatExact(Number.isInteger(value) ? value : rounded), ''];
  const quotient = rounded / row[0];
  const decimals = Math.max(0, digits - String(Math.trunc(Math.abs(quotient))).length);
  return [quotient.toFixed(decimals), row[1]];
}

/**
 * A size in pixels as people type it, `224` or `HEIGHTxWIDTH`, as `[height, width]`; undefined
 * if it is none.
 */
export function parseSize(text: string): Size | undefined {
  const match = /^(\d+)(?:\s*[x×]\s*(\d+))?$/.exec(text.trim());
  const [height, width] = [Number(match?.[1]), Number(match?.[2] ?? match?.[1])];
  return height >= 1 && width >= 1 ? [height, width] : undefined;
}
