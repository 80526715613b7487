import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { PathRunner } from '../../src/useCases/run';
import sharp from 'sharp';
import { sum } from '../../src/domain/lists';
import { sampleImage, temporaryFolder, testInference } from './support';

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

describe('an .onnx file that answers with the class of each pixel', () => {
  let inference: PathRunner;
  const folder = temporaryFolder();
  before(() => {
    inference = testInference();
  });
  after(() => inference.dispose());

  it('is shown as classes with their names and areas, not as a heat map', async () => {
    // Halves of pure red and blue: no resize between them mixes more than the seam.
    const image = join(folder, 'halves.png');
    const half = (r: number, b: number) =>
      sharp({ create: { width: 8, height: 16, channels: 3, background: { r, g: 0, b } } })
        .png()
        .toBuffer();
    await sharp({ create: { width: 16, height: 16, channels: 3, background: '#000' } })
      .composite([
        { input: await half(255, 0), left: 0, top: 0 },
        { input: await half(0, 255), left: 8, top: 0 },
      ])
      .png()
      .toFile(image);
    const { answer } = await inference.classify({
      checkpoint: resolve('test/fixtures/onnx/class-map'),
      image,
    });
    assert.ok(answer.kind === 'outputs');
    const [map] = answer.outputs;
    assert.ok(map?.kind === 'map' && map.onImage);
    const found = [...(map.categories ?? [])].sort((one, other) => one.value - other.value);
    assert.deepEqual(
      found.map(({ value, name }) => [value, name]),
      [
        [1, 'red'],
        [3, 'blue'],
      ],
    );
    assert.equal(sum(found.map(({ cells }) => cells)), 16 * 16);
    assert.deepEqual([map.values[0], map.values[15]], [1, 3]);
  });
});
