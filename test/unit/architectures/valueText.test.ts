import assert from 'node:assert/strict';
import { parseValue } from '../../../src/architectures/valueText';

describe('parseFigure', () => {
  const cases: readonly [text: string, value: unknown][] = [
    ['12', 12],
    ['1e-6', 1e-6],
    ['gelu', 'gelu'],
    ['true', true],
    ['14, 10', [14, 10]],
    ['avg,token', ['avg', 'token']],
  ];
  for (const [text, value] of cases)
    it(`reads ${text}`, () => {
      assert.deepEqual(parseValue(text), value);
    });

  for (const text of ['', '  ', '2,,4', ','])
    it(`refuses ${JSON.stringify(text)}`, () => {
      assert.throws(() => parseValue(text), /a number, a word or a comma list/);
    });
});
