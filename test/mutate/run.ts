// npm run mutate [-- ROOM …] [--seed N] [--count N] [--all]: plants small changes one at a time
// and counts those that the unit tests of the rooms asked for notice; with `--all`, those that any
// unit test does (half an hour: each survivor meets every sweep over all architectures). The share
// without it is a lower bound of that with it.
//
// All mutants of the sample are built into one set of test bundles, asleep; each run wakes one. A
// first run of every test file with none awake tells which files reach which mutants: a mutant
// meets only those, its own room's and then the quickest first, and one that no test reaches has
// survived.
import { execFile } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { seeded } from '../support/random';
import { buildTests, outdir, type Planted } from './build';
import { mutantsOf } from './mutants';

/** One that no test noticed, and why that is right or what it would take. */
interface Survivor {
  readonly file: string;
  readonly before: string;
  readonly after: string;
  readonly reason: string;
}

interface TestFile {
  readonly path: string;
  readonly milliseconds: number;
  readonly reaches: ReadonlySet<number>;
}

const rooms = ['checkpoint', 'preprocessing', 'attention', 'domain'];
const survivorsFile = 'test/mutate/survivors.json';
/** Least share of a room's mutants that must be noticed. */
const leastShare = 0.85;
/** A loop that never ends is noticed, too. */
const hangMilliseconds = 60_000;
const sourcesOf = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((name) => join(folder, name))
    .filter((file) => file.endsWith('.ts'))
    .sort();

/** A sample without repeats, the same for the same seed. */
function sample<T>(items: readonly T[], count: number, random: () => number): readonly T[] {
  return items
    .map((item) => ({ item, key: random() }))
    .sort((a, b) => a.key - b.key)
    .slice(0, count)
    .map(({ item }) => item);
}

function plant(room: string, count: number, seed: number, first: number): readonly Planted[] {
  const all = sourcesOf(`src/${room}`).flatMap((file) => mutantsOf(file, readFileSync(file, 'utf8')));
  return sample(all, count, seeded(seed)).map((mutant, index) => ({ ...mutant, room, id: first + index }));
}

/** Runs test files until the first failure; resolves to whether all passed. */
function passes(files: readonly string[], environment: Readonly<Record<string, string>>, limit: number) {
  const options = ['--ui', 'bdd', '--bail', '--timeout', '20000', '--exit', '--reporter', 'min'];
  const command = ['node_modules/mocha/bin/mocha.js', ...options, ...files];
  const env = { ...process.env, ...environment };
  return new Promise<boolean>((done) =>
    execFile(
      process.execPath,
      command,
      { env, timeout: limit, killSignal: 'SIGKILL', maxBuffer: 1e8 },
      (error) => done(error === null),
    ),
  );
}

/** Does a job for every item, as many at a time as there are processors. */
async function inParallel<T, R>(items: readonly T[], job: (item: T) => Promise<R>): Promise<readonly R[]> {
  const results: R[] = [];
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < items.length) {
      const index = next++;
      results[index] = await job(items[index] as T);
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, worker));
  return results;
}

async function measure(path: string, index: number): Promise<TestFile> {
  const asked = resolve(outdir, `asked-${index}.json`);
  const started = performance.now();
  const passed = await passes([path], { VITRINE_ASKED: asked }, 10 * hangMilliseconds);
  if (!passed) throw new Error(`${path} fails with no mutant awake`);
  const reaches = new Set(JSON.parse(readFileSync(asked, 'utf8')) as number[]);
  return { path, milliseconds: performance.now() - started, reaches };
}

const isOf = (room: string, path: string): boolean => path.includes(`/unit/${room}/`);

async function isNoticed({ id, room }: Planted, files: readonly TestFile[]): Promise<boolean> {
  const reaching = files
    .filter(({ reaches }) => reaches.has(id))
    .sort(
      (a, b) => Number(isOf(room, b.path)) - Number(isOf(room, a.path)) || a.milliseconds - b.milliseconds,
    );
  for (const { path, milliseconds } of reaching) {
    const limit = Math.ceil(hangMilliseconds + 10 * milliseconds);
    if (!(await passes([path], { VITRINE_MUTANT: String(id) }, limit))) return true;
  }
  return false;
}

function readSurvivors(): readonly Survivor[] {
  try {
    return JSON.parse(readFileSync(survivorsFile, 'utf8')) as Survivor[];
  } catch {
    return [];
  }
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      seed: { type: 'string', default: '1' },
      count: { type: 'string', default: '150' },
      all: { type: 'boolean', default: false },
    },
  });
  const chosen = positionals.length > 0 ? positionals : rooms;
  const count = Number(values.count);
  const planted = chosen.flatMap((room, index) => plant(room, count, Number(values.seed), index * count));
  const paths = (await buildTests(planted)).filter(
    (path) => values.all || chosen.some((room) => isOf(room, path)),
  );
  console.log(`${planted.length} mutants, ${paths.length} test files`);
  let index = 0;
  const files = await inParallel(paths, (path) => measure(path, index++));
  const known = readSurvivors();
  const reasonOf = (mutant: Planted): string =>
    known.find(
      (each) => each.file === mutant.file && each.before === mutant.before && each.after === mutant.after,
    )?.reason ?? '';
  let done = 0;
  const noticed = await inParallel(planted, async (mutant) => {
    const result = await isNoticed(mutant, files);
    if (++done % 50 === 0) console.log(`${done} of ${planted.length}`);
    return result;
  });
  const others = known.filter(({ file }) => !chosen.some((room) => file.startsWith(`src/${room}/`)));
  const survivors = planted.filter((_, at) => !noticed[at]);
  let poor = false;
  for (const room of chosen) {
    const all = planted.filter((mutant) => mutant.room === room).length;
    const left = survivors.filter((mutant) => mutant.room === room);
    const share = (all - left.length) / all;
    poor ||= share < leastShare;
    console.log(`${room}: ${all - left.length} of ${all} noticed, ${(100 * share).toFixed(1)} %`);
    for (const mutant of left)
      console.log(
        `  ${relative('src', mutant.file)}:${mutant.line}  ${mutant.before.slice(0, 70)}  ->  ${mutant.after.slice(0, 70)}  ${reasonOf(mutant) || '(no reason yet)'}`,
      );
  }
  const stored = survivors.map((mutant) => {
    const { file, before, after } = mutant;
    return { file, before, after, reason: reasonOf(mutant) };
  });
  writeFileSync(survivorsFile, `${JSON.stringify([...others, ...stored], undefined, 2)}\n`);
  process.exitCode = poor ? 1 : 0;
}

void main();
