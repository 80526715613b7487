// Prompts for one image after another: the image encoder runs once, and what follows it keeps its
// maps beside the image's.
import assert from 'node:assert/strict';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, utimesSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { keyGrid } from '../../src/attention/reading';
import type { Masks } from '../../src/tasks/answer';
import type { Given, Run } from '../../src/tasks/run';
import type { PathRunner } from '../../src/useCases/run';
import { readPng } from '../support/png';
import { numbersOf, readTensorFile } from '../support/tensors';
import { testInference } from './support';

const folder = 'test/fixtures/cases/sam-points-and-box-segment';
const checkpoint = join(folder, 'model.safetensors');
const golden = JSON.parse(readFileSync(join(folder, 'case.json'), 'utf8')) as {
  readonly given: Given;
  readonly pictures: readonly { readonly file: string }[];
  readonly answers: {
    readonly masks: {
      readonly maps: readonly { readonly file: string; readonly unsure: readonly number[] }[];
    };
  };
};

describe('prompts for an image that was encoded', function () {
  this.timeout(120_000);
  let inference: PathRunner;
  let own: string;
  let image: string;
  before(() => {
    inference = testInference();
    own = mkdtempSync(join(tmpdir(), 'vitrine-prompts-'));
    image = join(own, 'image.png');
    copyFileSync(join(folder, golden.pictures[0]!.file), image);
  });
  after(async () => {
    await inference?.dispose();
    rmSync(own, { recursive: true, force: true });
  });

  const ask = (given?: Given): Promise<Run> =>
    inference.classify({
      checkpoint,
      image,
      attention: true,
      options: { provider: 'cpu', ...(given && { given }) },
    });
  const masksOf = ({ answer }: Run): Masks => {
    assert.ok(answer.kind === 'masks');
    return answer;
  };

  /** Every pixel is the reference's but those that change when raw outputs move by 1e-4. */
  function isGolden(run: Run): void {
    const { choices = [] } = masksOf(run);
    assert.equal(choices.length, golden.answers.masks.maps.length);
    for (const [index, { file, unsure }] of golden.answers.masks.maps.entries()) {
      const { data } = readPng(readFileSync(join(folder, file)));
      const loose = new Set(unsure);
      const wrong = [...data].filter((value, at) => !loose.has(at) && value !== choices[index]!.ids[at]);
      assert.equal(wrong.length, 0, file);
    }
  }

  it('run what reads prompts alone, and answer as transformers does', async () => {
    const first = await ask();
    assert.ok(first.times.decode > 0);
    assert.deepEqual(masksOf(first).choices, []);
    const second = await ask(golden.given);
    // Nothing was decoded and prepared: a run of the encoder needs both.
    assert.deepEqual([second.times.decode, second.times.preprocess], [0, 0]);
    isGolden(second);
    assert.equal(second.givenIsOfImage, true);
    const point = await ask({ points: [[30, 40]] });
    assert.equal(point.times.decode, 0);
    assert.equal(masksOf(point).choices?.length, 3);
    isGolden(await ask(golden.given));
  });

  it('show the maps of the decoder behind those of the image', async () => {
    const run = await ask(golden.given);
    assert.deepEqual(
      run.probes.map(({ kind }) => kind),
      ['window', 'window', 'self', 'self', 'cross', 'cross', 'self', 'cross', 'cross', 'cross'],
    );
    assert.deepEqual(keyGrid(run.probes.at(-1)!), [8, 8]);
    const { rows } = await inference.attention(run.run, { kind: 'special', name: 'mask2' }, 'raw');
    assert.equal(rows.length, run.probes.length);
    const reference = readTensorFile(join(folder, 'reference.safetensors')).get('attention.9')!;
    const [heads = 0, queries = 0, keys = 0] = reference.shape;
    const all = numbersOf(reference);
    // Behind the tokens of the score and of masks 0 and 1.
    const expected = Array.from({ length: heads }, (_, head) =>
      all.subarray((head * queries + 3) * keys, (head * queries + 4) * keys),
    ).flatMap((row) => [...row]);
    const found = rows.at(-1)!;
    assert.equal(found.length, expected.length);
    // Float32 against float64 on weights that sum to 1.
    const worst = expected.reduce((most, value, at) => Math.max(most, Math.abs(value - found[at]!)), 0);
    assert.ok(worst < 1e-5, `${worst}`);
  });

  it('are answered after the process ended, and the maps of both steps are made again', async () => {
    const run = await ask(golden.given);
    const query = { kind: 'mean' } as const;
    const before = await inference.attention(run.run, query, 'raw');
    inference.cancel();
    const again = await ask(golden.given);
    isGolden(again);
    const after = await inference.attention(run.run, query, 'raw');
    assert.deepEqual(after.rows, before.rows);
  });

  it('are of the new image once the file is another one', async () => {
    await ask(golden.given);
    const later = new Date(Date.now() + 10_000);
    utimesSync(image, later, later);
    const run = await ask(golden.given);
    assert.ok(run.times.decode > 0);
    isGolden(run);
  });
});
