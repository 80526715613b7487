import assert from 'node:assert/strict';
import type { Station } from '../../../../src/domain/report';
import { lanesOf, layoutLanes, type LaneLayout } from '../../../../webview/marks/laneLayout';

const station = (part: string | undefined, label: string): Station => ({
  kind: 'blocks',
  label,
  detail: '197 × 768',
  path: label,
  ...(part !== undefined && { part }),
});
const chain = (part: string, count: number): readonly Station[] =>
  Array.from({ length: count }, (_, index) => station(part, `${part} ${index}`));

const towers = [...chain('image', 5), ...chain('text', 3), ...chain('score', 1)];
const meet = [
  { from: 'image', to: 'score' },
  { from: 'text', to: 'score' },
];

/** Where the boxes of a lane lie: left, top, right, bottom. */
function extent({ lanes }: LaneLayout, name: string): readonly [number, number, number, number] {
  const lane = lanes.find((each) => each.name === name) ?? assert.fail(name);
  const { boxes } = lane.layout;
  return [
    lane.x + Math.min(...boxes.map(({ x }) => x)),
    lane.y + Math.min(...boxes.map(({ y }) => y)),
    lane.x + Math.max(...boxes.map(({ x, width }) => x + width)),
    lane.y + Math.max(...boxes.map(({ y, height }) => y + height)),
  ];
}

/** The last coordinates of a path before its arrow head. */
const endOf = (path: string): readonly [x: number, y: number] => {
  const numbers = [...path.replace(/m-4.*$/, '').matchAll(/([MHV])([\d.]+)(?:,([\d.]+))?/g)];
  return numbers.reduce<readonly [number, number]>(
    ([x, y], [, kind, first = '0', second = '0']) =>
      kind === 'M' ? [Number(first), Number(second)] : kind === 'H' ? [Number(first), y] : [x, Number(first)],
    [0, 0],
  );
};

describe('lanes of the drawing', () => {
  it('are the parts in their order; stations of none stand by themselves', () => {
    const lanes = lanesOf([...towers, station(undefined, 'beside')]);
    assert.deepEqual(
      lanes.map(({ name, stations }) => [name, stations.length]),
      [
        ['image', 5],
        ['text', 3],
        ['score', 1],
        ['', 1],
      ],
    );
  });

  it('end side by side with the lane that all hand over to, where there is room', () => {
    const layout = layoutLanes(lanesOf(towers), meet, 1100);
    const [image, text, score] = ['image', 'text', 'score'].map((name) => extent(layout, name));
    assert.ok(image && text && score);
    assert.ok(image[3] <= text[1] && score[0] >= Math.max(image[2], text[2]));
    assert.ok(layout.width <= 1100 && layout.height >= text[3]);
    for (const { path } of layout.joins) {
      const [x, y] = endOf(path);
      assert.ok(x <= score[0] && y > score[1] && y < score[3], path);
    }
  });

  it('stand one below the other where there is none, with arrows past them', () => {
    const layout = layoutLanes(lanesOf(towers), meet, 420);
    const [image, text, score] = ['image', 'text', 'score'].map((name) => extent(layout, name));
    assert.ok(image && text && score);
    assert.ok(image[3] < text[1] && text[3] < score[1]);
    assert.ok(layout.width <= 420, `${layout.width}`);
    assert.equal(layout.joins.length, 2);
    for (const { path } of layout.joins) {
      const [x, y] = endOf(path);
      assert.ok(x > score[0] && x < score[2] && y < score[1] && y > text[3], path);
    }
  });

  it('of a chain are never side by side: one hands over to the next alone', () => {
    const spoken = [...chain('image', 2), ...chain('text', 1), ...chain('decoder', 1)];
    const joins = [
      { from: 'image', to: 'text' },
      { from: 'text', to: 'decoder' },
    ];
    const layout = layoutLanes(lanesOf(spoken), joins, 2000);
    assert.deepEqual(
      layout.lanes.map(({ x }) => x),
      [0, 0, 0],
    );
  });

  it('are one drawing without a name for a model of one part', () => {
    const [only, ...others] = layoutLanes(
      lanesOf([station(undefined, 'a'), station(undefined, 'b')]),
      [],
      900,
    ).lanes;
    assert.deepEqual([only?.name, only?.x, only?.y, others.length], ['', 0, 0, 0]);
  });
});
