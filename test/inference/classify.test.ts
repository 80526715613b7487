import type { PathRunner } from '../../src/useCases/run';
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { classesOf, firstOf, sampleModel, sampleImage, testInference } from './support';

type TopFive = readonly (readonly [label: string, probability: number])[];
interface Expected {
  readonly images: readonly {
    readonly image: string;
    readonly top5: TopFive;
    readonly as_stored?: TopFive;
  }[];
}

const expected = (name: string): Expected =>
  JSON.parse(readFileSync(join('media/sample', name), 'utf8')) as Expected;
const imageFile = (name: string): string => join('media/sample/images', name);
const sum = (values: Float32Array): number => values.reduce((a, b) => a + b, 0);

/**
 * Probabilities of the reference are rounded to five digits; a decoder's rounding of chroma may add
 * to it.
 */
const tolerance = 1e-3;

function assertTop(
  found: readonly { readonly label: string; readonly score: number }[],
  reference: TopFive,
): void {
  assert.equal(found[0]!.label, reference[0]![0]);
  for (const [index, [, probability]] of reference.entries())
    assert(
      Math.abs(found[index]!.score - probability) < tolerance,
      `${found[index]!.score} beside ${probability}`,
    );
}

describe('classifying the sample images', () => {
  let inference: PathRunner;
  before(() => (inference = testInference()));
  after(() => inference.dispose());

  for (const { image, top5, as_stored: asStored } of expected('expected.json').images) {
    it(`${image}: ${top5[0]![0]}`, async () => {
      const view = await inference.classify({ checkpoint: sampleModel, image: imageFile(image) });
      assertTop(classesOf(view).top, top5);
      assert.equal(view.provider.used, 'cpu');
      assert.equal(classesOf(view).classes, 29);
    });
    if (asStored)
      it(`${image} as stored: ${asStored[0]![0]}`, async () => {
        const view = await inference.classify({
          checkpoint: sampleModel,
          image: imageFile(image),
          options: { asStored: true },
        });
        assertTop(classesOf(view).top, asStored);
        assert.equal(view.seen.orientation.applied, false);
      });
  }

  it('classifies with the second sample model, a PyTorch file', async () => {
    for (const { image, top5 } of expected('expected-64.json').images) {
      const view = await inference.classify({
        checkpoint: 'media/sample/vitrine-sample-64',
        image: imageFile(image),
      });
      assertTop(classesOf(view).top, top5);
    }
  });

  it('shows what the model saw, where it lies on the image, and how it was prepared', async () => {
    const view = await inference.classify({ checkpoint: sampleModel, image: sampleImage, displaySide: 64 });
    assert.deepEqual(view.seen.size, [640, 480]);
    assert.deepEqual([view.seen.pixels.width, view.seen.pixels.height], [64, 48]);
    assert.deepEqual([view.seen.seen.width, view.seen.seen.height], [128, 128]);
    assert.equal(view.seen.seen.rgb.length, 128 * 128 * 3);
    // 640 × 480 → 170 × 128, centre 128: 21 of 170 columns are cut off on either side.
    assert.deepEqual(
      Object.values(view.seen.region).map(Math.round),
      [(21 * 640) / 170, 0, (128 * 640) / 170, 480].map(Math.round),
    );
    const filter = view.preprocessing.find(({ key }) => key === 'filter');
    assert.equal(filter?.value, 'bicubic');
    assert.match(filter.source, /config\.json/);
  });

  it('runs again with a hyper-parameter that the user set, and says that it was set', async () => {
    const request = { checkpoint: sampleModel, image: sampleImage };
    const plain = await inference.classify(request);
    const set = await inference.classify({ ...request, options: { preprocessing: { mean: 'imagenet' } } });
    assert.notEqual(firstOf(set).score, firstOf(plain).score);
    assert.equal(set.preprocessing.find(({ key }) => key === 'mean')?.source, 'chosen by you');
  });

  it('names the key, the value and what is allowed if a hyper-parameter cannot be', async () => {
    const request = { checkpoint: sampleModel, image: sampleImage };
    await assert.rejects(
      inference.classify({ ...request, options: { preprocessing: { filter: 'cubic' } } }),
      /filter: cubic found; .*bicubic/,
    );
  });

  it('runs at another image size, with more tokens', async () => {
    const request = { checkpoint: sampleModel, image: sampleImage, attention: true };
    const view = await inference.classify({ ...request, options: { imageSize: [192, 192] } });
    assert.equal(view.seen.seen.width, 192);
    assert.deepEqual(view.probes[0]!.queries.grid, [24, 24]);
    assert.equal(firstOf(view).label, 'cat');
    assert.deepEqual(view.inputSize.native, [128, 128]);
    assert.deepEqual(view.inputSize.step, [8, 8]);
  });

  it('names an image that is none, and a provider that is none', async () => {
    const request = { checkpoint: sampleModel, image: 'package.json' };
    await assert.rejects(inference.classify(request), /package\.json: unsupported format/);
    await assert.rejects(
      inference.classify({ checkpoint: sampleModel, image: sampleImage, options: { provider: 'tpu' } }),
      /provider tpu is not available.*cpu/,
    );
  });

  it('refuses a model beyond the memory limit before it loads anything', async () => {
    const small = testInference({ limits: { memoryBytes: 1e6 } });
    await assert.rejects(
      small.classify({ checkpoint: sampleModel, image: sampleImage }),
      /needs about \d+ MB of memory, and 1 MB are allowed/,
    );
    await small.dispose();
  });
});

describe('attention of a classified image', () => {
  let inference: PathRunner;
  before(() => (inference = testInference()));
  after(() => inference.dispose());

  const classify = (image = sampleImage) =>
    inference.classify({ checkpoint: sampleModel, image, attention: true });

  it('gives rows that sum to one for the class token, a patch and the mean', async () => {
    const { run, probes } = await classify();
    for (const query of [
      { kind: 'special', name: 'cls' },
      { kind: 'patch', row: 15, column: 0 },
      { kind: 'mean' },
    ] as const) {
      const { rows } = await inference.attention(run, query, 'raw');
      const rollout = await inference.attention(run, query, 'rollout');
      assert.equal(rows.length, probes.length);
      for (const [index, row] of rows.entries()) {
        const { heads } = probes[index]!;
        assert.equal(row.length, heads * (1 + 16 * 16));
        assert(Math.abs(sum(row) - heads) < 1e-4, `layer ${index}: ${sum(row)}`);
      }
      for (const row of rollout.rows) assert(Math.abs(sum(row) - 1) < 1e-4);
    }
  });

  it('answers a query that the layers do not have with empty rows', async () => {
    const { run } = await classify();
    const { rows } = await inference.attention(run, { kind: 'special', name: 'dist' }, 'raw');
    assert(rows.every(({ length }) => length === 0));
  });

  it('runs an image again whose maps newer runs have pushed out', async () => {
    const first = await classify();
    const query = { kind: 'patch', row: 8, column: 8 } as const;
    const before = await inference.attention(first.run, query, 'raw');
    for (let run = 0; run < 9; run++) await classify(imageFile('dog-on-a-path.jpg'));
    const after = await inference.attention(first.run, query, 'raw');
    assert.equal(after.run, first.run);
    for (const [index, row] of before.rows.entries())
      assert(row.every((value, key) => Math.abs(value - after.rows[index]![key]!) < 1e-5));
  });
});
