import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { execFileSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';

describe('compiled code of the commands', () => {
  const folder = mkdtempSync(join(tmpdir(), 'vitrine-compiled-'));
  const [program, launcher, kept] = ['program.js', 'launcher.js', 'kept'].map((name) =>
    join(folder, name),
  ) as [string, string, string];
  const write = (word: string): void => {
    writeFileSync(
      program,
      `const { EOL } = require('node:os'); module.exports = EOL;
       setImmediate(() => process.stdout.write('${word}' + EOL));`,
    );
  };
  const run = (): string => execFileSync(process.execPath, [launcher], { encoding: 'utf8' }).trim();
  const names = (): readonly string[] => readdirSync(kept);
  const part = join(folder, 'shared-PART.js');

  before(async () => {
    write('first');
    await build({
      stdin: {
        contents: `import { runCompiled } from './src/commandLine/compiled';
          runCompiled(${JSON.stringify(program)}, ${JSON.stringify(kept)});`,
        resolveDir: process.cwd(),
      },
      bundle: true,
      platform: 'node',
      outfile: launcher,
    });
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  it('is kept by the first run and used by the next', () => {
    assert.equal(run(), 'first');
    const [name] = names();
    assert.ok(name);
    const written = statSync(join(kept, name)).mtimeMs;
    assert.equal(run(), 'first');
    assert.deepEqual(names(), [name]);
    assert.equal(statSync(join(kept, name)).mtimeMs, written, 'it was not written again');
  });

  it('follows the program: another one of the same length is compiled anew, the old code goes', () => {
    const before = names();
    write('other');
    assert.equal(run(), 'other');
    assert.equal(names().length, 1);
    assert.notDeepEqual(names(), before);
  });

  it('holds the shared files beside the program, each run once however often it is asked for', function () {
    this.timeout(60_000);
    writeFileSync(part, `globalThis.runs = (globalThis.runs ?? 0) + 1; exports.place = __filename;`);
    writeFileSync(
      program,
      `const one = require('./shared-PART.js'); const two = require('./shared-PART.js');
       process.stdout.write([one === two, one.place, globalThis.runs, require.resolve('node:fs')].join());`,
    );
    const answer = `true,${part},1,node:fs`;
    assert.equal(run(), answer);
    const before = names();
    assert.equal(run(), answer);
    assert.deepEqual(names(), before);
    writeFileSync(part, `globalThis.runs = (globalThis.runs ?? 0) + 2; exports.place = __filename;`);
    assert.equal(run(), `true,${part},2,node:fs`);
    assert.notDeepEqual(names(), before);
    rmSync(part);
    write('other');
    assert.equal(run(), 'other');
  });

  it('is made again where it is damaged', () => {
    const [name = ''] = names();
    writeFileSync(join(kept, name), 'no code');
    assert.equal(run(), 'other');
    assert.ok(statSync(join(kept, name)).size > 100);
  });

  it('may fail to be kept', () => {
    rmSync(kept, { recursive: true });
    writeFileSync(kept, 'a file where the folder should be');
    assert.equal(run(), 'other');
  });
});
