import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { createInference, type ClassifyRequest, type Inference } from '../../src/inference/service';
import { defaultLimits } from '../../src/inference/memory';
import { createMemoryStore } from '../../src/inference/providers';
import { OpenedModels, type OpenedModel } from '../../src/models/openedModels';

/** What many requests leave behind, in bytes, beyond what the first ones took. */
export interface Left {
  /** Heap of the process that asks, which is VS Code's extension host. */
  readonly host: number;
  /** Resident memory of the process that runs the model. */
  readonly child: number;
  /** Listeners of the signal that all rows of a batch share. */
  readonly listeners: number;
}

/**
 * Requests before anything is measured: what is loaded, compiled and kept once. The memory of the
 * process that runs the model grew by 10 MB in the second hundred runs, by 12 MB in the next eight
 * hundred, and by less than 2 MB in five thousand rows after them.
 */
const warmUp = 200;

const image = resolve('media/sample/images/cat-on-grass.jpg');
const sample = resolve('media/sample/vitrine-sample');

/** Heap in use after a collection, which is to be had without a flag of the process. */
function heap(): number {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
  return process.memoryUsage().heapUsed;
}

/** Resident memory of the child processes, which is known on Linux alone. */
function childBytes(): number {
  if (process.platform !== 'linux') return 0;
  const children = readFileSync(`/proc/self/task/${process.pid}/children`, 'utf8').trim().split(/\s+/);
  return children.filter((pid) => pid !== '').reduce((sum, pid) => sum + residentOf(pid), 0);
}

function residentOf(pid: string): number {
  try {
    return (
      1024 * Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(join('/proc', pid, 'status'), 'utf8'))?.[1] ?? 0)
    );
  } catch {
    return 0; // it has ended since
  }
}

/** A signal that counts who listens to it. */
function counted(): { readonly signal: AbortSignal; readonly listeners: () => number } {
  const { signal } = new AbortController();
  let listeners = 0;
  const add = signal.addEventListener.bind(signal);
  const remove = signal.removeEventListener.bind(signal);
  signal.addEventListener = (...args: Parameters<typeof add>) => {
    listeners++;
    add(...args);
  };
  signal.removeEventListener = (...args: Parameters<typeof remove>) => {
    listeners--;
    remove(...args);
  };
  return { signal, listeners: () => listeners };
}

async function repeated(count: number, once: (index: number) => Promise<unknown>): Promise<void> {
  for (let index = 0; index < count; index++) await once(index);
}

/** Runs an image as the panel does, each with a signal of its own, and asks for one map. */
async function oneRun(inference: Inference, opened: OpenedModel): Promise<void> {
  const { signal } = new AbortController();
  const { run } = await inference.classify({ opened, image, attention: true, signal });
  await inference.attention(run, { kind: 'mean' }, 'raw', { signal });
}

/** Runs an image as a batch does, with the signal of the whole table. */
const oneRow = (inference: Inference, request: Omit<ClassifyRequest, 'image'>): Promise<unknown> =>
  inference.classify({ ...request, image, displaySide: 0, topK: 2 });

/** What `runs` of the panel and `rows` of one batch leave behind. */
export async function leftBehind(runs: number, rows: number): Promise<Left> {
  const inference = createInference({
    processPath: resolve('dist/process.js'),
    store: createMemoryStore(),
    log: { debug() {}, info() {}, warn() {} },
    limits: defaultLimits,
  });
  try {
    const opened = await new OpenedModels().open(sample);
    const { signal, listeners } = counted();
    await repeated(warmUp, () => oneRun(inference, opened));
    await repeated(warmUp, () => oneRow(inference, { opened, signal }));
    const [host, child] = [heap(), childBytes()];
    await repeated(runs, () => oneRun(inference, opened));
    await repeated(rows, () => oneRow(inference, { opened, signal }));
    return { host: heap() - host, child: childBytes() - child, listeners: listeners() };
  } finally {
    await inference.dispose();
  }
}
