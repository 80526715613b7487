import assert from 'node:assert/strict';
import { readingWeights } from '../../../src/attention/reading';
import { reconstruct } from '../../../src/tasks/reconstruct/reconstruct';
import { uniformNoise } from '../../../src/tasks/reconstruct/noise';
import { openAt } from '../../support/open';

const file = 'test/fixtures/cases/hiera-mae-plain-transformers-safetensors/model.safetensors';

describe('what is hidden from Hiera', () => {
  it('are whole mask units, by a number of noise for each', async () => {
    const model = await openAt(file);
    const { tensors } = await reconstruct.prepare!(model, { seed: 7 });
    assert.deepEqual(tensors['noise']!.shape, [1, 6]);
    assert.deepEqual([...(tensors['noise']!.data as Float32Array)], [...uniformNoise(7, 6)]);
  });

  it('leaves units without a place on the image: no map of theirs is drawn on it', async () => {
    const { probes } = (await openAt(file)).graph();
    const [unit, , all] = probes;
    assert.deepEqual([unit!.keys, unit!.window], [{ special: [], sequence: 64 }, { units: [2, 1] }]);
    assert.equal(readingWeights(unit!, { kind: 'mean' }), undefined);
    assert.deepEqual([all!.queries.sequence, all!.keys.sequence], [2 * 4, 2 * 16]);
    assert.deepEqual(probes.at(-1)!.keys, { special: [], grid: [2, 3] });
  });
});
