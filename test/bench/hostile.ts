import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import type { HostileReply } from '../unit/checkpoint/hostileChild';
import { largeFiles } from '../unit/checkpoint/hostileLarge';
import { dist } from './processes';
import { spreadOf } from './statistics';
import { formatTime, type Row } from './table';

/** What this needs of a case of test/fixtures/hostile/cases.json. */
interface HostileCase {
  readonly file: string;
  readonly format: string;
  readonly setup?: unknown;
  readonly recipe?: unknown;
}

interface Opened {
  readonly file: string;
  readonly path: string;
  readonly milliseconds: number;
}

/** Readings of the slowest file. */
const repeats = 5;

const folder = resolve('test/fixtures/hostile');
const files = join(folder, 'files');

/**
 * How long the reader takes at most over a broken or hostile file. Those that a test has to prepare
 * first are left to the tests.
 */
export async function measureHostile(): Promise<readonly Row[]> {
  const all = JSON.parse(readFileSync(join(folder, 'cases.json'), 'utf8')) as readonly HostileCase[];
  const cases = all.filter(({ format, setup, recipe }) => format !== 'image' && !setup && !recipe);
  const room = mkdtempSync(join(tmpdir(), 'vitrine-bench-'));
  const child = fork(`${dist}/test/unit/checkpoint/hostileChild.js`, {
    cwd: room,
    execArgv: ['--expose-gc'],
    serialization: 'advanced',
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
  });
  try {
    await once(child, 'message');
    const open = async (path: string): Promise<number> => {
      child.send({ file: path });
      const [reply] = (await once(child, 'message')) as [HostileReply];
      return reply.milliseconds;
    };
    const times: Opened[] = [];
    for (const { file } of cases) {
      const path = provide(file, room);
      times.push({ file, path, milliseconds: await open(path) });
    }
    const slowest = times.reduce((most, each) => (each.milliseconds > most.milliseconds ? each : most));
    const repeated: number[] = [];
    for (let repeat = 0; repeat < repeats; repeat++) repeated.push(await open(slowest.path));
    return [slowestRow(slowest, repeated, times)];
  } finally {
    child.kill();
    rmSync(room, { recursive: true, force: true });
  }
}

/** Where a case's file is; the large ones are written first. */
function provide(file: string, room: string): string {
  const write = largeFiles[file];
  if (!write) return join(files, file);
  mkdirSync(join(room, 'large'), { recursive: true });
  const path = join(room, 'large', basename(file));
  write(path, (name) => readFileSync(join(files, name)));
  return path;
}

function slowestRow({ file }: Opened, repeated: readonly number[], times: readonly Opened[]): Row {
  const median = spreadOf(times.map(({ milliseconds }) => milliseconds)).median;
  return {
    what: 'hostile files, the slowest to open',
    value: spreadOf(repeated),
    unit: 'ms',
    target: 1000,
    detail: `${file}; the median of ${times.length} files took ${formatTime(median)}`,
  };
}
