import assert from 'node:assert/strict';
import { colourMaps, colourAt, colourMapNamed, colourTable, paint } from '../../../src/attention/colourMaps';

/** Relative luminance of sRGB, ITU-R BT.709 weights, linearised. */
function luminance([red, green, blue]: readonly [number, number, number]): number {
  const linear = (value: number): number => (value / 255) ** 2.2;
  return 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue);
}

describe('colour maps', () => {
  it('begin and end with the published colours', () => {
    assert.deepEqual(colourAt('viridis', 0), [0x44, 0x01, 0x54]);
    assert.deepEqual(colourAt('viridis', 1), [0xfd, 0xe7, 0x25]);
    assert.deepEqual(colourAt('grey', 0.5), [128, 128, 128]);
  });

  it('hold 256 colours each', () => {
    for (const map of colourMaps) assert.equal(colourTable(map).length, 3 * 256, map);
  });

  for (const map of colourMaps.filter((name) => name !== 'turbo')) {
    it(`${map} gets brighter from low to high`, () => {
      for (let step = 1; step <= 32; step++)
        assert.ok(
          luminance(colourAt(map, step / 32)) >= luminance(colourAt(map, (step - 1) / 32)),
          `step ${step}`,
        );
    });
  }

  it('paint on the given scale, clamp outside it, and leave NaN transparent', () => {
    const pixels = paint([-1, 0, 1, 2, NaN], 0, 1, 'grey');
    assert.deepEqual([...pixels.filter((_, index) => index % 4 === 0)], [0, 0, 255, 255, 0]);
    assert.deepEqual([...pixels.filter((_, index) => index % 4 === 3)], [255, 255, 255, 255, 0]);
  });

  it('let what is below a low value through, more than what is below a high one', () => {
    const alphas = [...paint([0, 0.25, 1, NaN], 0, 1, 'grey', true)].filter((_, index) => index % 4 === 3);
    assert.deepEqual(alphas, [0, 128, 255, 0]);
  });

  it('paint a flat map without dividing by zero', () => {
    assert.deepEqual([...paint([0.25], 0.25, 0.25, 'grey')], [0, 0, 0, 255]);
  });

  it('paint nothing but 0 as the middle of a scale with a sign', () => {
    assert.deepEqual([...paint([0], 0, 0, 'diverging')], [...paint([0], -1, 1, 'diverging')]);
  });

  it('take the first map for an unknown name', () => assert.equal(colourMapNamed('jet'), 'viridis'));
});
