import { createInterface } from 'node:readline';

/**
 * Does something once, and once more for every line of standard input; each time prints how long it
 * took.
 */
export async function answerLines(task: () => Promise<void>): Promise<void> {
  await answer(task);
  for await (const _ of createInterface({ input: process.stdin })) await answer(task);
}

async function answer(task: () => Promise<void>): Promise<void> {
  const started = performance.now();
  await task();
  console.log(JSON.stringify({ milliseconds: performance.now() - started }));
}
