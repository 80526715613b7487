import { fork, type ChildProcess } from 'node:child_process';
import { unlessAborted } from '../domain/aborting';
import { createChannel, RemoteError, type Channel, type Packet } from '../protocol/channel';
import { inferenceVersion, type Hello, type InferenceApi, type Report } from './remoteApi';
import { removeTemporaryFolders } from './temporary';

/** Where diagnostics go: VS Code's output channel, or nowhere. */
export interface Log {
  debug(message: string): void;
  info(message: string): void;
  warn(message: string): void;
}

export interface ClientOptions {
  /** The bundled process entry, `dist/process.js`. */
  readonly processPath: string;
  readonly log: Log;
  /** Told what is going on: `loading 346 MB`; a request may have a listener of its own. */
  readonly onProgress?: ((message: string) => void) | undefined;
  /** Added to the child's environment; tests point it at a software Vulkan driver. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
}

/** The other end, as methods that return promises. */
export type RemoteInference = Channel<InferenceApi, object>['remote'];

/** A request that its asker no longer wants. */
export class CancelledError extends Error {
  override readonly name = 'cancelled';
  constructor() {
    super('cancelled');
  }
}

/**
 * The process went away under a request, which may be repeated: the next one starts a new process.
 */
export class ProcessEndedError extends Error {
  override readonly name = 'ProcessEndedError';
}

/**
 * Milliseconds for the first word of a new process; starting takes half a second on a slow machine.
 */
const helloTimeout = 30_000;
/** Milliseconds in which a request that nobody wants may still end by itself. */
const graceOfCancelled = 300;
/** Milliseconds to end by itself before it is killed. */
const farewellTimeout = 2000;
/** Characters of the child's standard error that an exit's reason may quote. */
const stderrLength = 4000;

interface Connection {
  readonly child: ChildProcess;
  readonly channel: Channel<InferenceApi, object>;
  readonly hello: Promise<Hello>;
  readonly ended: Promise<void>;
  /** Why it was ended on purpose. */
  reason?: Error;
}

/**
 * The inference process as seen from outside: forked at the first request, greeted with a version,
 * started again after it ended. Requests run one at a time, because the runtime blocks its process;
 * cancelling the one that runs kills the process, which is the only way to stop the runtime, unless
 * it ends by itself at once: starting the process and loading the model again costs more. Every
 * request ends in a reply, an error, or the reason why the process ended.
 */
export class InferenceClient {
  private connection: Connection | undefined;
  private queue: Promise<unknown> = Promise.resolve();
  private disposed = false;
  /** Counts the processes: what was loaded in an earlier one is gone. */
  generation = 0;

  constructor(private readonly options: ClientOptions) {}

  /**
   * Runs `task` when all earlier ones have ended. Aborting the signal ends it with a
   * `CancelledError`; one that waits is never started.
   */
  request<T>(
    task: (remote: RemoteInference, hello: Hello) => Promise<T>,
    signal?: AbortSignal,
    onReport: ((report: Report) => void) | undefined = this.onMessage,
  ): Promise<T> {
    const turn = this.queue.then(() => this.perform(task, signal, onReport));
    this.queue = turn.catch(() => undefined);
    return signal ? unlessAborted(turn, signal, () => new CancelledError()) : turn;
  }

  /** Messages alone: nobody asked for a text. */
  private readonly onMessage = (report: Report): void => {
    if (typeof report === 'string') this.options.onProgress?.(report);
  };

  /** Tells the text that is being generated to end; it is not a request and waits for none. */
  stopText(): void {
    void this.connection?.channel.remote.stop().catch(() => undefined);
  }

  /** Process id while there is a process. */
  get processId(): number | undefined {
    return this.connection?.child.pid;
  }

  /** Ends the process and waits until it is gone. Requests that still wait end with an error. */
  async dispose(): Promise<void> {
    this.disposed = true;
    await this.stop();
  }

  /** Ends the process, if there is one; the next request starts another. */
  async stop(): Promise<void> {
    const { connection } = this;
    if (!connection) return;
    this.connection = undefined;
    connection.reason ??= new ProcessEndedError('the inference process was stopped');
    if (connection.child.connected) connection.child.disconnect();
    const timer = setTimeout(() => connection.child.kill('SIGKILL'), farewellTimeout);
    await connection.ended;
    clearTimeout(timer);
  }

  private async perform<T>(
    task: (remote: RemoteInference, hello: Hello) => Promise<T>,
    signal: AbortSignal | undefined,
    onReport: ((report: Report) => void) | undefined,
  ): Promise<T> {
    if (signal?.aborted) throw new CancelledError();
    if (this.disposed) throw new ProcessEndedError('the inference process was stopped');
    const known = this.connection;
    let connection = (this.connection ??= this.connect());
    let timer: NodeJS.Timeout | undefined;
    const kill = (): void => {
      connection.reason = new CancelledError();
      connection.child.kill('SIGKILL');
    };
    const cancel = (): void => void (timer = setTimeout(kill, graceOfCancelled));
    signal?.addEventListener('abort', cancel, { once: true });
    try {
      // One that ended while nobody asked, and is not known to have, costs this request nothing.
      if (known && !(await isAlive(known)) && !signal?.aborted)
        connection = this.connection ??= this.connect();
      const hello = await connection.hello;
      return await task(connection.channel.remoteWith({ onProgress: onReport }), hello);
    } catch (error) {
      // A process that is ending takes its request along; the reason is known when it is gone.
      if (error instanceof RemoteError && error.name === 'ChannelClosed') {
        await connection.ended;
        throw connection.reason ?? new ProcessEndedError(error.message, { cause: error });
      }
      throw error;
    } finally {
      signal?.removeEventListener('abort', cancel);
      clearTimeout(timer);
      // The killed process must be gone before the next request may start another: two would need
      // twice the memory.
      if (connection.reason instanceof CancelledError) await connection.ended;
    }
  }

