import assert from 'node:assert/strict';
import { changed, edited } from '../../../webview/inspector/mappingEdits';

const rows = [
  { name: 'x', as: 'norm1.weight' },
  { name: 'y', as: 'norm1.bias' },
  { name: 'z', as: 'norm2.weight' },
];

describe('edits of a mapping', () => {
  it('let two tensors that were taken for one another change places', () => {
    const edits = changed(rows, new Map(), 'x', 'norm1.bias');
    assert.deepEqual(
      edited(rows, edits).map(({ as }) => as),
      ['norm1.bias', 'norm1.weight', 'norm2.weight'],
    );
  });

  it('are none once all is as it was', () => {
    const edits = changed(rows, new Map(), 'x', 'norm1.bias');
    assert.deepEqual(changed(rows, edits, 'x', 'norm1.weight'), new Map());
  });

  it('take a name that nobody has', () => {
    const edits = changed(rows, new Map(), 'z', 'fc_norm.weight');
    assert.deepEqual(edits, new Map([['z', 'fc_norm.weight']]));
  });
});
