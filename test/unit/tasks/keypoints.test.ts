import assert from 'node:assert/strict';
import { cocoBones, cocoKeypointNames } from '../../../src/labels/cocoKeypoints';
import { queryOfKeypoint, rankedOf, warningsOf, type Keypoints } from '../../../src/tasks/answer';
import { keypointFormats } from '../../../src/tasks/keypoints/export';
import { keypoints } from '../../../src/tasks/keypoints/keypoints';
import type { OutputValues } from '../../../src/tasks/task';
import type { SeenImage } from '../../../src/tasks/run';
import { isAsked, keypointsOverlay, shownOf } from '../../../webview/answers/keypointsOverlay';

/** Two maps of 4 × 3 with one peak each, symmetric around it, so that nothing moves it. */
function heatmaps(): OutputValues {
  const values = new Float32Array(2 * 12).fill(0.05);
  values[1 * 3 + 1] = 0.9;
  values[12 + 2 * 3 + 1] = 0.2;
  return { name: 'heatmaps', means: 'heatmaps', shape: [1, 2, 4, 3], values };
}

/** An image of 30 × 40 pixels, all of which the model saw on 16 × 12. */
const seen = {
  image: 'a.png',
  size: [30, 40],
  region: { x: 0, y: 0, width: 30, height: 40 },
} as unknown as SeenImage;
const context = { config: undefined, topK: 5, imageSize: [16, 12] } as const;
const read = (post?: Readonly<Record<string, unknown>>): Keypoints =>
  keypoints.read([heatmaps()], seen, { ...context, ...(post && { post }) });
const file = { name: 'a.png', size: [40, 30] } as const;

describe('keypoints', () => {
  it('lie on the image where their maps are highest, and say that the box is assumed', () => {
    const answer = read();
    const [first] = answer.points;
    // The middle column of three is the middle of the image; refining moves it by less than 0.1.
    assert.ok(Math.abs(first!.point[0] - 14.5) < 0.1, String(first!.point));
    assert.deepEqual(first!.place, [1, 1]);
    assert.ok(Math.abs(first!.score - 0.9) < 1e-6);
    assert.match(warningsOf(answer).join(), /^Assumed: the whole image/);
    assert.equal(answer.labelSource, 'no names are stored');
    assert.match(keypoints.lines(answer).join(), /0\.900 {2}keypoint 0/);
  });

  it('count above the threshold, all of them if the library is asked without one', () => {
    assert.deepEqual(keypoints.answers(read()).list, [
      [{ label: 0, name: 'keypoint 0', score: read().points[0]!.score, point: read().points[0]!.point }],
    ]);
    assert.equal((keypoints.answers(read({ name: 'keypoints' })).list![0] as unknown[]).length, 2);
    assert.equal((keypoints.answers(read({ threshold: 0.95 })).list![0] as unknown[]).length, 0);
    assert.match(keypoints.lines(read({ threshold: 0.95 })).join(), /no keypoint of 2 above 0\.95/);
    assert.deepEqual(
      rankedOf(read()).map(({ label }) => label),
      ['keypoint 0'],
    );
  });

  it('have COCO’s names where there are as many, and its lines', () => {
    const values = new Float32Array(17 * 12).fill(0.5);
    const maps = { ...heatmaps(), shape: [1, 17, 4, 3], values };
    const answer = keypoints.read([maps], seen, context);
    assert.equal(answer.points[16]!.name, 'right ankle');
    assert.match(answer.labelSource, /^assumed: COCO/);
    assert.equal(answer.bones.length, 19);
    assert.equal(cocoKeypointNames(16), undefined);
    assert.deepEqual(cocoBones(16), []);
    const named = keypoints.read([heatmaps()], seen, {
      ...context,
      config: { id2label: { 0: 'head', 1: 'tail' } },
    });
    assert.deepEqual(
      named.points.map(({ name }) => name),
      ['head', 'tail'],
    );
  });

  it('are written as one person of COCO, and as a table', async () => {
    const [coco, table] = keypointFormats;
    const set = JSON.parse(String((await coco!.content(read(), file)).data)) as {
      readonly annotations: readonly {
        readonly keypoints: readonly number[];
        readonly num_keypoints: number;
      }[];
      readonly categories: readonly { readonly keypoints: readonly string[] }[];
    };
    const [person] = set.annotations;
    assert.deepEqual(person!.keypoints, [...read().points[0]!.point, 2, 0, 0, 0]);
    assert.equal(person!.num_keypoints, 1);
    assert.deepEqual(set.categories[0]!.keypoints, ['keypoint 0', 'keypoint 1']);
    assert.match(
      String((await table!.content(read(), file)).data),
      /^image,keypoint,name,score,x,y\na\.png,0,/,
    );
  });

  it('are hit near their middle, and ask for the patch under them', () => {
    const answer = read();
    const whole = { x: 0, y: 0, width: 300, height: 400 };
    const place = { width: 300, height: 400, scale: 10, image: whole, region: whole };
    const looking = {
      look: { hidden: [], opacity: 1 },
      pointed: undefined,
      query: undefined,
      choice: undefined,
    };
    const props = { ...looking, answer, seen, place, overMap: false, isBehind: false };
    const [x, y] = answer.points[0]!.point.map((side) => (side + 0.5) * 10) as [number, number];
    assert.deepEqual(keypointsOverlay.at(props, x + 4, y), { index: 0, part: 'line' });
    assert.equal(keypointsOverlay.at(props, x + 40, y), undefined);
    const query = keypointsOverlay.queryOf(answer, 0);
    assert.deepEqual(query, { kind: 'patch', row: 1, column: 1, grid: [4, 3] });
    assert.ok(isAsked(answer, answer.points[0]!, queryOfKeypoint(answer, answer.points[0]!)));
    assert.equal(isAsked(answer, answer.points[1]!, query), false);
    assert.equal(shownOf(answer, { threshold: 0.1 }).length, 2);
  });
});
