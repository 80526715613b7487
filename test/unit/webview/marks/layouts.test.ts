import { nextOrder, sortedIndices } from '../../../../webview/kit/sorting';
import { cellAt, cellRectangle, overlayOf } from '../../../../webview/marks/overlay';
import { matrixLayout, tileUnder } from '../../../../webview/marks/tiles';
import { fitGrid, layoutStations } from '../../../../webview/marks/stationLayout';
import { deriveTree, moveInTree, searchRows, visibleLines } from '../../../../webview/marks/treeState';
import { rows, stations } from '../../../support/drawnModel';
import { assertSnapshot, linesOf } from '../../../support/snapshot';

describe('numbers of marks', () => {
  it('overlay: the image, what was seen and its patches', () => {
    const crop = overlayOf([640, 480], { x: 80, y: 0, width: 480, height: 480 }, 333, 1000);
    const padded = overlayOf([480, 640], { x: -80, y: 20, width: 640, height: 600 }, 333, 300);
    const grid = [2, 3] as const;
    const cells = [0, 1].flatMap((row) => [0, 1, 2].map((column) => ({ row, column })));
    const points = [-1, 0, 40, 120, 200, 280, 330].map((x) => cellAt(crop, grid, x, x / 2) ?? 'outside');
    assertSnapshot(
      'marks/overlay.txt',
      linesOf({
        crop,
        padded,
        cells: cells.map((cell) => cellRectangle(padded, grid, cell)),
        points,
      }),
    );
  });

  it('overlay: tiles of layers and heads', () => {
    const heads = (layers: number, count: number): readonly number[] => Array<number>(layers).fill(count);
    const free = (width: number) => ({ width, height: undefined });
    const layout = matrixLayout(heads(16, 2), 3, free(900));
    const layouts = {
      'vit 12×12 in 900': matrixLayout(heads(12, 12), 1, free(900)),
      'vit 24×16 in 600 × 480': matrixLayout(heads(24, 16), 1, { width: 600, height: 480 }),
      'pyramid 16×2 in 900, tall maps': layout,
    };
    const points = [0, 30, 105, 250, 600].map((x) => tileUnder(layout, x, x) ?? 'between');
    const sizes = Object.entries(layouts).map(
      ([
        name,
        {
          tiles: [first],
          labels: [label],
          ...each
        },
      ]) => [name, { ...each, first, label }],
    );
    assertSnapshot('marks/tiles.txt', linesOf({ ...Object.fromEntries(sizes), points }));
  });

  it('stations: boxes, arrows and turns', () =>
    assertSnapshot(
      'marks/stationLayout.txt',
      linesOf({
        ...layoutStations(stations, 420),
        fitted: [fitGrid(14, 14, 46, 46), fitGrid(3, 5, 46, 46)],
        none: layoutStations([], 420),
      }),
    ));

  it('tree: lines, moves and a search', () => {
    const tree = deriveTree(rows);
    const lines = visibleLines(tree, new Set(['1', '2', '2:members', '6']));
    const keys = ['ArrowDown', 'ArrowUp', 'PageDown', 'Home', 'End', 'ArrowRight', 'ArrowLeft', '*', 'x'];
    assertSnapshot(
      'marks/treeState.txt',
      linesOf({
        ...Object.fromEntries(lines.map((line, at) => [`line ${at}`, line])),
        ...Object.fromEntries(keys.map((key) => [key, moveInTree(lines, '2', key, 3) ?? 'nothing'])),
        search: [...searchRows(tree, 'attn', (row) => row.path).shown],
      }),
    );
  });

  it('sorting: indices and the next order', () =>
    assertSnapshot(
      'marks/sorting.txt',
      linesOf({
        numbers: sortedIndices([3, undefined, 1, 3, 2], false),
        'numbers down': sortedIndices([3, undefined, 1, 3, 2], true),
        names: sortedIndices(['blocks.10', 'blocks.2', undefined, 'Blocks.2'], false),
        orders: [
          nextOrder(undefined, 'name', false),
          nextOrder({ column: 'name', descending: false }, 'name', false),
          nextOrder({ column: 'name', descending: false }, 'macs', true),
        ],
      }),
    ));
});
