import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { readArrays, writeHole } from './arrays';
import type { CaseCheck, Json } from './cases';
import { inputsOf, verdict, type Answered } from './verdict';

/** What does not hold of each check, in their order. */
export type Verdicts = readonly (readonly string[])[];

/** Milliseconds that one command may take. */
const longest = 120_000;
/** Files that one `inspect` is given: starting a program takes longer than opening a file. */
const batchSize = 40;
/** Bytes of output that are kept. */
const mostOutput = 2 ** 28;

interface Job {
  readonly index: number;
  readonly target: string;
  readonly check: CaseCheck;
}

/** Runs checks through the built command line, a few programs at once. */
export async function runFieldChecks(checks: readonly CaseCheck[]): Promise<Verdicts> {
  const box = mkdtempSync(join(tmpdir(), 'vitrine-field-'));
  try {
    const verdicts: (readonly string[])[] = checks.map(() => ['was not run']);
    const jobs = checks.map((check, index): Job => ({ index, target: staged(check, index, box), check }));
    const tasks = tasksOf(jobs, box);
    const worker = async (): Promise<void> => {
      for (let task = tasks.shift(); task; task = tasks.shift())
        for (const [{ index, check }, got] of await task())
          verdicts[index] = verdict(check.check.expect, got, check.folder);
    };
    await Promise.all(Array.from({ length: Math.max(2, availableParallelism()) }, worker));
    return verdicts;
  } finally {
    rmSync(box, { recursive: true, force: true });
  }
}

type Task = () => Promise<readonly (readonly [Job, Answered])[]>;

/** Files that are inspected with the same options together, everything else alone. */
function tasksOf(jobs: readonly Job[], box: string): Task[] {
  const tasks: Task[] = [];
  const batches = new Map<string, Job[]>();
  for (const job of jobs) {
    const { command, args = [] } = job.check.check;
    const key = args.join('\n');
    if (command !== 'inspect') tasks.push(async () => [[job, await alone(job, box)]]);
    else if (batches.has(key)) batches.get(key)?.push(job);
    else batches.set(key, [job]);
  }
  for (const batch of batches.values())
    for (let at = 0; at < batch.length; at += batchSize)
      tasks.unshift(() => together(batch.slice(at, at + batchSize), box));
  return tasks;
}

/** The path to open: a file of the case, or what its recipe makes. */
function staged({ folder, check: { open, recipe, beside } }: CaseCheck, index: number, box: string): string {
  if (!recipe) return join(folder, open);
  const path = join(box, String(index), open);
  mkdirSync(dirname(path), { recursive: true });
  writeHole(path, recipe);
  for (const [name, value] of Object.entries(beside ?? {}))
    writeFileSync(join(dirname(path), name), JSON.stringify(value));
  return path;
}

async function together(jobs: readonly Job[], box: string): Promise<readonly (readonly [Job, Answered])[]> {
  const paths = new Set(jobs.map(({ target }) => target));
  const { output } = await vitrine(['inspect', ...paths, '--json', ...(jobs[0]?.check.check.args ?? [])]);
  const answers = new Map(objectsIn(output).map((answer) => [answer['path'], answer]));
  const answered: (readonly [Job, Answered])[] = [];
  for (const job of jobs) {
    const answer = answers.get(job.target);
    if (!answer) answered.push([job, await alone(job, box)]);
    else answered.push([job, { status: answer['error'] ? 1 : 0, answer, stderr: '', paths: namesOf(job) }]);
  }
  return answered;
}

async function alone(job: Job, box: string): Promise<Answered> {
  const { folder, check } = job.check;
  const out = join(box, `${job.index}.safetensors`);
  const inputs = inputsOf(check.expect);
  const image = check.image === undefined ? [] : [join(folder, check.image)];
  const options: Readonly<Record<typeof check.command, readonly string[]>> = {
    run: ['--inputs', join(folder, inputs ?? ''), '--out', out],
    preprocess: [...image, '--out', out],
    classify: image,
    inspect: [],
  };
  const args = [check.command, job.target, ...options[check.command], '--json', ...(check.args ?? [])];
  const { status, output, errors } = await vitrine(args);
  const [answer] = objectsIn(output);
  // The message of an error is in the answer as well.
  const lines = errors.split('\n').filter((line) => !answer || !line.startsWith('error: '));
  const stderr = lines.join('\n');
  return { status, answer: answer ?? {}, stderr, written: readArrays(out), paths: namesOf(job) };
}

/** What an answer calls the file, which are no words of its own. */
function namesOf({ target, check: { folder, check } }: Job): readonly string[] {
  const image = check.image === undefined ? [] : [join(folder, check.image)];
  const file = basename(target).includes('.') ? [basename(target)] : [];
  return [...new Set([target, ...image, dirname(target), folder, ...file])].toSorted(
    (left, right) => right.length - left.length,
  );
}

interface Output {
  readonly status: number;
  readonly output: string;
  readonly errors: string;
}

function vitrine(args: readonly string[]): Promise<Output> {
  const options = { timeout: longest, maxBuffer: mostOutput };
  return new Promise((done) => {
    execFile(process.execPath, [resolve('dist/cli.js'), ...args], options, (error, output, errors) => {
      done({ status: typeof error?.code === 'number' ? error.code : error ? -1 : 0, output, errors });
    });
  });
}

/** The lines of an output that are JSON objects. */
function objectsIn(output: string): readonly Json[] {
  return output.split('\n').flatMap((line) => {
    try {
      const value: unknown = JSON.parse(line);
      return typeof value === 'object' && value !== null && !Array.isArray(value) ? [value as Json] : [];
    } catch {
      return [];
    }
  });
}
