import assert from 'node:assert/strict';
import { sampledFrames } from '../../../src/preprocessing/frames';

describe('frames of a clip', () => {
  it('are all images if there are as many', () => assert.deepEqual(sampledFrames(4, 4), [0, 1, 2, 3]));
  // numpy: np.arange(4, dtype=int) * 10 // 4, as transformers samples.
  it('are evenly spaced from the first', () => assert.deepEqual(sampledFrames(10, 4), [0, 2, 5, 7]));
  it('repeat images that are fewer', () => assert.deepEqual(sampledFrames(2, 4), [0, 0, 1, 1]));
});