  private connect(): Connection {
    const { processPath, log, environment } = this.options;
    const child = fork(processPath, [], {
      serialization: 'advanced',
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      // Without this the child would inherit --inspect-brk from a debugged extension host, and
      // wait.
      execArgv: [],
      env: { ...process.env, ...environment, ...childEnvironment },
    });
    this.generation++;
    log.debug(`inference process ${child.pid} started`);
    // A process that cannot be told anything is of no use; its exit fails the calls that wait.
    const post = (packet: Packet): void =>
      void child.send(packet, (error) => error && void child.kill('SIGKILL'));
    const channel = createChannel<InferenceApi>(post);
    child.on('message', (packet: Packet) => channel.receive(packet));
    const stderr = collect(child, log);
    const connection: Connection = {
      child,
      channel,
      hello: greet(channel, child),
      ended: new Promise((resolve) => {
        const end = (reason: string): void => {
          if (this.connection === connection) this.connection = undefined;
          if (!connection.reason) log.warn(reason);
          channel.close(reason);
          if (child.pid !== undefined) removeTemporaryFolders(child.pid);
          resolve();
        };
        child.once('error', (error) => end(`the inference process could not be started: ${error.message}`));
        child.once('exit', (code, signal) => end(exitReason(code, signal, stderr())));
      }),
    };
    connection.hello.catch(() => undefined);
    return connection;
  }
}

/** Whether the process still answers; if not, it is gone when this resolves. */
async function isAlive({ channel, ended }: Connection): Promise<boolean> {
  try {
    await channel.remote.memory();
    return true;
  } catch (error) {
    if (!(error instanceof RemoteError) || error.name !== 'ChannelClosed') throw error;
    await ended;
    return false;
  }
}

/**
 * - Telemetry: official builds of ONNX Runtime upload usage data unless told not to before the
 *   first session.
 * - glibc raises its mmap threshold as blocks are freed, and would keep a released model's memory;
 *   a fixed one gives it back. It lies above an attention map of ViT-B (1.9 MB), and freed memory
 *   is not trimmed at once: maps in pages that are new in every run cost 20 % of it. A heap for
 *   each thread that decodes would keep 13 MB more.
 * - Inside VS Code the executable is Electron, which acts as Node only when told so.
 */
const childEnvironment = {
  ORT_DISABLE_TELEMETRY: '1',
  MALLOC_MMAP_THRESHOLD_: '2097152',
  MALLOC_TRIM_THRESHOLD_: '33554432',
  MALLOC_ARENA_MAX: '1',
  ELECTRON_RUN_AS_NODE: '1',
};

async function greet(channel: Channel<InferenceApi, object>, child: ChildProcess): Promise<Hello> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    const reason = `the inference process said nothing for ${helloTimeout / 1000} s; try again`;
    timer = setTimeout(() => reject(new ProcessEndedError(reason)), helloTimeout);
  });
  try {
    const hello = await Promise.race([channel.remote.hello(), late]);
    if (hello.version === inferenceVersion) return hello;
    throw new Error(
      `the inference process speaks version ${hello.version}, this window version ${inferenceVersion}; reload the window`,
    );
  } catch (error) {
    // The next request must not meet a process that could not even say this.
    child.kill('SIGKILL');
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

/** Logs what the child writes, and keeps the end of its standard error. */
function collect(child: ChildProcess, log: Log): () => string {
  let tail = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => log.debug(text.trimEnd()));
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    log.debug(text.trimEnd());
    tail = (tail + text).slice(-stderrLength);
  });
  return () => tail;
}

/** What a signal that nobody sent on purpose means. */
const signals: Readonly<Record<string, string>> = {
  SIGBUS:
    'a file that it was reading was cut off or overwritten (SIGBUS). If a training job is writing the checkpoint, wait until it is done; then try again',
  SIGKILL:
    'the system killed it (SIGKILL), most likely because memory ran out. Close other programs, or use a smaller model or image size',
  SIGSEGV: 'the native runtime crashed (SIGSEGV). Try again, or choose the CPU provider',
  SIGABRT: 'the native runtime gave up (SIGABRT). Try again, or choose the CPU provider',
  SIGILL: 'this processor lacks an instruction that the native runtime needs (SIGILL)',
  SIGTRAP: 'the native runtime stopped (SIGTRAP), most likely because a single allocation was too large',
  SIGTERM: 'something asked it to stop (SIGTERM). Try again',
};

/** Exit codes of Windows, which has no signals. */
const codes: Readonly<Record<number, string>> = {
  0xc0000005: 'the native runtime crashed (access violation). Try again, or choose the CPU provider',
  0xc0000006:
    'a file that it was reading could not be read any more (in-page error). Check that the disk is still connected',
  0xc0000017: 'memory ran out. Close other programs, or use a smaller model or image size',
};

/** Why a process ended, in a sentence for the user. */
export function exitReason(code: number | null, signal: string | null, stderr: string): string {
  const heap = /heap out of memory/.test(stderr)
    ? 'its JavaScript memory ran out. Use a smaller image or image size'
    : undefined;
  const known = heap ?? (signal ? signals[signal] : codes[(code ?? 0) >>> 0]);
  const last = stderr.trim().split('\n').at(-1)?.slice(0, 300);
  const plain = signal ? `it received ${signal}` : `it exited with code ${code}${last ? `: ${last}` : ''}`;
  return `the inference process ended because ${known ?? plain}`;
}
