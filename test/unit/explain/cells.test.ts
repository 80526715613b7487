import assert from 'node:assert/strict';
import { bilinear } from '../../../src/attention/upsampling';
import { onCells } from '../../../src/explain/cells';

describe('maps on other grids', () => {
  it('cells are the means of what they cover, by area', () => {
    assert.deepEqual([...onCells([1, 2, 3, 4], [2, 2], [1, 1])], [2.5]);
    assert.deepEqual([...onCells([1, 2, 3, 4], [2, 2], [4, 4])].slice(0, 8), [1, 1, 2, 2, 1, 1, 2, 2]);
    // Three columns on two: the middle one belongs to both by half.
    const [left = 0, right = 0] = onCells([3, 6, 12], [1, 3], [1, 2]);
    assert.ok(Math.abs(left - 4) < 1e-6 && Math.abs(right - 10) < 1e-6, `${left}, ${right}`);
  });

  it('the mean of the whole is kept, whatever the grids', () => {
    const values = Array.from({ length: 35 }, (_, place) => Math.sin(place) + place / 7);
    const mean = (list: ArrayLike<number>): number =>
      Array.from(list).reduce((sum, value) => sum + value, 0) / list.length;
    assert.ok(Math.abs(mean(onCells(values, [5, 7], [3, 4])) - mean(values)) < 1e-6);
  });

  it('values between centres are interpolated as align_corners=False has it', () => {
    // torch: F.interpolate(tensor([[[[0., 1.], [2., 3.]]]]), size=4, mode='bilinear')
    const expected = [0, 0.25, 0.75, 1, 0.5, 0.75, 1.25, 1.5, 1.5, 1.75, 2.25, 2.5, 2, 2.25, 2.75, 3];
    assert.deepEqual([...bilinear([0, 1, 2, 3], [2, 2], [4, 4])], expected);
  });
});
