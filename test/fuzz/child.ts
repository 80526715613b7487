// Takes one file after another through readers, recognition, graph and reports, measures itself,
// and may be killed at any time: `watched.ts` holds it from outside.
import { readFileSync, writeFileSync } from 'node:fs';
import { seamsOf } from './errors';
import { askEverything } from './questions';

export interface TrialRequest {
  readonly file: string;
  /** Ask what a first view asks, and no more. */
  readonly isFirst: boolean;
}

export interface TrialReply {
  /** What became of it: opened and counted, refused in our words, or an error of ours to mend. */
  readonly outcome: 'opens' | 'refused' | 'fault';
  /** Refusals, warnings, and what went wrong, a line each. */
  readonly text: string;
  /** Of the processor, whatever else the machine does. */
  readonly milliseconds: number;
  /** Peak of the resident memory during the trial above that of this process when idle. */
  readonly growthBytes: number;
}

// What is loaded with the first file is no file's fault.
const warmedUp = askEverything('test/fixtures/hostile/files/safetensors/healthy.safetensors');
let idleBytes = 0;
process.on('message', ({ file, isFirst }: TrialRequest) => {
  void attempt(file, isFirst).then((reply) => process.send?.(reply));
});
void warmedUp.then(() => {
  global.gc?.();
  idleBytes = process.memoryUsage.rss();
  process.send?.('ready');
});

async function attempt(file: string, isFirst: boolean): Promise<TrialReply> {
  global.gc?.();
  resetPeak();
  const started = process.cpuUsage();
  const answers = await askEverything(file, isFirst);
  const { user, system } = process.cpuUsage(started);
  const milliseconds = (user + system) / 1000;
  const growthBytes = peakBytes() - idleBytes;
  const faults = answers.flatMap(({ about, value }) => seamsOf(value).map((line) => `${about}: ${line}`));
  const refusals = answers.flatMap(({ value }) => (value instanceof Error ? [value.message] : []));
  const [opening] = answers;
  const outcome = faults.length > 0 ? 'fault' : opening?.value instanceof Error ? 'refused' : 'opens';
  const warnings = answers.flatMap(({ about, value }) =>
    about === 'json' && typeof value === 'string' ? [value] : [],
  );
  const text = [...faults, ...refusals, ...warnings].join('\n');
  return { outcome, text, milliseconds, growthBytes };
}

/** Linux forgets the peak so far when asked; elsewhere that of the whole process is a bound. */
function resetPeak(): void {
  if (process.platform === 'linux') writeFileSync('/proc/self/clear_refs', '5');
}

function peakBytes(): number {
  if (process.platform !== 'linux') return process.resourceUsage().maxRSS * 1024;
  const peak = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'));
  return Number(peak?.[1]) * 1024;
}
