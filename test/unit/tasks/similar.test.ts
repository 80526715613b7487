import assert from 'node:assert/strict';
import { cosineOf, embeddingOf } from '../../../src/tasks/answer';
import { zeroShot } from '../../../src/tasks/zeroShot/zeroShot';
import type { OutputValues } from '../../../src/tasks/task';

const output = (name: string, means: OutputValues['means'], values: readonly number[]): OutputValues => ({
  name,
  means,
  shape: [1, values.length],
  values: Float32Array.from(values),
});
const seen = {} as Parameters<typeof zeroShot.read>[1];
const context = { config: undefined, topK: 1, imageSize: [8, 8] } as const;

describe('images beside one another', () => {
  it('are as alike as their vectors point the same way, however long these are', () => {
    const cosine = (one: readonly number[], other: readonly number[]): number =>
      cosineOf(Float32Array.from(one), Float32Array.from(other));
    assert.equal(cosine([3, 0], [0.5, 0]), 1);
    assert.equal(cosine([1, 0], [0, 2]), 0);
    assert.equal(cosine([1, -1], [-2, 2]), -1);
    // A double's rounding of 24 / 25.
    assert.ok(Math.abs(cosine([3, 4], [4, 3]) - 0.96) < 1e-12);
    assert.equal(cosine([0, 0], [1, 2]), 0);
  });

  it('are compared in the space of images and texts, not by what stands before it', () => {
    const answer = zeroShot.read(
      [output('pooled', 'features', [7, 8]), output('image_embeds', 'embedding', [0.6, 0.8])],
      seen,
      context,
    );
    assert.deepEqual(embeddingOf(answer), Float32Array.of(0.6, 0.8));
    assert.equal(embeddingOf({ kind: 'features' }), undefined);
  });
});
