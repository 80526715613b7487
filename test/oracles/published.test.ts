import assert from 'node:assert/strict';
import { publishedTableText } from '../../src/architectures/published/makeTable';
import { publishedTable } from '../../src/preprocessing/published/models';
import { table } from '../../src/preprocessing/published/table';
import { ownFolder } from './lines';

describe('the table of published models', () => {
  it('is what its script writes', () => {
    const text = publishedTableText(ownFolder, 'test/fixtures/published/libraries.jsonl.gz');
    assert.ok(text.includes(table), 'run src/architectures/published/make.ts as its comment says');
  });

  it('has one row for each model', () => {
    const names = publishedTable().models.map(([name]) => name);
    assert.equal(new Set(names).size, names.length);
  });
});
