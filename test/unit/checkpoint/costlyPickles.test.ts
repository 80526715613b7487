// Pickles that are made to cost more than they weigh, opened in a process that is measured.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Trials, type Trial } from '../../fuzz/watched';

/** Bytes above the idle process; of what really holds as many items as are read, twice as many. */
const mostBytes = 64e6;
/**
 * Seconds of the processor for 10 MB: one, and half as much again, because the time of a processor
 * grows so far when its other threads are busy. Files below 10 MB count as such.
 */
const mostMilliseconds = 1500;

const latin = (text: string): Buffer => Buffer.from(`\x80\x02${text}`, 'latin1');
/** So many different numbers of four bytes, each followed by what is done with it. */
const numbers = (count: number, then: string): string =>
  Array.from({ length: count }, (_, index) => {
    const bytes = Buffer.alloc(4);
    bytes.writeInt32LE(index);
    return `J${bytes.toString('latin1')}${then}`;
  }).join('');

const pickles: Readonly<Record<string, () => Buffer>> = {
  'dicts, as many as are read': () => latin(`](${'}'.repeat(99_990)}e.`),
  'more dicts than are read': () => latin(`](${'}'.repeat(399_990)}e.`),
  'dicts of one entry': () => latin(`]${'}K\x01K\x02sa'.repeat(99_990)}.`),
  'lists, as many as are read': () => latin(`]${']a'.repeat(399_990)}.`),
  'one dict of two million entries': () => latin(`}${numbers(2_000_000, 'Ns')}.`),
  'one dict of as many entries as are read': () => latin(`}${numbers(249_990, 'Ns')}.`),
  'one list of three million numbers': () => latin(`]${numbers(2_999_990, 'a')}.`),
  'one list of as many doubles as are read': () =>
    latin(`]${`G\x3f\xb9\x99\x99\x99\x99\x99\x9aa`.repeat(499_990)}.`),
  '390,000 names of classes': () =>
    latin(`](${Array.from({ length: 390_000 }, (_, index) => `cm${index}\nn\n`).join('')}e.`),
  '18 MB of escaped characters': () => latin(`V${'\\u0041'.repeat(3_000_000)}\n.`),
  'texts of escaped characters, as many as are read': () =>
    latin(`](${`V${'\\u0041'.repeat(16_000)}\n`.repeat(150)}e.`),
};

/** In a process of its own, which holds nothing of an earlier file. */
async function tryAlone(file: string): Promise<Trial> {
  const trials = new Trials();
  return trials.try(file, true).finally(() => trials.stop());
}

describe('costly pickles', function () {
  this.timeout(120_000);
  let room: string;

  before(() => void (room = mkdtempSync(join(tmpdir(), 'vitrine-pickles-'))));
  after(() => rmSync(room, { recursive: true, force: true }));

  for (const [about, pickle] of Object.entries(pickles))
    it(about, async () => {
      const file = join(room, 'model.pth');
      const bytes = pickle();
      writeFileSync(file, bytes);
      const milliseconds = mostMilliseconds * Math.max(1, bytes.length / 10e6);
      const most = about.includes('as many') ? 2 * mostBytes : mostBytes;
      const isDear = (trial: Trial): boolean => trial.milliseconds > milliseconds || trial.growthBytes > most;
      // A cost is believed when it is met three times: the machine does other things, too.
      let trial = await tryAlone(file);
      for (let again = 0; again < 2 && isDear(trial); again++) trial = await tryAlone(file);
      const [time, memory] = [Math.round(trial.milliseconds), Math.round(trial.growthBytes / 1e6)];
      assert.notEqual(trial.outcome, 'fault', trial.text);
      assert.notEqual(trial.outcome, 'ended', trial.text);
      assert.ok(!isDear(trial), `${time} ms, ${memory} MB for ${bytes.length} bytes`);
    });
});
