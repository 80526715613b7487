import assert from 'node:assert/strict';
import { countOf, rankedOf, ranksAreas, type Box, type Boxes, type Masks } from '../../../src/tasks/answer';
import { boxFormats } from '../../../src/tasks/detect/export';
import { clippedBox } from '../../../src/tasks/post/box';

const box = (label: number, name: string, corners: Box['box'], query = label): Box => ({
  label,
  name,
  score: 0.75,
  box: corners,
  query,
});

/** An image of 200 × 100 pixels; the second box leaves it at the right, the third lies outside. */
const image = { name: 'yard, "old".jpg', size: [100, 200] } as const;
const found: Boxes = {
  ...{ kind: 'boxes', threshold: 0.5, queries: 9, labelSource: '' },
  boxes: [
    { ...box(5, 'unsure', [0, 0, 9, 9]), score: 0.5 },
    box(17, 'cat', [20, 10, 60, 50], 4),
    box(3, '=sum, "of all"', [150, -10, 250, 40]),
    box(3, '=sum, "of all"', [210, 10, 240, 40]),
  ],
};

/** What the format of this ending writes. */
async function written(ending: string, answer = found): Promise<string> {
  const format = boxFormats.find((each) => each.ending === ending);
  assert.ok(format);
  const { data } = await format.content(answer, image);
  assert.equal(typeof data, 'string');
  return data as string;
}

describe('boxes in a table', () => {
  it('are those above the threshold, the best first', () => {
    const scored = [0.6, 0.5, 0.9].map((score, index) => ({
      ...box(index, `${index}`, [0, 0, 1, 1]),
      score,
    }));
    const answer = { kind: 'boxes', boxes: scored, threshold: 0.5, queries: 3, labelSource: '' } as const;
    assert.deepEqual(
      rankedOf(answer).map(({ label, score }) => [label, score]),
      [
        ['2', 0.9],
        ['0', 0.6],
      ],
    );
    assert.equal(countOf(answer), 2);
    assert.equal(countOf({ kind: 'features' }), undefined);
  });
});

describe('boxes as files', () => {
  it('are cut at the edges of the image', () => {
    assert.deepEqual(clippedBox([150, -10, 250, 40], [100, 200]), [150, 0, 200, 40]);
    assert.deepEqual(clippedBox([20, 10, 60, 50], [100, 200]), [20, 10, 60, 50]);
    assert.equal(clippedBox([210, 10, 240, 40], [100, 200]), undefined);
    assert.equal(clippedBox([60, 10, 20, 50], [100, 200]), undefined);
  });

  it('as a COCO data set: left, top, width, height, and each class once', async () => {
    const set = JSON.parse(await written('coco.json')) as {
      images: readonly object[];
      annotations: readonly Record<string, unknown>[];
      categories: readonly object[];
    };
    assert.deepEqual(set.images, [{ id: 1, file_name: 'yard, "old".jpg', width: 200, height: 100 }]);
    assert.deepEqual(set.annotations[0], {
      id: 1,
      image_id: 1,
      category_id: 17,
      bbox: [20, 10, 40, 40],
      area: 1600,
      iscrowd: 0,
      score: 0.75,
    });
    assert.deepEqual(set.annotations[1]!['bbox'], [150, -10, 100, 50]);
    assert.deepEqual(
      set.annotations.map(({ id }) => id),
      [1, 2, 3],
    );
    assert.deepEqual(set.categories, [
      { id: 3, name: '=sum, "of all"' },
      { id: 17, name: 'cat' },
    ]);
  });

  it('as a table that no spreadsheet takes for formulas', async () => {
    const [head, first, second] = (await written('csv')).split('\n');
    assert.equal(head, 'image,class,name,score,x0,y0,x1,y1,query');
    assert.equal(first, '"yard, ""old"".jpg",17,cat,0.75,20,10,60,50,4');
    assert.equal(second, '"yard, ""old"".jpg",3,"\'=sum, ""of all""",0.75,150,-10,250,40,3');
  });

  it('as YOLO has them: shares of the image, cut, without what lies outside', async () => {
    assert.equal(
      await written('txt'),
      '17 0.200000 0.300000 0.200000 0.400000 0.750000\n3 0.875000 0.200000 0.250000 0.400000 0.750000\n',
    );
  });

  it('of nothing are empty files', async () => {
    const nothing = { ...found, boxes: [] };
    assert.equal(await written('txt', nothing), '');
    assert.equal((await written('csv', nothing)).split('\n').length, 2);
    assert.deepEqual(
      (JSON.parse(await written('coco.json', nothing)) as { annotations: unknown }).annotations,
      [],
    );
  });
});

describe('files of many images', () => {
  const joinOf = (ending: string): ((texts: readonly string[]) => string) =>
    boxFormats.find((each) => each.ending === ending)?.join ?? assert.fail(ending);

  it('of COCO are one set that counts on, each class once', async () => {
    const one = await written('coco.json');
    const other = await written('coco.json', { ...found, boxes: [box(1, 'dog', [0, 0, 4, 5])] });
    const none = await written('coco.json', { ...found, boxes: [] });
    const set = JSON.parse(joinOf('coco.json')([one, none, other])) as {
      images: readonly { readonly id: number }[];
      annotations: readonly {
        readonly id: number;
        readonly image_id: number;
        readonly category_id: number;
      }[];
      categories: readonly { readonly id: number }[];
    };
    assert.deepEqual(
      set.images.map(({ id }) => id),
      [1, 2, 3],
    );
    assert.deepEqual(
      set.annotations.map(({ id, image_id: of, category_id: label }) => [id, of, label]),
      [
        [1, 1, 17],
        [2, 1, 3],
        [3, 1, 3],
        [4, 3, 1],
      ],
    );
    assert.deepEqual(
      set.categories.map(({ id }) => id),
      [1, 3, 17],
    );
  });

  it('of tables have one head', async () => {
    const one = await written('csv');
    const lines = joinOf('csv')([one, one]).trim().split('\n');
    assert.equal(lines.length, 1 + 2 * (one.trim().split('\n').length - 1));
    assert.equal(lines.filter((line) => line.startsWith('image,')).length, 1);
  });

  it('that annotation tools read one by one stay apart', () =>
    assert.equal(boxFormats.find(({ ending }) => ending === 'txt')?.join, undefined));
});

describe('segments in a table', () => {
  it('are classes by the share of the image that they cover, each once', () => {
    const segments = [
      { id: 1, label: 4, name: 'car', area: 10 },
      { id: 2, label: 2, name: 'road', area: 25 },
      { id: 3, label: 4, name: 'car', area: 20 },
    ];
    const masks: Masks = {
      ...{ kind: 'masks', of: 'panoptic', labelSource: '', segments },
      ...{ grid: [10, 10], ids: new Int16Array(100) },
    };
    assert.deepEqual(rankedOf(masks), [
      { index: 4, label: 'car', score: 0.3 },
      { index: 2, label: 'road', score: 0.25 },
    ]);
    assert.deepEqual([ranksAreas(masks), ranksAreas(found)], [true, false]);
  });
});
