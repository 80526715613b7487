import assert from 'node:assert/strict';
import { reconstruct } from '../../../src/tasks/reconstruct/reconstruct';
import { openAt } from '../../support/open';
import type { Rebuilt } from '../../../src/tasks/answer';
import { uniformNoise } from '../../../src/tasks/reconstruct/noise';
import { errorsOf, maskedOf, pixelsOf, summaryOf } from '../../../src/tasks/reconstruct/pictures';

describe('noise that hides patches', () => {
  it('is torch’s: torch.rand(3, generator=torch.Generator().manual_seed(1))', () => {
    // Written by torch 2.13; 24 bits of each, so that nothing is rounded.
    assert.deepEqual([...uniformNoise(1, 3)], [0.7576315999031067, 0.2793108820915222, 0.40306925773620605]);
  });

  it('is the same for the same seed, also behind the generator’s first state', () => {
    const [long, again, other] = [uniformNoise(7, 700), uniformNoise(7, 700), uniformNoise(8, 700)];
    assert.deepEqual(long, again);
    assert.notDeepEqual(long, other);
    assert.notDeepEqual(long.slice(0, 76), long.slice(624));
  });
});

describe('pictures of hidden patches', () => {
  const answer: Rebuilt = {
    kind: 'pixels',
    grid: [1, 2],
    reconstruction: Float32Array.of(10, 300, 20, 90, 30, -5),
    pasted: Float32Array.of(12, 300, 22, 90, 32, -5),
    hidden: Float32Array.of(0, 1),
    patches: 2,
    hiddenPatches: 1,
    seed: 5,
    error: 12.34,
    normalised: false,
  };

  it('clip what leaves the range of a byte, colours of a pixel together', () =>
    assert.deepEqual([...pixelsOf(answer.pasted, [1, 2]).rgb], [12, 22, 32, 255, 90, 0]));

  it('are grey where the model saw nothing', () =>
    assert.deepEqual([...maskedOf(answer).rgb], [12, 22, 32, 128, 128, 128]));

  it('say how far off a hidden pixel is, and nothing of others', () => {
    const seen = { width: 2, height: 1, rgb: Uint8Array.of(12, 22, 32, 255, 93, 1) };
    assert.deepEqual([...errorsOf(answer, seen)], [NaN, (45 + 3 + 6) / 3]);
    assert.deepEqual([...errorsOf(answer, { ...seen, width: 1 })], [NaN, NaN]);
  });

  it('are told by patches and seed', () =>
    assert.equal(summaryOf(answer), '1 of 2 patches hidden by seed 5; drawn 12.3 levels of 255 off'));
});

describe('what is hidden from SimMIM over windows', () => {
  it('are whole squares of patches, as large as what its decoder draws of a token', async () => {
    const model = await openAt('test/fixtures/cases/simmim-swin-transformers-safetensors/model.safetensors');
    const { tensors } = await reconstruct.prepare!(model, { seed: 3 });
    const { data, shape } = tensors['bool_masked_pos']!;
    assert.deepEqual(shape, [1, 64]);
    const hidden = [...(data as Float32Array)];
    // 60 % of 16 squares are 10, of 4 patches each.
    assert.equal(
      hidden.reduce((sum, value) => sum + value, 0),
      40,
    );
    const squares = Array.from({ length: 16 }, (_, square) => {
      const corner = Math.floor(square / 4) * 16 + (square % 4) * 2;
      return [0, 1, 8, 9].map((by) => hidden[corner + by]);
    });
    assert.ok(squares.every((four) => new Set(four).size === 1));
    const other = (await reconstruct.prepare!(model, { seed: 4 })).tensors['bool_masked_pos']!;
    assert.notDeepEqual([...(other.data as Float32Array)], hidden);
  });

  it('may be nothing: the image is drawn as a whole', async () => {
    const model = await openAt('test/fixtures/cases/simmim-swin-transformers-safetensors/model.safetensors');
    const { inputs, outputs } = model.graph({ lengths: { shown: 1 } });
    assert.deepEqual(
      inputs.map(({ name }) => name),
      ['pixel_values'],
    );
    assert.deepEqual(
      outputs.map(({ name }) => name),
      ['reconstruction'],
    );
  });
});
