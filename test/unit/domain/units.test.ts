import assert from 'node:assert/strict';
import {
  formatBytes,
  formatCount,
  formatExact,
  formatFigure,
  formatMilliseconds,
  formatPercent,
  formatShape,
  quantity,
} from '../../../src/domain/units';

describe('units', () => {
  const cases: readonly (readonly [found: string, expected: string])[] = [
    [formatExact(86567656), '86,567,656'],
    [formatExact(-1234.5), '-1,234.5'],
    [formatCount(86567656), '86.6 M'],
    [formatCount(17563828224, 4), '17.56 G'],
    [formatCount(960), '960'],
    [formatCount(999_950), '1.00 M'],
    [formatCount(0), '0'],
    [formatBytes(346270624), '346 MB'],
    [formatBytes(12), '12 B'],
    [quantity(1, 'head'), '1 head'],
    [quantity(12, 'head'), '12 heads'],
    [quantity([2, 4], 'head'), '2/4 heads'],
    [formatShape([197, 768]), '197×768'],
    [formatShape([]), 'scalar'],
    [formatPercent(0.9731), '97.3 %'],
    [formatPercent(0.0001), '< 0.1 %'],
    [formatPercent(1), '100 %'],
    [formatPercent(0), '0 %'],
    [formatMilliseconds(13.7), '14 ms'],
    [formatMilliseconds(250_000), '4 min 10 s'],
    [formatFigure(0.0412), '0.0412'],
    [formatFigure(0.00000412), '4.12e-6'],
  ];
  for (const [found, expected] of cases) it(expected, () => assert.equal(found, expected));
});
