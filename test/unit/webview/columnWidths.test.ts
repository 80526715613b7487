import assert from 'node:assert/strict';
import { draggedBorder, fitColumns, NARROWEST } from '../../../webview/kit/columnWidths';

const columns = [
  { name: 'name', width: 260, grows: true },
  { name: 'shape', width: 100 },
  { name: 'type', width: 50 },
  { name: 'size', width: 70 },
] as const;
/** Both ends of a row, and the gaps between its columns. */
const around = (count: number): number => 28 + 12 * (count - 1);

describe('widths of columns', () => {
  it('give the first column what the others leave, as long as all fit', () => {
    const { shown, template } = fitColumns(columns, {}, 260 + 100 + 50 + 70 + around(4));
    assert.deepEqual(shown, ['name', 'shape', 'type', 'size']);
    assert.equal(template, 'minmax(0, 1fr) 100px 50px 70px');
  });

  it('leave from the right until the name has its room', () => {
    const shownAt = (width: number): readonly string[] => fitColumns(columns, {}, width).shown;
    assert.deepEqual(shownAt(260 + 100 + 50 + 70 + around(4) - 1), ['name', 'shape', 'type']);
    assert.deepEqual(shownAt(260 + 100 + around(2)), ['name', 'shape']);
    assert.deepEqual(shownAt(200), ['name']);
  });

  it('never ask more for a name than six tenths of the table', () => {
    const long = [{ name: 'name', width: 5000, grows: true } as const, columns[1]];
    assert.deepEqual(fitColumns(long, {}, 400).shown, ['name', 'shape']);
  });

  it('count what a person dragged, and all before the table is measured', () => {
    assert.deepEqual(fitColumns(columns, { shape: 200 }, 260 + 100 + 50 + 70 + around(4)).shown, [
      'name',
      'shape',
    ]);
    assert.equal(fitColumns(columns, {}, 0).shown.length, 4);
  });

  it('move one border: what one column gains, the other loses', () => {
    assert.deepEqual(draggedBorder(columns, {}, ['shape', 'type'], 7), { shape: 107, type: 43 });
    assert.deepEqual(draggedBorder(columns, {}, ['name', 'shape'], -30), { shape: 130 });
    assert.deepEqual(draggedBorder(columns, { type: 60 }, ['type', 'size'], 500), {
      type: 60 + 70 - NARROWEST,
      size: NARROWEST,
    });
  });
});
