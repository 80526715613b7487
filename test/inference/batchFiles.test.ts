import assert from 'node:assert/strict';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { Batch } from '../../src/editor/panels/batch';
import { BatchFiles, type ExportAsks } from '../../src/editor/panels/batchFiles';
import type { BatchRow, BatchState } from '../../src/protocol/batch';
import { countOf, rankedOf } from '../../src/tasks/answer';
import { checkpointPath, readCases } from '../support/cases';
import { temporaryFolder, testInference } from './support';

describe('tables of images of every task', () => {
  const folder = temporaryFolder();
  const images: string[] = [];
  const inference = testInference();
  before(async () => {
    for (const [index, name] of ['a/yard.png', 'b/yard.png', 'b/sea.png'].entries()) {
      const path = join(folder, name);
      await mkdir(join(path, '..'), { recursive: true });
      const background = { r: 60 * index, g: 200 - 40 * index, b: 90 };
      await sharp({ create: { width: 70, height: 50, channels: 3, background } })
        .png()
        .toFile(path);
      images.push(path);
    }
  });
  after(() => inference.dispose());

  /** A folder that all questions are answered with, and what was asked. */
  function answering(out: string, mayReplace = true) {
    const asked: string[] = [];
    const asks: ExportAsks = {
      file: async (_, name) => join(out, name),
      folder: async () => out,
      mayReplace: async (names) => {
        asked.push(...names);
        return mayReplace;
      },
      warn: (text) => asked.push(text),
    };
    return { asks, asked };
  }

  /** Runs a table as the panel does. */
  async function table(id: string, files: BatchFiles): Promise<BatchState> {
    const golden = readCases().find((each) => each.id === id) ?? assert.fail(id);
    const checkpoint = checkpointPath(golden);
    const steps = {
      thumbnail: async () => '',
      classify: async (image: string, _: AbortSignal, index: number) => {
        const { answer, seen } = await inference.classify({
          checkpoint,
          image,
          displaySide: 0,
          options: { provider: 'cpu' },
        });
        const objects = countOf(answer);
        return {
          provider: 'CPU',
          top: rankedOf(answer),
          ...(objects !== undefined && { objects }),
          files: await files.keep(index, answer, seen),
        };
      },
    };
    const batch = new Batch(images, { checkpoint, modelTitle: id }, steps, () => undefined);
    await batch.run();
    return batch.state;
  }

  const endings = ({ files = [] }: BatchRow): readonly string[] => files.map(({ ending }) => ending);

  it('segments: classes by area in each row, masks under the images’ names, runs in one set', async () => {
    const out = join(folder, 'segments');
    await mkdir(out);
    const { asks, asked } = answering(out);
    const files = new BatchFiles(join(folder, 'kept-segments'), asks);
    const state = await table('mask2former-swin-segment', files);
    assert.deepEqual(
      state.rows.map(({ error }) => error),
      [undefined, undefined, undefined],
    );
    for (const row of state.rows) assert.deepEqual(endings(row), ['mask.png', 'coco.json', 'rle.json']);
    assert.equal(await files.export(state, 'mask.png'), true);
    assert.deepEqual((await readdir(out)).sort(), ['sea.mask.png', 'yard-0.mask.png', 'yard-1.mask.png']);
    const { width, height } = await sharp(join(out, 'sea.mask.png')).metadata();
    assert.deepEqual([width, height], [70, 50]);
    assert.equal(await files.export(state, 'coco.json'), true);
    const set = JSON.parse(await readFile(join(out, 'results.coco.json'), 'utf8')) as {
      readonly images: readonly { readonly id: number; readonly file_name: string }[];
    };
    assert.deepEqual(
      set.images.map(({ id, file_name: name }) => [id, name]),
      [
        [1, 'yard.png'],
        [2, 'yard.png'],
        [3, 'sea.png'],
      ],
    );
    assert.deepEqual(asked, []);
    await files.forget();
    await assert.rejects(readdir(join(folder, 'kept-segments')), { code: 'ENOENT' });
  });

  it('boxes: one table of all, label files each; nothing is replaced without asking', async () => {
    const out = join(folder, 'boxes');
    await mkdir(out);
    await writeFile(join(out, 'sea.txt'), 'mine');
    const { asks, asked } = answering(out, false);
    const files = new BatchFiles(join(folder, 'kept-boxes'), asks);
    const state = await table('rt-detr-detect', files);
    for (const row of state.rows) {
      assert.deepEqual(endings(row), ['coco.json', 'csv', 'txt']);
      assert.equal(row.objects, row.top.length);
    }
    assert.equal(await files.export(state, 'csv'), true);
    const [head, ...lines] = (await readFile(join(out, 'results.csv'), 'utf8')).trim().split('\n');
    assert.match(head ?? '', /^image,class,name,score/);
    assert.equal(
      lines.filter((line) => line !== '').length,
      state.rows.reduce((total, { objects = 0 }) => total + objects, 0),
    );
    assert.equal(await files.export(state, 'txt'), false);
    assert.deepEqual(asked, ['sea.txt']);
    assert.equal(await readFile(join(out, 'sea.txt'), 'utf8'), 'mine');
  });

  it('keeps no more than its limit, and says how many images are left out', async () => {
    const out = join(folder, 'few');
    await mkdir(out);
    const { asks, asked } = answering(out);
    const files = new BatchFiles(join(folder, 'kept-few'), asks, 1);
    const state = await table('rt-detr-detect', files);
    assert.deepEqual(state.rows.map(endings), [['coco.json'], [], []]);
    assert.equal(await files.export(state, 'coco.json'), true);
    assert.match(asked.join(), /^2 images are not among them: a table keeps files of/);
  });
});
