import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { openOnce } from '../../../src/models/openedModels';
import { inspection } from '../../../src/useCases/inspect';
import { Trials, trialLimits, type TrialLimits, type TrialRequest } from '../../../src/useCases/trials';

const file = resolve('test/fixtures/cases/deit-transformers-safetensors/model.safetensors');
const asked: TrialRequest = { path: file, company: {} };

describe('a file that is tried first', function () {
  this.timeout(60_000);
  let room: string;
  let trials: Trials | undefined;
  before(() => void (room = mkdtempSync(join(tmpdir(), 'vitrine-trials-'))));
  afterEach(() => trials?.dispose());
  after(() => rmSync(room, { recursive: true, force: true }));

  /** A process that does this with every file. */
  function doing(does: string, limits: TrialLimits = trialLimits): Trials {
    const script = join(room, 'process.js');
    writeFileSync(script, `process.on('message', () => { ${does} });`);
    return (trials = new Trials(script, limits));
  }

  it('is opened by the real process within the limits, one after the other', async () => {
    trials = new Trials(resolve('dist/understand.js'));
    const both = await Promise.all([trials.try(asked), trials.try({ ...asked, path: `${file}.none` })]);
    assert.deepEqual(both, [undefined, undefined]);
  });

  it('is stopped when it takes too long, and the next one is tried anew', async () => {
    const limits = { ...trialLimits, milliseconds: 300 };
    const endless = doing("process.send('read'); for (;;);", limits);
    assert.equal(await endless.try(asked), 'stopped: understanding it takes more than 0.3 s');
    assert.equal(await endless.try(asked), 'stopped: understanding it takes more than 0.3 s');
  });

  it('is stopped when it takes too much memory, of its own heap or beside it', async () => {
    const heap = { ...trialLimits, heapMegabytes: 30 };
    const growing = doing("process.send('read'); const all = []; for (;;) all.push({ all: [1] });", heap);
    assert.match(String(await growing.try(asked)), /^stopped: understanding it takes more than 512 MB/);
    growing.dispose();
    if (process.platform !== 'linux') return;
    const buffers = doing("process.send('read'); global.b = Buffer.alloc(6e8, 1); for (;;);");
    assert.match(String(await buffers.try(asked)), /^stopped: understanding it takes more than 512 MB/);
  });

  it('is tried by a new process if the idle one was ended', async () => {
    const told = join(room, 'told');
    const short = doing(
      `require('node:fs').appendFileSync(${JSON.stringify(told)}, 'file\\n'); process.send('done', () => process.exit());`,
    );
    await short.try(asked);
    await new Promise((resolve) => setTimeout(resolve, 500));
    await short.try(asked);
    assert.equal(readFileSync(told, 'utf8'), 'file\nfile\n');
  });

  it('is refused when its headers alone take too much', async () => {
    const limits = { ...trialLimits, milliseconds: 300 };
    if (process.platform !== 'linux') return;
    await assert.rejects(doing('for (;;);', limits).try(asked), /model\.safetensors: stopped: reading it/);
  });

  it('is shown as its tensors when it was stopped', async () => {
    const reason = 'stopped: understanding it takes more than 5 s';
    const { model } = (await openOnce(file, {}, { stopped: reason })).settle();
    assert.equal(model.recognition.family, null);
    assert.ok(model.checkpoint.selected.tensors.length > 0);
    assert.ok(inspection(model).text.includes(reason));
    assert.equal(model.counts.params, (await openOnce(file)).settle().model.counts.params);
  });
});
