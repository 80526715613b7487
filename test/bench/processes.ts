import { spawn, type ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createInterface, type Interface } from 'node:readline';
import { resolve } from 'node:path';

/** A program and its arguments. */
export type Command = readonly [program: string, ...args: string[]];

/** The built product; the bench itself lies below it. */
export const dist = resolve(__dirname, '../..');

/** The command `vitrine`. */
export const vitrine = (...args: readonly string[]): Command => [process.execPath, `${dist}/cli.js`, ...args];

/** One of the bench's own programs, built beside it. */
export const ownProgram = (name: string, ...args: readonly string[]): Command => [
  process.execPath,
  `${__dirname}/${name}.js`,
  ...args,
];

/** A program run to its end. */
export interface Finished {
  /** From before it was started until it had ended. */
  readonly milliseconds: number;
  readonly output: string;
}

/** Runs a program with an empty standard input. Throws where it fails. */
export async function runProgram([program, ...args]: Command): Promise<Finished> {
  const started = performance.now();
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  let errors = '';
  child.stdout.on('data', (text: Buffer) => (output += text));
  child.stderr.on('data', (text: Buffer) => (errors += text));
  const status = await ending(child);
  if (status !== 0)
    throw new Error(`${[program, ...args].join(' ')} ended with ${status}: ${errors.trim().slice(-500)}`);
  return { milliseconds: performance.now() - started, output };
}

/** Milliseconds of a whole process. */
export const processTime = async (command: Command): Promise<number> =>
  (await runProgram(command)).milliseconds;

const ending = (child: ChildProcess): Promise<number | string | null> =>
  new Promise((done, failed) => {
    child.once('error', failed);
    child.once('close', (code, signal) => done(code ?? signal));
  });

/** A program that stays, and answers every line it is given with one line of JSON. */
export class Peer {
  private readonly answers: AsyncIterator<string>;
  private readonly lines: Interface;

  /** What it answered first, without being asked. */
  first: unknown;

  private constructor(private readonly child: ChildProcess) {
    this.lines = createInterface({ input: child.stdout! });
    this.answers = this.lines[Symbol.asyncIterator]();
  }

  /** Starts it and waits for its first answer. */
  static async start([program, ...args]: Command): Promise<Peer> {
    const peer = new Peer(spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] }));
    peer.first = await peer.read();
    return peer;
  }

  /** Lets it run once; milliseconds by its own clock. */
  async run(): Promise<number> {
    return ((await this.ask('run')) as { milliseconds: number }).milliseconds;
  }

  /** Its answer to one line. */
  ask(line: string): Promise<unknown> {
    this.child.stdin!.write(`${line}\n`);
    return this.read();
  }

  async end(): Promise<void> {
    const ended = ending(this.child);
    this.child.stdin!.end();
    await ended;
  }

  private async read(): Promise<unknown> {
    const { value, done } = await this.answers.next();
    if (done) throw new Error(`${this.child.spawnargs.join(' ')} ended without an answer`);
    return JSON.parse(value);
  }
}

/** Peak of a process's resident memory in bytes (Linux). */
export function peakBytes(processId: number): number {
  const peak = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${processId}/status`, 'utf8'));
  return Number(peak![1]) * 1024;
}

/** The processes that this one has started and that still run (Linux). */
export function childProcesses(): readonly number[] {
  const ids = readFileSync(`/proc/${process.pid}/task/${process.pid}/children`, 'utf8');
  return ids.split(' ').filter(Boolean).map(Number);
}
