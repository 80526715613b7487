import assert from 'node:assert/strict';
import { depth } from '../../../src/tasks/depth/depth';
import { maskFormats } from '../../../src/tasks/segment/export';
import { segment } from '../../../src/tasks/segment/segment';
import { taskOf } from '../../../src/tasks/tasks';
import { openAt } from '../../support/open';
import { preparePrompts, resizedSides } from '../../../src/tasks/segment/prompts';
import { readPng } from '../../support/png';
import type { SeenImage } from '../../../src/tasks/run';
import type { OutputValues, ReadContext } from '../../../src/tasks/task';

const pixels = { width: 1, height: 1, rgb: new Uint8Array(3) };
const seenAs = (width: number, height: number, x = 0): SeenImage => ({
  image: 'a.png',
  pixels,
  size: [width, height],
  seen: pixels,
  region: { x, y: x, width: width - 2 * x, height: height - 2 * x },
  orientation: { exif: 1, applied: true },
});
const output = (
  name: string,
  means: OutputValues['means'],
  shape: readonly number[],
  values: readonly number[],
): OutputValues => ({ name, means, shape, values: Float32Array.from(values) });
const context = (more: Partial<ReadContext>): ReadContext => ({
  config: { id2label: { 0: 'wall', 1: 'sky', 2: 'dog' } },
  topK: 5,
  imageSize: [2, 2],
  ...more,
});

describe('what a segmenter answers', () => {
  const semantic = { task: 'segment', rule: 'semantic' } as const;
  const maps = output('logits', 'masks', [1, 3, 2, 2], [3, 0, 0, 0, 0, 2, 2, 0, 1, 1, 1, 1]);

  it('is what a detector with masks is asked for, though it has boxes', async () => {
    const folder = 'test/fixtures/cases';
    const open = async (id: string) => taskOf(await openAt(`${folder}/${id}/model.safetensors`)).name;
    assert.equal(await open('detr-masks-transformers-safetensors'), 'segment');
    assert.equal(await open('conditional-detr-detect'), 'detect');
  });

  it('is a class for every pixel, with the share of each that is there', () => {
    const answer = segment.read([maps], seenAs(2, 2), context({ reading: semantic }));
    assert.deepEqual([...answer.ids], [0, 1, 1, 2]);
    assert.deepEqual(
      answer.segments.map(({ name, area }) => [name, area]),
      [
        ['sky', 2],
        ['wall', 1],
        ['dog', 1],
      ],
    );
    assert.equal(answer.labelSource, 'config.json: id2label');
    assert.match(segment.lines(answer)[0] ?? '', /50.*sky \(2 pixels\)/);
    const { list, maps: files = [] } = segment.answers(answer);
    assert.equal(list, undefined);
    assert.deepEqual(files, [
      { width: 2, height: 2, ids: Int16Array.of(0, 1, 1, 2), areas: { 0: 1, 1: 2, 2: 1 } },
    ]);
  });

  it('is what the queries hold, in the way that is asked for', () => {
    const reading = { task: 'segment', rule: 'queries' } as const;
    // The first query is sure of a dog on the left column, the second of nothing.
    const classes = output('c', 'logits', [1, 2, 4], [0, 0, 9, 0, 0, 0, 0, 9]);
    const masks = output('m', 'masks', [1, 2, 2, 2], [8, -8, 8, -8, 8, 8, 8, 8]);
    const read = (post?: Readonly<Record<string, unknown>>) =>
      segment.read([classes, masks], seenAs(2, 2), context({ reading, ...(post && { post }) }));
    const instances = read({ call: 'segments', which: 'instance', threshold: 0.5 });
    assert.deepEqual([...instances.ids], [0, -1, 0, -1]);
    assert.deepEqual(
      instances.segments.map(({ name, label, area }) => [name, label, area]),
      [['dog', 2, 2]],
    );
    assert.deepEqual([...read({ call: 'semantic' }).ids], [2, 2, 2, 2]);
    assert.equal(read().of, 'panoptic');
    const { list = [], maps: [file] = [] } = segment.answers(instances);
    assert.equal((list[0] as readonly { readonly label_id: number }[])[0]?.label_id, 2);
    assert.deepEqual(file?.ids, Int16Array.of(0, -1, 0, -1));
    assert.deepEqual(file?.areas, { 0: 2, '-1': 2 });
  });

  it('goes by names of Pascal VOC where there are as many classes and no names, and says so', () => {
    const values = Array.from({ length: 21 * 4 }, (_, index) => (Math.floor(index / 4) === 12 ? 1 : 0));
    const classes = output('logits', 'masks', [1, 21, 2, 2], values);
    const answer = segment.read([classes], seenAs(2, 2), context({ reading: semantic, config: {} }));
    assert.deepEqual(
      answer.segments.map(({ name }) => name),
      ['dog'],
    );
    assert.match(segment.lines(answer).at(-1) ?? '', /^names of classes assumed: Pascal VOC/);
  });

  it('is written as runs and COCO, without what is drawn over whole', async () => {
    const answer = segment.read([maps], seenAs(2, 2), context({ reading: semantic }));
    const hidden = { id: 7, label: 7, name: 'hidden', area: 0 };
    const written = { ...answer, segments: [...answer.segments, hidden] };
    const [png, coco, runs] = await Promise.all(
      maskFormats.map(async ({ content }) => (await content(written, { name: 'a.png', size: [2, 2] })).data),
    );
    assert.deepEqual([...readPng(png as Uint8Array).data], [0, 1, 1, 2]);
    const set = JSON.parse(coco as string) as { annotations: readonly Record<string, unknown>[] };
    // Columns first: of sky the lower left and the upper right are one run.
    assert.deepEqual(
      set.annotations.map(({ category_id: id, area, bbox }) => [id, area, bbox]),
      [
        [1, 2, [0, 0, 2, 2]],
        [0, 1, [0, 0, 1, 1]],
        [2, 1, [1, 1, 1, 1]],
      ],
    );
    const [sky] = JSON.parse(runs as string) as readonly Record<string, unknown>[];
    assert.deepEqual(sky, {
      ...{ id: 1, label: 1, name: 'sky', area: 2 },
      segmentation: { size: [2, 2], counts: '121' },
    });
  });
});

