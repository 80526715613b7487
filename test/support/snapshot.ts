import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/**
 * Compares a text with the one stored as `test/fixtures/NAME`. `VITRINE_UPDATE=1` stores it anew;
 * otherwise one that differs is written to `test/output/NAME`, to be looked at beside the old one.
 */
export function assertSnapshot(name: string, text: string): void {
  const stored = join('test/fixtures', name);
  if (process.env.VITRINE_UPDATE === '1') return write(stored, `${text}\n`);
  const expected = existsSync(stored) ? readFileSync(stored, 'utf8').trimEnd().split('\n') : [];
  const found = text.trimEnd().split('\n');
  const at = Array.from({ length: Math.max(expected.length, found.length) }, (_, line) => line).find(
    (line) => expected[line] !== found[line],
  );
  if (at === undefined) return;
  const now = join('test/output', name);
  write(now, `${text}\n`);
  assert.fail(
    `${stored} differs from ${now} at line ${at + 1}:\n` +
      `- ${expected[at] ?? '(no line)'}\n+ ${found[at] ?? '(no line)'}\n` +
      'If the change is meant, store it with VITRINE_UPDATE=1.',
  );
}

function write(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
}

/** Rows of numbers and names as lines, numbers to three digits after the point. */
export const linesOf = (rows: Readonly<Record<string, unknown>>): string =>
  Object.entries(rows)
    .map(([name, value]) => `${name}: ${JSON.stringify(value, (_key, each: unknown) => short(each))}`)
    .join('\n');

const short = (value: unknown): unknown =>
  typeof value === 'number' ? Math.round(value * 1000) / 1000 : value;
