import assert from 'node:assert/strict';
import { Batch, type BatchSteps } from '../../../../src/editor/panels/batch';
import { batchCsv, batchJson } from '../../../../src/editor/panels/batchExport';
import type { BatchState } from '../../../../src/protocol/batch';

const facts = { checkpoint: '/m/vit', modelTitle: 'ViT-S/16' };
const cat = { index: 3, label: 'cat', score: 0.75 };

/** Images named `bad…` fail. */
const steps: BatchSteps = {
  thumbnail: async (image) => `data:${image}`,
  classify: async (image) => {
    if (image.startsWith('bad')) throw new Error(`${image}: cut off`);
    return { provider: 'cpu', top: [cat] };
  },
};

async function finished(images: readonly string[], told: BatchState[] = []): Promise<Batch> {
  const batch = new Batch(images, facts, steps, (state) => told.push(state));
  await batch.run();
  return batch;
}

describe('Batch', () => {
  it('gives every image a row, a failed one with its reason', async () => {
    const { state } = await finished(['a.png', 'bad.png', 'c.png']);
    assert.equal(state.done, 3);
    assert.equal(state.running, false);
    assert.equal(state.provider, 'cpu');
    assert.deepEqual(
      state.rows.map(({ index, image, thumbnail, top, error }) => [
        index,
        image,
        thumbnail,
        top.length,
        error,
      ]),
      [
        [0, 'a.png', 'data:a.png', 1, undefined],
        [1, 'bad.png', 'data:bad.png', 0, 'bad.png: cut off'],
        [2, 'c.png', 'data:c.png', 1, undefined],
      ],
    );
  });

  it('tells every row once', async () => {
    const told: BatchState[] = [];
    await finished(['a.png', 'b.png', 'c.png'], told);
    assert.deepEqual(
      told.flatMap(({ rows }) => rows.map(({ index }) => index)),
      [0, 1, 2],
    );
    assert.equal(told[0]?.running, true);
    assert.equal(told.at(-1)?.running, false);
  });

  it('stops when it is cancelled, and keeps what it has', async () => {
    const batch: Batch = new Batch(
      ['a.png', 'b.png', 'c.png'],
      facts,
      {
        ...steps,
        classify: async (image) => {
          if (image === 'b.png') batch.cancel();
          return { provider: 'cpu', top: [cat] };
        },
      },
      () => undefined,
    );
    await batch.run();
    assert.deepEqual(
      batch.state.rows.map(({ image }) => image),
      ['a.png'],
    );
    assert.equal(batch.state.running, false);
  });

  it('goes on after a cancel with what was left out', async () => {
    const asked: string[] = [];
    const batch: Batch = new Batch(
      ['a.png', 'b.png', 'c.png'],
      facts,
      {
        ...steps,
        classify: async (image) => {
          asked.push(image);
          if (asked.length === 2) batch.cancel();
          return { provider: 'cpu', top: [cat] };
        },
      },
      () => undefined,
    );
    await batch.run();
    assert.equal(batch.state.resumable, true);
    await batch.run();
    assert.equal(batch.state.resumable, false);
    assert.deepEqual(asked, ['a.png', 'b.png', 'b.png', 'c.png']);
    assert.deepEqual(
      batch.state.rows.map(({ index, image }) => [index, image]),
      [
        [0, 'a.png'],
        [1, 'b.png'],
        [2, 'c.png'],
      ],
    );
  });

  it('goes on where only the small image fails', async () => {
    const broken = { ...steps, thumbnail: async () => Promise.reject(new Error('no decoder')) };
    const batch = new Batch(['a.png'], facts, broken, () => undefined);
    await batch.run();
    assert.deepEqual(batch.state.rows, [{ index: 0, image: 'a.png', thumbnail: '', top: [cat] }]);
  });
});

describe('results of a batch', () => {
  it('are a table with a column per rank', async () => {
    const { state } = await finished(['a.png', 'bad, cut.png']);
    assert.equal(
      batchCsv(state),
      [
        'image,label_1,score_1,error,checkpoint,provider',
        'a.png,cat,0.75,,/m/vit,cpu',
        '"bad, cut.png",,,"bad, cut.png: cut off",/m/vit,cpu',
        '',
      ].join('\n'),
    );
  });

  it('count objects where a model finds any', async () => {
    const finds: BatchSteps = {
      thumbnail: async () => '',
      classify: async () => ({ provider: 'cpu', top: [cat], objects: 1 }),
    };
    const batch = new Batch(['a.png'], facts, finds, () => undefined);
    await batch.run();
    assert.deepEqual(batchCsv(batch.state).split('\n').slice(0, 2), [
      'image,label_1,score_1,objects,error,checkpoint,provider',
      'a.png,cat,0.75,1,,/m/vit,cpu',
    ]);
    assert.match(batchJson(batch.state), /"objects": 1/);
  });

  it('name the guesses of every head', async () => {
    const heads = [
      { head: 'age', top: [{ index: 0, label: 'young', score: 0.5 }] },
      { head: 'sex', top: [{ index: 1, label: 'f', score: 0.25 }] },
    ];
    const several: BatchSteps = {
      thumbnail: async () => '',
      classify: async () => ({ provider: 'cpu', top: heads[0]?.top ?? [], heads }),
    };
    const batch = new Batch(['a.png'], facts, several, () => undefined);
    await batch.run();
    assert.deepEqual(batchCsv(batch.state).split('\n').slice(0, 2), [
      'image,age_label_1,age_score_1,sex_label_1,sex_score_1,error,checkpoint,provider',
      'a.png,young,0.5,f,0.25,,/m/vit,cpu',
    ]);
    const { results } = JSON.parse(batchJson(batch.state)) as { results: readonly { heads: unknown }[] };
    assert.deepEqual(results[0]?.heads, heads);
  });

  it('never become a formula of a spreadsheet', async () => {
    const { state } = await finished(['=HYPERLINK("http://x").png']);
    assert.match(batchCsv(state), /^"'=HYPERLINK/m);
  });

  it('are JSON with every guess', async () => {
    const { state } = await finished(['a.png', 'bad.png']);
    assert.deepEqual(JSON.parse(batchJson(state)), {
      checkpoint: '/m/vit',
      provider: 'cpu',
      pictures: 2,
      results: [
        { image: 'a.png', top: [cat] },
        { image: 'bad.png', top: [], error: 'bad.png: cut off' },
      ],
    });
  });
});
