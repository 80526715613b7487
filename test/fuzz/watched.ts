import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';
import type { TrialReply, TrialRequest } from './child';

/** A trial as seen from outside: the child's own words, or that it had to be ended. */
export type Trial = TrialReply | Ended;

export interface Ended {
  readonly outcome: 'ended';
  readonly text: string;
  readonly milliseconds: number;
  readonly growthBytes: number;
}

/** Milliseconds after which a trial is ended, on a machine that does other things, too. */
const killMilliseconds = 60_000;
/** Megabytes of the child's heap: what asks for more ends it. */
const heapMegabytes = 1024;

/** A child that tries files, started anew if one ends it. */
export class Trials {
  private child: ChildProcess | undefined;

  /** Asks a file everything, or what its first view asks. */
  async try(file: string, isFirst = false): Promise<Trial> {
    const child = (this.child ??= await start());
    const started = performance.now();
    const timer = setTimeout(() => child.kill('SIGKILL'), killMilliseconds);
    const result = new Promise<Trial>((settle) => {
      child.once('message', (reply) => settle(reply as TrialReply));
      child.once('exit', (code, signal) => {
        this.child = undefined;
        const milliseconds = performance.now() - started;
        settle({ outcome: 'ended', text: `ended: ${signal ?? code}`, milliseconds, growthBytes: 0 });
      });
    });
    child.send({ file, isFirst } satisfies TrialRequest);
    const trial = await result;
    clearTimeout(timer);
    child.removeAllListeners();
    return trial;
  }

  async stop(): Promise<void> {
    const { child } = this;
    if (!child?.connected) return;
    const exit = once(child, 'exit');
    child.kill('SIGKILL');
    await exit;
  }
}

async function start(): Promise<ChildProcess> {
  const child = fork(resolve('dist/test/fuzz/child.js'), {
    execArgv: [
      '--expose-gc',
      '--enable-source-maps',
      '--max-semi-space-size=4',
      `--max-old-space-size=${heapMegabytes}`,
    ],
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
  });
  const [word] = (await Promise.race([once(child, 'message'), once(child, 'exit')])) as unknown[];
  if (word !== 'ready') throw new Error(`the child of the trials ended: ${String(word)}`);
  return child;
}
