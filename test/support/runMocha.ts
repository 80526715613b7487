// Runs the built tests of one folder, in plain Node or inside an extension host:
//   node dist/test/support/runMocha.js dist/test/unit [--timeout MILLISECONDS] [--grep PATTERN]
import { readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { format, parseArgs } from 'node:util';
import Mocha from 'mocha';
import { skipReason } from './skip';

/** Starts the one line of output that is meant for test/run/test.mjs and not for a reader. */
const summaryMark = '##vitrine-summary';

export interface SuiteOptions {
  readonly timeout?: string;
  readonly grep?: string;
  /** Gets each line of the report; standard output where it is not given. */
  readonly print?: (line: string) => void;
}

/**
 * Runs every `*.test.js` below a folder, prints each test and at last one line with the counts.
 *
 * @returns the number of failures
 */
export function runSuite(folder: string, options: SuiteOptions = {}): Promise<number> {
  const { print } = options;
  if (print) {
    Mocha.reporters.Base.consoleLog = (...parts: unknown[]) =>
      format(...parts)
        .split('\n')
        .forEach(print);
  }
  const mocha = new Mocha({
    ui: 'bdd',
    color: process.env.FORCE_COLOR !== undefined && !print,
    timeout: Number(options.timeout ?? 20_000),
    grep: options.grep,
    reporter: SummaryReporter,
  });
  for (const file of testFiles(folder)) mocha.addFile(file);
  return new Promise((done) => mocha.run(done));
}

function testFiles(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.test.js'))
    .sort()
    .map((name) => resolve(join(folder, name)));
}

class SummaryReporter extends Mocha.reporters.Spec {
  constructor(runner: Mocha.Runner, options?: Mocha.MochaOptions) {
    super(runner, options);
    const skipped: { title: string; reason: string }[] = [];
    const failures: string[] = [];
    runner.on('fail', (test) => failures.push(test.fullTitle()));
    runner.on('pending', (test) => skipped.push({ title: test.fullTitle(), reason: skipReason(test) }));
    runner.once('end', () => {
      const { passes = 0, failures: failed = 0 } = runner.stats ?? {};
      Mocha.reporters.Base.consoleLog(
        `${summaryMark} ${JSON.stringify({ passed: passes, failed, failures, skipped })}`,
      );
    });
  }
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { timeout: { type: 'string' }, grep: { type: 'string' } },
  });
  let failures = 0;
  for (const folder of positionals) failures += await runSuite(folder, values);
  // A test may leave a child process or a socket behind; that must not keep the run from ending.
  process.exit(failures > 0 ? 1 : 0);
}

if (require.main === module) void main();
