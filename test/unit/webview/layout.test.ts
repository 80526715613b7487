import assert from 'node:assert/strict';
import { fitGrid, layoutStations } from '../../../webview/marks/stationLayout';
import { rowWindow } from '../../../webview/kit/virtualRows';
import { inspectorModel, vitB16 } from '../../pages/vit';

describe('drawing of the whole', () => {
  const { stations } = inspectorModel(vitB16);

  for (const width of [360, 560, 1280])
    it(`stays inside ${width} pixels without boxes that touch`, () => {
      const { boxes, arrows, turns, height } = layoutStations(stations, width);
      assert.equal(arrows.length + turns.length, stations.length - 1);
      boxes.forEach((box, index) => {
        assert.ok(box.x + box.width <= width, `box ${index} ends at ${box.x + box.width}`);
        assert.ok(box.y + box.height <= height);
        const next = boxes[index + 1];
        if (next?.y === box.y) assert.ok(next.x > box.x + box.width);
      });
    });

  it('is empty without stations', () => assert.equal(layoutStations([], 800).height, 0));

  it('draws grids with their true rows and columns', () => {
    const { cell, x, y } = fitGrid(8, 24, 48, 48);
    assert.deepEqual([cell, x, y], [2, 0, 16]);
  });
});

describe('virtual rows', () => {
  it('draw what is on the screen and some more', () => {
    assert.deepEqual(rowWindow(5000, 24, -24_000, 480, 20), { first: 980, end: 1040 });
  });

  it('stay inside the list', () => {
    assert.deepEqual(rowWindow(10, 24, 100, 480), { first: 0, end: 10 });
    assert.deepEqual(rowWindow(10, 24, -100_000, 480), { first: 10, end: 10 });
  });
});
