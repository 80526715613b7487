import assert from 'node:assert/strict';
import { spreadLabels } from '../../../webview/marks/charts';

describe('labels at the ends of lines', () => {
  const placed = (values: readonly number[], decade: number): readonly (readonly [string, number])[] =>
    spreadLabels(
      values.map((value) => ({ value, text: String(value) })),
      decade,
    ).map(({ text, down }) => [text, Math.round(down)] as const);

  it('stand at their values where these are far apart', () =>
    assert.deepEqual(placed([1000, 10, 0], 30), [
      ['1000', 0],
      ['10', 0],
    ]));

  it('move down where they would cover another, the largest on top', () =>
    assert.deepEqual(placed([100, 100, 1000], 5), [
      ['1000', 0],
      ['100', 7],
      ['100', 19],
    ]));
});
