// npm run fuzz -- SECONDS [--check]: changes whole files of every format and the configs beside
// them, and takes each through all that a file can be asked. What fails is made smaller and kept in
// test/fuzz/found; how many files were tried in all stands in test/fuzz/tally.json, from where the
// next run goes on. `--check` keeps neither, and tries the kept failures first.
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createHash } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { seeded } from '../support/random';
import { drawCase, seedsIn, writeCase, type FuzzCase } from './cases';
import { Trials, type Trial } from './watched';

interface Tally {
  /** Files that were tried, by format. */
  files: number;
  seconds: number;
  faults: number;
}

const tallyFile = 'test/fuzz/tally.json';
const found = 'test/fuzz/found';
/** What one file may cost: milliseconds of the processor, bytes above the idle process. */
const most = { milliseconds: 2000, bytes: 64e6 };

/** What is wrong with a trial, if anything is. */
function faultOf({ outcome, text, milliseconds, growthBytes }: Trial): string | undefined {
  if (outcome === 'ended' || outcome === 'fault') return text;
  if (milliseconds > most.milliseconds) return `${Math.round(milliseconds)} ms`;
  return growthBytes > most.bytes ? `${Math.round(growthBytes / 1e6)} MB` : undefined;
}

class Fuzzer {
  private readonly trials = new Trials();
  private readonly room = mkdtempSync(join(tmpdir(), 'vitrine-fuzz-'));

  /** Tries a case; a cost is believed when it is met twice. */
  async fault(drawn: FuzzCase): Promise<string | undefined> {
    const once = async (): Promise<string | undefined> =>
      faultOf(await this.trials.try(writeCase(drawn, join(this.room, 'case'))));
    return (await once()) && once();
  }

  /** The same fault with as few edits as show one. */
  async smaller(drawn: FuzzCase): Promise<FuzzCase> {
    for (const edit of drawn.edits) {
      const less = { ...drawn, edits: drawn.edits.filter((each) => each !== edit) };
      if (less.edits.length > 0 && (await this.fault(less))) return this.smaller(less);
    }
    return drawn;
  }

  async end(): Promise<void> {
    await this.trials.stop();
    rmSync(this.room, { recursive: true, force: true });
  }
}

function keep(drawn: FuzzCase, fault: string): void {
  mkdirSync(found, { recursive: true });
  const name = createHash('sha256').update(JSON.stringify(drawn)).digest('hex').slice(0, 12);
  writeFileSync(join(found, `${name}.json`), `${JSON.stringify({ ...drawn, fault }, null, 2)}\n`);
}

const keptCases = (): readonly FuzzCase[] =>
  existsSync(found)
    ? readdirSync(found).map((name) => JSON.parse(readFileSync(join(found, name), 'utf8')) as FuzzCase)
    : [];

async function main(seconds: number, check: boolean): Promise<boolean> {
  const tally: Tally = existsSync(tallyFile)
    ? (JSON.parse(readFileSync(tallyFile, 'utf8')) as Tally)
    : { files: 0, seconds: 0, faults: 0 };
  const seeds = seedsIn(['test/fixtures/cases', 'test/fixtures/hostile/files']);
  const fuzzer = new Fuzzer();
  const started = performance.now();
  const elapsed = (): number => (performance.now() - started) / 1000;
  const random = seeded(tally.files + (check ? 1 : 0));
  const waiting = [...keptCases()];
  let [files, faults] = [0, 0];
  while (waiting.length > 0 || elapsed() < seconds) {
    const drawn = waiting.pop() ?? drawCase(random, seeds);
    const fault = await fuzzer.fault(drawn);
    files++;
    if (!fault) continue;
    faults++;
    const smaller = await fuzzer.smaller(drawn);
    console.log(`fault: ${JSON.stringify(smaller).slice(0, 600)}\n  ${fault.slice(0, 900)}`);
    if (!check) keep(smaller, fault);
  }
  await fuzzer.end();
  const all = {
    files: tally.files + files,
    seconds: Math.round(tally.seconds + elapsed()),
    faults: tally.faults + faults,
  };
  if (!check) writeFileSync(tallyFile, `${JSON.stringify(all)}\n`);
  console.log(
    `${files} files in ${Math.round(elapsed())} s, ${faults} faults; ${all.files} files in all runs`,
  );
  return faults === 0;
}

const [seconds = '60', ...flags] = process.argv.slice(2);
void main(Number(seconds), flags.includes('--check')).then((isFine) => (process.exitCode = isFine ? 0 : 1));
