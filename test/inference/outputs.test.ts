import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { PathRunner } from '../../src/useCases/run';
import { sampleImage, testInference } from './support';

/** A file of `test/fixtures/onnx/outputs`, and what onnxruntime answers to a sine. */
interface OutputsCase {
  readonly file: string;
  readonly task: 'outputs' | 'classify';
  readonly outputs: Readonly<
    Record<string, { readonly shape: readonly number[]; readonly values: readonly number[] }>
  >;
}

const folder = resolve('test/fixtures/onnx');
const cases = JSON.parse(readFileSync(join(folder, 'outputs.json'), 'utf8')) as readonly OutputsCase[];

describe('.onnx files that are no classifiers of a known family', () => {
  let inference: PathRunner;
  before(() => {
    inference = testInference();
  });
  after(() => inference.dispose());

  it('has cases', () => assert.equal(cases.length, 4));

  for (const { file, task, outputs: expected } of cases)
    it(`${file}: every output by its name, and an answer to an image`, async () => {
      const checkpoint = join(folder, 'outputs', file);
      const data = Float32Array.from({ length: 3 * 16 * 16 }, (_, index) => Math.sin(0.37 * index));
      const inputs = { pixel_values: { dtype: 'F32', shape: [1, 3, 16, 16], data } } as const;
      const found = await inference.runTensors({ checkpoint, inputs });
      for (const [name, { shape, values }] of Object.entries(expected)) {
        const tensor = found[name] ?? found['logits'];
        assert.deepEqual(tensor?.shape, shape, name);
        // Float32 sums in another order, of numbers up to 3, written with six decimals.
        values.forEach((value, at) => assert.ok(Math.abs(Number(tensor?.data[at]) - value) < 2e-5, name));
      }

      const { answer, inputSize, preprocessing } = await inference.classify({
        checkpoint,
        image: sampleImage,
      });
      assert.ok(preprocessing.some(({ assumed }) => assumed));
      if (task === 'classify') {
        assert.ok(answer.kind === 'classes');
        assert.equal(answer.classes, 3);
        return;
      }
      assert.ok(answer.kind === 'outputs');
      assert.deepEqual(
        answer.outputs.map(({ name }) => name),
        Object.keys(expected),
      );
      const [first] = answer.outputs;
      assert.ok(first?.kind === 'map' && first.onImage);
      assert.ok(first.values.every(Number.isFinite));
      if (file === 'saliency.onnx') {
        assert.deepEqual(inputSize.current, [16, 16]);
        // A sigmoid's numbers.
        assert.ok(first.spread.low > 0 && first.spread.high < 1);
      }
    });
});
