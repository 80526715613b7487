// Opens hostile files one after another, watched by hostile.test.ts from outside: it measures
// itself and may be killed at any time.
import { appendFileSync, existsSync, readFileSync, readdirSync, truncateSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { openCheckpoint } from '../../../src/checkpoint/open';
import { readTensor } from '../../../src/checkpoint/values';

/**
 * What the parent asks for: a file to open, and what happens to it between opening it and reading a
 * tensor.
 */
export interface HostileRequest {
  readonly file: string;
  readonly afterOpen?: {
    readonly then: 'truncate' | 'append';
    readonly to?: number;
    readonly bytes?: number;
  };
}

export interface HostileReply {
  readonly outcome: 'opens' | 'opens with warning' | 'refused' | 'crashed';
  /** The error message or the warnings, and what reading a tensor after a change said. */
  readonly text: string;
  readonly kind?: string;
  readonly milliseconds: number;
  /** Peak of the resident memory during the case above this process's idle memory. */
  readonly growthBytes: number;
  /** Every path that was opened or listed. */
  readonly opened: readonly string[];
  /** A payload created its file in the working directory. */
  readonly canary: boolean;
}

const opened: string[] = [];
recordOpens();
const idleBytes = process.memoryUsage.rss();
process.on('message', (request: HostileRequest) => {
  void answer(request).then((reply) => process.send!(reply));
});
process.send!('ready');

async function answer(request: HostileRequest): Promise<HostileReply> {
  global.gc?.();
  resetPeak();
  opened.length = 0;
  const started = performance.now();
  const result = await open(request);
  return {
    ...result,
    milliseconds: performance.now() - started,
    growthBytes: peakBytes() - idleBytes,
    opened: [...opened],
    canary: existsSync('CANARY') || readdirSync(dirname(request.file)).includes('CANARY'),
  };
}

async function open({
  file,
  afterOpen,
}: HostileRequest): Promise<Pick<HostileReply, 'outcome' | 'text' | 'kind'>> {
  try {
    const checkpoint = await openCheckpoint(file);
    const outcome = checkpoint.warnings.length > 0 ? 'opens with warning' : 'opens';
    if (!afterOpen) return { outcome, text: checkpoint.warnings.join('\n') };
    if (afterOpen.then === 'truncate') truncateSync(file, afterOpen.to);
    else appendFileSync(file, new Uint8Array(afterOpen.bytes!));
    await setTimeout(1);
    const tensor = checkpoint.selected.tensors.find(({ name }) => name === 'head.weight')!;
    const text = await readTensor(tensor).then(
      () => '',
      (error: Error) => error.message,
    );
    return { outcome, text };
  } catch (error) {
    const { name, message, kind } = error as Error & { kind?: string };
    return { outcome: name === 'CheckpointError' ? 'refused' : 'crashed', text: message, kind };
  }
}

/** Every file that the reader opens goes through these; the bundle looks them up at each call. */
function recordOpens(): void {
  const promises = createRequire(__filename)('node:fs/promises') as Record<
    string,
    (...args: unknown[]) => unknown
  >;
  for (const name of ['open', 'readFile', 'readdir', 'opendir']) {
    const original = promises[name]!;
    promises[name] = (path, ...rest) => {
      opened.push(String(path));
      return original(path, ...rest);
    };
  }
}

/**
 * Linux forgets the peak so far when asked; elsewhere the peak of the whole process is an upper
 * bound.
 */
function resetPeak(): void {
  if (process.platform === 'linux') writeFileSync('/proc/self/clear_refs', '5');
}

function peakBytes(): number {
  if (process.platform !== 'linux') return process.resourceUsage().maxRSS * 1024;
  const peak = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'));
  return Number(peak![1]) * 1024;
}
