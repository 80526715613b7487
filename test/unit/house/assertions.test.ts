import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as ts from 'typescript';

/**
 * Non-null assertions (`!`) that src may have: a number that only falls. Those that stay are in
 * loops over typed arrays, where a check costs time.
 */
const mostAssertions = 50;

function assertionsIn(file: string): number {
  const text = readFileSync(file, 'utf8');
  if (!text.includes('!')) return 0;
  const count = (node: ts.Node): number => {
    let found = ts.isNonNullExpression(node) ? 1 : 0;
    ts.forEachChild(node, (child) => {
      found += count(child);
    });
    return found;
  };
  return count(ts.createSourceFile(file, text, ts.ScriptTarget.Latest));
}

describe('the source', () => {
  it(`asserts that something is there ${mostAssertions} times at most`, function () {
    this.timeout(30_000);
    const files = readdirSync('src', { recursive: true, encoding: 'utf8' }).filter((file) =>
      file.endsWith('.ts'),
    );
    const found = files.reduce((sum, file) => sum + assertionsIn(join('src', file)), 0);
    assert.ok(found <= mostAssertions, `${found} found; use at, last or a default instead of !`);
  });
});
