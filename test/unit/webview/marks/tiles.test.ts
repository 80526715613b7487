import assert from 'node:assert/strict';
import { at } from '../../../../src/domain/lists';
import {
  flowLayout,
  framesOf,
  matrixLayout,
  tileUnder,
  type TileLayout,
} from '../../../../webview/marks/tiles';

const heads = (layers: number, count: number): readonly number[] => Array<number>(layers).fill(count);

/** All tiles lie in the room, none on another, and each is found in its middle. */
function assertApart(layout: TileLayout, width: number, height: number): void {
  assert.ok(layout.width <= width && layout.height <= height, `${layout.width} × ${layout.height}`);
  const { tiles } = layout;
  for (const [index, { box, layer, head }] of tiles.entries()) {
    const found = tileUnder(layout, box.x + box.width / 2, box.y + box.height / 2);
    assert.deepEqual([found?.layer, found?.head], [layer, head]);
    for (const other of tiles.slice(index + 1)) {
      const beside = other.box.x >= box.x + box.width || other.box.x + other.box.width <= box.x;
      const below = other.box.y >= box.y + box.height || other.box.y + other.box.height <= box.y;
      assert.ok(beside || below, `${layer}.${head} and ${other.layer}.${other.head}`);
    }
  }
}

describe('small multiples', () => {
  for (const [layers, count, width, height] of [
    [12, 12, 600, 480],
    [24, 16, 600, 480],
    [48, 25, 1100, 640],
    [6, 4, 1000, 640],
    [50, 2, 900, 500],
  ] as const)
    it(`${layers} × ${count} fit into ${width} × ${height}, as large as there is room for`, () => {
      const layout = matrixLayout(heads(layers, count), 1, { width, height });
      assertApart(layout, width, height);
      assert.equal(layout.tiles.length, layers * count);
      // A third more would not fit: neither beside each other nor below.
      const more = Math.ceil(layout.tile * 1.35) + 2;
      const rows = Math.ceil(layers / Math.floor(width / (more * count)));
      assert.ok(layout.tile === 120 || !(rows * more <= height - 18), `${layout.tile}`);
    });

  it('stand whole below each other where the height is free, up to 72 pixels wide', () => {
    const layout = matrixLayout(heads(32, 16), 1, { width: 420, height: undefined });
    assertApart(layout, 420, Infinity);
    assert.deepEqual(matrixLayout(heads(6, 4), 8 / 24, { width: 1000, height: undefined }).tile, 72);
  });

  it('number layers and heads from 0, every fifth where tiles are small', () => {
    const texts = (layout: TileLayout): readonly string[] => layout.labels.map(({ text }) => text);
    const room = { width: 400, height: undefined };
    assert.deepEqual(texts(matrixLayout(heads(2, 3), 1, room)), ['0', '1', '0', '1', '2']);
    assert.deepEqual(texts(matrixLayout(heads(6, 40), 1, room)).slice(0, 2), ['0', '5']);
  });

  it('leave places of heads that a layer does not have', () => {
    const layout = matrixLayout([1, 3], 1, { width: 400, height: 300 });
    assert.deepEqual(
      layout.tiles.map(({ layer, head }) => [layer, head]),
      [
        [0, 0],
        [1, 0],
        [1, 1],
        [1, 2],
      ],
    );
    assertApart(layout, 400, 300);
    assert.deepEqual(
      layout.labels.map(({ text }) => text),
      ['0', '1', '0', '1', '2'],
    );
    assert.equal(tileUnder(layout, 2, 30), undefined);
  });

  it('leave no row for a layer that has no map', () => {
    const { tiles, labels } = matrixLayout([2, 2], 1, { width: 300, height: 300 }, [3, 5]);
    assert.deepEqual([...new Set(tiles.map(({ layer }) => layer))], [3, 5]);
    assert.equal(at(tiles, 0).box.y, Math.min(...tiles.map(({ box }) => box.y)));
    assert.deepEqual(
      labels.filter(({ align }) => align === 'right').map(({ text }) => text),
      ['3', '5'],
    );
  });

  it('flow in rows, each with its name', () => {
    const order = Array.from({ length: 13 }, (_, layer) => ({ layer, head: 0 }));
    const layout = flowLayout(order, ({ layer }) => `L${layer}`, 1, { width: 500, height: 300 });
    assertApart(layout, 500, 300);
    assert.equal(layout.labels[12]?.text, 'L12');
    assert.ok(new Set(layout.tiles.map(({ box }) => box.y)).size > 1);
  });

  it('are framed together where heads stand in a row, else one by one', () => {
    const matrix = matrixLayout(heads(3, 4), 1, { width: 400, height: 300 });
    const [frame, ...others] = framesOf(matrix, 1, undefined);
    assert.deepEqual(others, []);
    assert.equal(frame?.width, 4 * matrix.tile + 3 * 4);
    const [one] = framesOf(matrix, 1, 2);
    assert.deepEqual(one, matrix.tiles.find(({ layer, head }) => layer === 1 && head === 2)?.box);
    const flow = flowLayout(matrix.tiles, () => '', 1, { width: 400, height: 300 });
    assert.equal(framesOf(flow, 1, undefined).length, 4);
  });
});