describe('prompts of a segmenter', () => {
  it('are points with labels and a box, in pixels of the image', () => {
    const { tensors } = preparePrompts({ points: [[3, 4]], box: [1, 2, 5, 6] });
    assert.deepEqual(tensors['input_points']?.shape, [1, 1, 1, 2]);
    assert.deepEqual([...(tensors['input_labels']?.data ?? [])], [1]);
    assert.deepEqual([...(tensors['input_boxes']?.data ?? [])], [1, 2, 5, 6]);
    assert.deepEqual(preparePrompts({}).tensors, {});
  });

  it('are refused with what is wrong about them', () => {
    assert.throws(() => preparePrompts({ points: [[1, 2, 3]] }), /points: a list of 2 numbers each/);
    assert.throws(() => preparePrompts({ points: [[1, NaN]] }), /points: a list of 2 numbers each/);
    assert.throws(() => preparePrompts({ points: [[1, 2]], labels: [1, 0] }), /labels: 2 found/);
    const boxes = [
      [1, 2, 3, 4],
      [1, 2, 3, 4],
    ];
    assert.throws(() => preparePrompts({ boxes }), /2 boxes found/);
  });

  it('are resized by whole pixels, as the image is', () => {
    assert.deepEqual(resizedSides([61, 97], 64), [40, 64]);
    assert.deepEqual(resizedSides([1200, 1800], 1024), [683, 1024]);
  });

  it('become masks, of which the likeliest is drawn', () => {
    const reading = { task: 'segment', rule: 'prompts' } as const;
    const masks = output('m', 'masks', [1, 1, 2, 2, 2], [9, 9, 9, 9, 9, -9, -9, -9]);
    const scores = output('s', 'logits', [1, 1, 2], [0.25, 0.5]);
    const answer = segment.read([masks, scores], seenAs(2, 2), context({ reading }));
    assert.deepEqual([...answer.ids], [1, -1, -1, -1]);
    assert.deepEqual(
      answer.segments.map(({ name, area, score }) => [name, area, score]),
      [
        ['mask 1', 4, 0.25],
        ['mask 2', 1, 0.5],
      ],
    );
    assert.equal(segment.answers(answer).maps?.length, 2);
    const without = segment.read([], seenAs(2, 2), context({ reading }));
    assert.match(segment.lines(without)[0] ?? '', /no prompt is given/);
  });

  it('lie where the image was: inside of its frame, or on all of the mask if it was stretched', () => {
    const scores = output('s', 'logits', [1, 1, 1], [0.5]);
    // The left half of the mask is set; a wide image takes the upper half of a frame of 4 × 4.
    const half = [9, 9, -9, -9];
    const masks = output(
      'm',
      'masks',
      [1, 1, 1, 4, 4],
      [...half, ...half, ...half.map((value) => -value), ...half],
    );
    const read = (stretched: boolean) =>
      segment.read([masks, scores], seenAs(8, 4), {
        ...context({ reading: { task: 'segment', rule: 'prompts', stretched } }),
        imageSize: [4, 4],
      });
    const rowOf = (answer: ReturnType<typeof read>, row: number) => [
      ...answer.ids.subarray(8 * row, 8 * row + 8),
    ];
    const [left, right] = [
      [0, 0, 0, 0, -1, -1, -1, -1],
      [-1, -1, -1, -1, 0, 0, 0, 0],
    ];
    const framed = read(false);
    assert.deepEqual(
      [0, 1, 2, 3].map((row) => rowOf(framed, row)),
      [left, left, left, left],
    );
    const stretched = read(true);
    assert.deepEqual(
      [0, 1, 2, 3].map((row) => rowOf(stretched, row)),
      [left, left, right, left],
    );
  });
});

describe('what a model of depth answers', () => {
  const raw = output('predicted_depth', 'depth', [1, 2, 2], [1, 2, 3, 4]);

  it('is a number for every pixel, in metres or without a unit', () => {
    const metres = { task: 'depth', unit: 'metres' } as const;
    const answer = depth.read([raw], seenAs(2, 2), context({ reading: metres }));
    assert.deepEqual([...answer.values], [1, 2, 3, 4]);
    assert.deepEqual(depth.lines(answer), ['depth 1 … 4 m, mean 2.5']);
    assert.deepEqual(depth.answers(answer).tensors?.[0]?.shape, [2, 2]);
    const relative = depth.read([raw], seenAs(2, 2), context({}));
    assert.match(depth.lines(relative)[0] ?? '', /relative: without a unit/);
  });

  it('loses the border that a processor put around the image', () => {
    const reading = { task: 'depth', unit: 'metres', bordered: true } as const;
    const large = output('predicted_depth', 'depth', [1, 16, 16], Array<number>(256).fill(3));
    const inside = depth.read([large], seenAs(8, 8, -6), context({ reading }));
    assert.equal(inside.values.length, 64);
    assert.ok(inside.values.every((value) => Math.abs(value - 3) < 1e-6));
  });
});
