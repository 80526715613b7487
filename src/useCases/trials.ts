import { fork, type ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import type { Company } from '../models/openedModels';
import { CheckpointError } from '../checkpoint/errors';

/** A file to be tried, and what is read with it. */
export interface TrialRequest {
  readonly path: string;
  readonly company: Company;
}

/** What the process says of a trial: its headers are read; all is done, whatever came of it. */
export type TrialStage = 'read' | 'done';

/** What understanding a file may take, with the reason. */
export const trialLimits = {
  /**
   * Milliseconds of the processor; the largest published model takes 0.1 s, a file of 100 000
   * tensors 3 s. Where the system does not tell, those of the clock from when headers are read.
   */
  milliseconds: 5000,
  /** Bytes of memory; published models take up to 150 MB with the process itself. */
  bytes: 512e6,
  /** Megabytes of JavaScript's own memory, where nobody can watch the whole from outside. */
  heapMegabytes: 400,
} as const;

/** The same with other numbers. */
export type TrialLimits = Readonly<Record<keyof typeof trialLimits, number>>;

/** Milliseconds between two looks at the process. */
const watchEvery = 50;
/** Milliseconds that an idle process is kept for the next file. */
const idleMilliseconds = 60_000;

/**
 * Tries files in a process of its own, one at a time: a file that asks for too much costs that
 * process. It is started with the first file and let go when nobody asks for a while.
 */
export class Trials {
  private child: ChildProcess | undefined;
  private queue: Promise<unknown> = Promise.resolve();
  private idle: NodeJS.Timeout | undefined;

  /** @param processPath the bundled process entry, `dist/understand.js` */
  constructor(
    private readonly processPath: string,
    private readonly limits: TrialLimits = trialLimits,
  ) {}

  /**
   * Returns why understanding a file had to be stopped, undefined if it had not. Throws
   * `CheckpointError` if its headers could not even be read within the limits.
   */
  try(asked: TrialRequest): Promise<string | undefined> {
    return this.turn(() => this.perform(asked));
  }

  /** Does something when all that was asked before has ended. */
  private turn<T>(work: () => T | Promise<T>): Promise<T> {
    const turn = this.queue.then(work);
    this.queue = turn.catch(() => undefined);
    return turn;
  }

  /** One that was ended while nobody asked would answer nothing, and let every file pass. */
  private running(): ChildProcess {
    if (this.child?.connected !== true) {
      this.child = start(this.processPath, this.limits);
      // Whether it started is met again by the file.
      this.child.once('error', () => undefined);
    }
    return this.child;
  }

  private keepAWhile(): void {
    clearTimeout(this.idle);
    this.idle = setTimeout(() => this.dispose(), idleMilliseconds);
    this.idle.unref();
  }

  /** Starts the process, for a file that is about to be named. */
  warmUp(): void {
    void this.turn(() => {
      this.running();
      this.keepAWhile();
    });
  }

  /** Ends the process. */
  dispose(): void {
    clearTimeout(this.idle);
    this.child?.kill('SIGKILL');
    this.child = undefined;
  }

  private async perform(asked: TrialRequest): Promise<string | undefined> {
    clearTimeout(this.idle);
    const child = this.running();
    const { stage, reason } = await watched(child, asked, this.limits);
    child.removeAllListeners();
    if (reason === undefined) {
      this.keepAWhile();
      return undefined;
    }
    this.dispose();
    if (stage === 'read') return `stopped: understanding it ${reason}`;
    throw new CheckpointError('unsupported', asked.path, `stopped: reading it ${reason}`);
  }
}

function start(processPath: string, { heapMegabytes }: TrialLimits): ChildProcess {
  const child = fork(processPath, [], {
    serialization: 'advanced',
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    execArgv: [`--max-old-space-size=${heapMegabytes}`],
    // Inside VS Code the executable is Electron, which acts as Node only when told so.
    env: { ...process.env, ELECTRON_RUN_AS_NODE: '1' },
  });
  // It waits for files, and keeps nobody from ending.
  child.unref();
  child.channel?.unref();
  return child;
}

/** How far a trial came, and what it was stopped for. */
interface Ended {
  readonly stage: TrialStage | undefined;
  readonly reason?: string;
}

/** Sends a file to the process, and watches it until it answers or asks for too much. */
function watched(child: ChildProcess, asked: TrialRequest, limits: TrialLimits): Promise<Ended> {
  return new Promise((resolve) => {
    let stage: TrialStage | undefined;
    let isRead = 0;
    const before = usageOf(child.pid)?.milliseconds ?? 0;
    const end = (reason?: string): void => {
      clearInterval(timer);
      resolve({ stage, ...(reason !== undefined && { reason }) });
    };
    const timer = setInterval(() => {
      const reason = excess(usageOf(child.pid), before, isRead, limits);
      if (reason !== undefined) end(reason);
    }, watchEvery);
    child.on('message', (said: TrialStage) => {
      stage = said;
      isRead ||= performance.now();
      if (said === 'done') end();
    });
    child.once('exit', (code, signal) =>
      end(signal === 'SIGABRT' ? tooMuchMemory(limits) : ended(signal ?? code)),
    );
    child.once('error', () => end());
    child.send(asked, (error) => error && end());
  });
}

const tooMuchMemory = ({ bytes }: TrialLimits): string => `takes more than ${bytes / 1e6} MB of memory`;
const tooLong = ({ milliseconds }: TrialLimits): string => `takes more than ${milliseconds / 1000} s`;
const ended = (how: string | number | null): string => `ended the process that tried it (${how})`;

/** What a process uses beyond the limits. */
function excess(
  usage: Usage | undefined,
  before: number,
  isRead: number,
  limits: TrialLimits,
): string | undefined {
  if (usage && usage.bytes > limits.bytes) return tooMuchMemory(limits);
  const clock = isRead > 0 ? performance.now() - isRead : 0;
  const taken = usage ? usage.milliseconds - before : clock;
  return taken > limits.milliseconds ? tooLong(limits) : undefined;
}

interface Usage {
  /** Of the processor, since the process began. */
  readonly milliseconds: number;
  /** Resident memory. */
  readonly bytes: number;
}

/** Bytes of a page and ticks of a second, as Linux reports them on every system in use here. */
const [pageBytes, ticks] = [4096, 100];

/** What a process uses, as Linux tells it of others; undefined elsewhere, or if it is gone. */
function usageOf(pid: number | undefined): Usage | undefined {
  if (process.platform !== 'linux' || pid === undefined) return undefined;
  try {
    // Behind the name, which may hold anything: proc(5), fields 3 and on.
    const fields = (readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1) ?? '').split(' ');
    const [user, system, pages] = [fields[11], fields[12], fields[21]].map(Number);
    if (user === undefined || system === undefined || pages === undefined) return undefined;
    return { milliseconds: ((user + system) * 1000) / ticks, bytes: pages * pageBytes };
  } catch {
    return undefined;
  }
}
