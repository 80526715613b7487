import assert from 'node:assert/strict';
import type { ExplainedMap } from '../../../../src/domain/explanation';
import { differenceOf, mapScale } from '../../../../webview/image/why/mapScale';

const mapOf = (values: readonly number[], signed: boolean): ExplainedMap => ({
  grid: [1, values.length],
  values: Float32Array.from(values),
  signed,
  legend: 'relevance',
});
const whole = { clipped: false, colourMap: 'viridis' } as const;

describe('scales of explanations', () => {
  it('a sign has 0 in the middle and ends as far as the largest, whichever sign that has', () => {
    const { low, high, colours, text } = mapScale(mapOf([-4, 1, 2], true), whole);
    assert.deepEqual([low, high, colours], [-4, 4, 'diverging']);
    assert.equal(text, '0 in the middle, ends at ± the largest');
  });

  it('without a sign it goes from the lowest to the highest, though that is far from 0', () => {
    const { low, high, colours, constant } = mapScale(mapOf([3, 5, 4], false), whole);
    assert.deepEqual([low, high, colours, constant], [3, 5, 'viridis', undefined]);
  });

  it('a constant map is said to be one, and numbers that are none are counted', () => {
    for (const signed of [true, false]) {
      const { constant, notes, low, high } = mapScale(mapOf([2, 2, NaN, 2], signed), whole);
      assert.equal(constant, 2);
      assert.deepEqual([low, high], [signed ? -2 : 2, 2]);
      assert.match(notes.join(' '), /1 value of 4 not finite.*Every place has 2/);
    }
    assert.equal(mapScale(mapOf([0, 0], true), whole).constant, 0);
  });

  it('colours that end at the 99th percentile say so, with the largest', () => {
    const values = Array.from({ length: 200 }, (_, place) => (place === 7 ? 1000 : place));
    const { high, text } = mapScale(mapOf(values, false), { ...whole, clipped: true });
    assert.equal(high, 198);
    assert.match(text, /to the 99th percentile \(largest 1000\)/);
  });

  it('maps of one grid and kind have a difference, which says if each was scaled by itself', () => {
    const names = ['cat', 'dog'] as const;
    const difference = differenceOf(mapOf([0, 1], false), mapOf([1, 0], false), names);
    assert.deepEqual([...(difference?.values ?? [])], [-1, 1]);
    assert.equal(difference?.signed, true);
    assert.match(difference?.legend ?? '', /^cat − dog: relevance; each of the maps is scaled to 0 … 1/);
    const plain = differenceOf(mapOf([0, 0.5], false), mapOf([0.2, 0.1], false), names);
    assert.equal(plain?.legend, 'cat − dog: relevance');
    assert.equal(differenceOf(mapOf([0, 1], false), mapOf([0, 1, 2], false), names), undefined);
    assert.equal(differenceOf(mapOf([0, 1], false), mapOf([0, 1], true), names), undefined);
  });
});
