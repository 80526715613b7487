import { openModel } from '../../src/models/openedModels';
import assert from 'node:assert/strict';
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { type Model } from '../../src/models/model';
import { exportOnnx } from '../../src/inference/export';
import { temporaryFolder, testInference } from './support';

describe('exportOnnx', () => {
  const folder = temporaryFolder();
  const checkpoint = resolve('media/sample/vitrine-sample-64');
  let model: Model;
  before(async () => {
    model = await openModel(checkpoint);
  });

  const tensors = () => model.checkpoint.selected.tensors;

  it('writes one file that the runtime reads by itself, and that is the same model', async () => {
    const target = join(folder, 'own.onnx');
    const shares: number[] = [];
    const { files, bytes } = await exportOnnx(model.graph(), tensors(), target, {
      progress: (share) => shares.push(share),
    });
    assert.deepEqual(files, [target]);
    assert.equal((await stat(target)).size, bytes);
    assert.equal(shares.at(-1), 1);
    const again = await openModel(target);
    assert.equal(again.counts.params, model.counts.params);
    assertClose(await run(target), await runCheckpoint());
  });

  it('puts the weights into a second file above the limit, with the same answer', async () => {
    const single = join(folder, 'single.onnx');
    const apart = join(folder, 'apart.onnx');
    await exportOnnx(model.graph(), tensors(), single);
    const { files } = await exportOnnx(model.graph(), tensors(), apart, { singleFileBytes: 1000 });
    assert.deepEqual(files, [apart, `${apart}.data`]);
    assert.ok((await stat(apart)).size < (await stat(single)).size / 4);
    assert.deepEqual(await run(apart), await run(single));
  });

  it('refuses a dtype that nothing can run, and leaves no file', async () => {
    const target = join(folder, 'packed.onnx');
    const packed = tensors().map((tensor) => ({ ...tensor, dtype: 'F4' as const }));
    await assert.rejects(exportOnnx(model.graph(), packed, target), /stored as F4, .* cannot be run/);
    assert.deepEqual(
      (await readdir(folder)).filter((name) => name.startsWith('packed')),
      [],
    );
  });

  it('leaves what stood there, and no half of a file, when it is cancelled', async () => {
    const target = join(folder, 'kept.onnx');
    await writeFile(target, 'before');
    const abort = new AbortController();
    const options = { signal: abort.signal, progress: () => abort.abort() };
    await assert.rejects(exportOnnx(model.graph(), tensors(), target, options), { name: 'AbortError' });
    const found = await readFile(target, 'utf8');
    assert.equal(found, 'before');
    assert.deepEqual(
      (await readdir(folder)).filter((name) => name.endsWith('.part')),
      [],
    );
  });

  /** An image of a ramp, in the model's shape. */
  function ramp(): { name: string; shape: readonly number[]; data: Float32Array } {
    const { name, shape } = model.graph().inputs[0]!;
    const size = shape.reduce((product, side) => product * side, 1);
    return { name, shape, data: Float32Array.from({ length: size }, (_, index) => (index % 64) / 32 - 1) };
  }

  /** Logits of the exported file, in a runtime that knows nothing of the checkpoint. */
  async function run(path: string): Promise<Float32Array> {
    const { name, shape, data } = ramp();
    const session = await InferenceSession.create(path);
    const outputs = await session.run({ [name]: new Tensor('float32', data, [...shape]) });
    await session.release();
    return outputs['logits']!.data as Float32Array;
  }

  /** Logits of the checkpoint itself. */
  async function runCheckpoint(): Promise<Float32Array> {
    const { name, shape, data } = ramp();
    const inference = testInference();
    try {
      const inputs = { [name]: { dtype: 'F32', shape, data } } as const;
      const { logits } = await inference.runTensors({ checkpoint, inputs });
      return logits!.data as Float32Array;
    } finally {
      await inference.dispose();
    }
  }
});

/** Sums may be taken in another order. */
function assertClose(found: Float32Array, expected: Float32Array): void {
  assert.equal(found.length, expected.length);
  const largest = found.reduce((most, value, index) => Math.max(most, Math.abs(value - expected[index]!)), 0);
  assert.ok(largest < 1e-4, `logits differ by ${largest}`);
}
