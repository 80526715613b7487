import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import type { HostileReply } from '../unit/checkpoint/hostileChild';
import { largeFiles } from '../unit/checkpoint/hostileLarge';
import { dist } from './processes';
import { spreadOf } from './statistics';
import type { Row } from './table';

/** What this needs of a case of test/fixtures/hostile/cases.json. */
interface HostileCase {
  readonly file: string;
  readonly format: string;
  readonly setup?: unknown;
  readonly recipe?: unknown;
}

const folder = resolve('test/fixtures/hostile');
const files = join(folder, 'files');

/** How long the reader takes at most over a broken or hostile file. Those that a test has to prepare first are left to the tests. */
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
    const times: { readonly file: string; readonly milliseconds: number }[] = [];
    for (const { file } of cases) {
      child.send({ file: provide(file, room) });
      const [reply] = (await once(child, 'message')) as [HostileReply];
      times.push({ file, milliseconds: reply.milliseconds });
    }
    return [slowestRow(times)];
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

function slowestRow(times: readonly { readonly file: string; readonly milliseconds: number }[]): Row {
  const [first, second] = [...times].sort((a, b) => b.milliseconds - a.milliseconds);
  const name = ({ file, milliseconds }: typeof first & object) => `${file} (${Math.round(milliseconds)} ms)`;
  const median = spreadOf(times.map(({ milliseconds }) => milliseconds)).median;
  return {
    what: 'hostile files, the slowest to open',
    value: spreadOf([first!.milliseconds]),
    unit: 'ms',
    target: 1000,
    detail: `${times.length} files, median ${median.toFixed(1)} ms: ${name(first!)}, then ${name(second!)}`,
  };
}
