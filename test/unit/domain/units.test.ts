import assert from 'node:assert/strict';
import {
  formatBytes,
  formatCount,
  formatExact,
  formatNumber,
  formatMilliseconds,
  formatPercent,
  formatShape,
  parseSize,
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
    [formatNumber(0.0412), '0.0412'],
    [formatNumber(0.00000412), '4.12e-6'],
    [formatExact(Infinity), 'Infinity'],
    [formatExact(1000), '1,000'],
    [formatCount(1000), '1.00 k'],
    [formatCount(999), '999'],
    [formatCount(1e6), '1.00 M'],
    [formatCount(1e9), '1.00 G'],
    [formatCount(1e12), '1.00 T'],
    [formatCount(9.99e14), '999 T'],
    [formatCount(1e15), '1.00 P'],
    [formatCount(-2500), '-2.50 k'],
    [formatCount(0.12345), '0.123'],
    [formatBytes(1500, 2), '1.5 kB'],
    [formatBytes(123456, 2), '120 kB'],
    [quantity(1000, 'token'), '1,000 tokens'],
    [formatPercent(0.0005, 2), '0.05 %'],
    // Half of the last digit shown of a share of one, 0.5 · 10⁻³, as a percentage rounds up.
    [formatPercent(0.0005), '0.1 %'],
    [formatPercent(0.000499), '< 0.1 %'],
    [formatPercent(0.004, 0), '< 1 %'],
    [formatPercent(0.005, 0), '1 %'],
    [formatPercent(-0.25), '-25.0 %'],
    [formatPercent(0.9996), '100 %'],
    [formatMilliseconds(0.44), '0.4 ms'],
    [formatMilliseconds(9.94), '9.9 ms'],
    [formatMilliseconds(10), '10 ms'],
    [formatMilliseconds(999), '999 ms'],
    [formatMilliseconds(1000), '1.0 s'],
    [formatMilliseconds(2345), '2.3 s'],
    [formatMilliseconds(59_900), '59.9 s'],
    [formatMilliseconds(60_000), '1 min 0 s'],
    [formatMilliseconds(119_600), '2 min 0 s'],
    [formatNumber(0), '0'],
    [formatNumber(NaN), 'NaN'],
    [formatNumber(-0.5), '-0.5'],
    [formatNumber(1e-4), '0.0001'],
    [formatNumber(9.99e-5), '9.99e-5'],
    [formatNumber(2e-4), '0.0002'],
    [formatNumber(999_999, 6), '999999'],
    [formatNumber(1e6), '1.00e+6'],
    [formatNumber(2_500_000, 2), '2.5e+6'],
  ];
  for (const [found, expected] of cases) it(expected, () => assert.equal(found, expected));

  it('read a size as people type it', () => {
    assert.deepEqual(parseSize('224'), [224, 224]);
    assert.deepEqual(parseSize(' 192 x 256 '), [192, 256]);
    assert.deepEqual(parseSize('1×12'), [1, 12]);
    assert.deepEqual(parseSize('12x1'), [12, 1]);
    assert.deepEqual(parseSize('1'), [1, 1]);
  });

  it('read no size of nothing, of text and of a side of no pixels', () => {
    for (const text of ['', '0', '0x224', '224x0', '-1', '2.5', '224x', 'x224', '224x224x3', 'large'])
      assert.equal(parseSize(text), undefined, text);
  });
});
