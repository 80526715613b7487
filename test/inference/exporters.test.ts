import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { countMacs } from '../../src/analysis/complexity';
import { elementCount } from '../../src/checkpoint/tensors';
import { openModel } from '../../src/models/openedModels';
import type { PathRunner } from '../../src/useCases/run';
import { testInference } from './support';

/** A file of `test/fixtures/onnx`: what it holds and answers, by onnxruntime and PyTorch. */
interface ExportedCase {
  readonly file: string;
  readonly input: { readonly dtype: 'F32' | 'U8'; readonly shape: readonly number[] };
  readonly params: number;
  readonly params_more?: number;
  readonly output: string;
  readonly values: readonly number[];
  /** Of integers: steps of a quantisation that two versions of the runtime round differently. */
  readonly tolerance: number;
  readonly takes?: string;
  readonly activation?: string;
  readonly quantisation?: string;
  readonly notes?: string;
}

const folder = resolve('test/fixtures/onnx');
const cases = JSON.parse(readFileSync(join(folder, 'cases.json'), 'utf8')) as readonly ExportedCase[];

const valuesOf = {
  F32: (index: number): number => Math.sin(0.37 * index),
  U8: (index: number): number => (37 * index) % 256,
};

describe('.onnx files of exporters, quantisers and optimisers', () => {
  let inference: PathRunner;
  before(() => {
    inference = testInference();
  });
  after(() => inference.dispose());

  it('has cases', () => assert.ok(cases.length >= 12));

  for (const expected of cases)
    it(`${expected.file}: family, parameters, heads and outputs`, async () => {
      const path = join(folder, expected.file);
      const { recognition, counts, imageSize, checkpoint, graph } = await openModel(path);
      assert.ok(recognition.family === 'vit', JSON.stringify(recognition));
      assert.equal(counts.params, expected.params + (expected.params_more ?? 0));
      assert.deepEqual(imageSize, [16, 16]);
      assert.equal(recognition.evidence['heads']?.value, 2);
      assert.equal(recognition.inside?.takes, expected.takes);
      assert.match(
        String(recognition.evidence['quantisation']?.value),
        new RegExp(expected.quantisation ?? 'undefined'),
      );
      const logits = graph().outputs.find(({ means }) => means === 'logits');
      assert.equal(logits?.activation, expected.activation);
      assert.match(checkpoint.warnings.join(), new RegExp(expected.notes ?? '^$'));

      const { dtype, shape } = expected.input;
      const data = Float32Array.from({ length: elementCount(shape) }, (_, index) => valuesOf[dtype](index));
      const inputs = { pixel_values: { dtype: 'F32', shape, data } } as const;
      const outputs = await inference.runTensors({ checkpoint: path, inputs });
      const found = outputs[expected.output] ?? outputs['logits'];
      assert.equal(found?.data.length, expected.values.length);
      expected.values.forEach((value, index) => {
        const off = Math.abs(Number(found?.data[index]) - value);
        assert.ok(off <= expected.tolerance, `${index}: ${Number(found?.data[index])} for ${value}`);
      });
      assert.ok(outputs['attention.0'], 'an attention map');
    });

  it('reads one image of a file that fixes four', async () => {
    const expected = cases.find(({ file }) => file === 'batch.onnx');
    assert.ok(expected);
    const data = Float32Array.from({ length: 3 * 16 * 16 }, (_, index) => valuesOf.F32(index));
    const inputs = { pixel_values: { dtype: 'F32', shape: [1, 3, 16, 16], data } } as const;
    const { logits } = await inference.runTensors({ checkpoint: join(folder, expected.file), inputs });
    assert.deepEqual(logits?.shape, [1, 4]);
    logits?.data.forEach((value, index) =>
      // The same products in float32, in another order.
      assert.ok(Math.abs(Number(value) - (expected.values[index] ?? NaN)) <= expected.tolerance),
    );
  });

  it('counts one image of a file that fixes four, and says how large it may be asked for', async () => {
    const [one, four] = await Promise.all(
      ['softmax-last.onnx', 'batch.onnx'].map(async (file) => (await openModel(join(folder, file))).graph()),
    );
    assert.ok(one && four);
    assert.deepEqual(countMacs(four), countMacs(one));
    assert.deepEqual(
      four.probes.map(({ value }) => four.values.get(value)?.shape),
      [[1, 2, 5, 5]],
    );
    const open = await openModel(join(folder, 'open-size.onnx'));
    assert.ok(open.recognition.family !== null);
    assert.deepEqual(open.recognition.sizeStep, [0, 0]);
    assert.match(open.recognition.evidence['image_size']?.source ?? '', /pos_embed holds 2 × 2 positions/);
  });
});
