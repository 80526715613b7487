import { setTimeout } from 'node:timers/promises';

/**
 * Milliseconds before each measurement: a runtime's threads go on spinning after a run, and would
 * take a core from the other side.
 */
const rest = 100;

/** The middle of repeated measurements, and how far they lie apart. */
export interface Spread {
  readonly median: number;
  readonly lowest: number;
  readonly highest: number;
}

/** Sums up measurements; there must be at least one. */
export function spreadOf(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = (sorted.length - 1) / 2;
  const median = (sorted[Math.floor(middle)]! + sorted[Math.ceil(middle)]!) / 2;
  return { median, lowest: sorted[0]!, highest: sorted.at(-1)! };
}

/** Two things measured in turns, and the ratio of the first to the second within each turn. */
export interface Paired {
  readonly ours: Spread;
  readonly theirs: Spread;
  readonly ratio: Spread;
}

/**
 * Measures two things in turns, `ours` first in one turn and `theirs` first in the next, so that
 * whatever else the machine does meets both alike. The first turn warms the file cache and is not
 * counted.
 */
export async function measurePairs(
  turns: number,
  ours: () => Promise<number>,
  theirs: () => Promise<number>,
): Promise<Paired> {
  const pairs: { ours: number; theirs: number }[] = [];
  const measure = (side: () => Promise<number>): Promise<number> => setTimeout(rest).then(side);
  for (let turn = 0; turn <= turns; turn++) {
    const first = turn % 2 === 0 ? await measure(ours) : undefined;
    const second = await measure(theirs);
    pairs.push({ ours: first ?? (await measure(ours)), theirs: second });
  }
  const counted = pairs.slice(1);
  return {
    ours: spreadOf(counted.map((pair) => pair.ours)),
    theirs: spreadOf(counted.map((pair) => pair.theirs)),
    ratio: spreadOf(counted.map((pair) => pair.ours / pair.theirs)),
  };
}

/**
 * Both sides must have done the same work, or their times say nothing: whether they name the same
 * classes.
 */
export function agreement(mine: readonly number[], theirs: readonly number[]): string {
  if (mine.join() === theirs.join()) return 'same top-5';
  return mine[0] === theirs[0] ? 'same top-1' : `other top-1: ${mine[0]} and ${theirs[0]}`;
}
