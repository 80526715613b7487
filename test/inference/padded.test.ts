// Images of two sizes in one batch: places that only fill it up are not looked at, as transformers
// has it, or the batch is refused.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import type { PathRunner } from '../../src/useCases/run';
import type { TensorData } from '../../src/inference/remoteApi';
import { numbersOf, readTensorFile } from '../support/tensors';
import { testInference } from './support';

const folder = 'test/fixtures/padded';

/** float32 against float64 through some twenty layers; logits reach 12. */
const tolerance = 2e-4;

describe('a batch that is filled up to one size', function () {
  this.timeout(120_000);
  let inference: PathRunner;
  before(() => {
    inference = testInference();
  });
  after(() => inference?.dispose());

  const reference = (name: string) => readTensorFile(join(folder, `${name}.safetensors`));
  const run = (name: string, given = ['pixel_values', 'pixel_mask']) => {
    const stored = reference(name);
    const inputs = Object.fromEntries(
      given.map((input): readonly [string, TensorData] => {
        const tensor = stored.get(input)!;
        return [input, { dtype: 'F32', shape: tensor.shape, data: Float32Array.from(numbersOf(tensor)) }];
      }),
    );
    return inference.runTensors({
      checkpoint: join('test/fixtures/cases', name, 'model.safetensors'),
      inputs,
      provider: 'cpu',
    });
  };
  const worst = (name: string, output: string, found: TensorData | undefined): number => {
    const expected = numbersOf(reference(name).get(output)!);
    assert.equal(found?.data.length, expected.length);
    return expected.reduce((most, value, at) => Math.max(most, Math.abs(value - Number(found!.data[at]))), 0);
  };

  for (const name of [
    'table-transformer-transformers-safetensors',
    'conditional-detr-detect',
    'dab-detr-transformers-safetensors',
    // Its library's model looks at the pixels of all of the batch.
    'rt-detr-detect',
  ])
    it(`${name}: each image has the answer that the library gives it`, async () => {
      const outputs = await run(name);
      for (const output of ['logits', 'pred_boxes']) {
        const difference = worst(name, output, outputs[output]);
        assert.ok(difference < tolerance, `${output} differs by ${difference}`);
      }
    });

  it('is another one without its mask', async () => {
    const name = 'conditional-detr-detect';
    const outputs = await run(name, ['pixel_values']);
    assert.ok(worst(name, 'logits', outputs['logits']) > 1);
  });

  it('is refused by a model that is not written for it', () =>
    assert.rejects(
      run('deformable-detr-detect'),
      /pixel_mask \[2, 96, 128\] has 8788 zeros.*Deformable DETR/,
    ));
});
