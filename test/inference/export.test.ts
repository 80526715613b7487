import { openModel } from '../../src/models/openedModels';
import assert from 'node:assert/strict';
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { type Model } from '../../src/models/model';
import { exportOnnx } from '../../src/inference/export';
import { openCheckpoint } from '../../src/checkpoint/open';
import { readTensor, toFloat32 } from '../../src/checkpoint/values';
import { exportModel } from '../../src/useCases/export';
import { checkpointPath, readCases } from '../support/cases';
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

describe('exportModel', () => {
  const folder = temporaryFolder();

  it('writes every part of a model by itself, and one hands on to the next as the library has it', async () => {
    const golden = readCases().find(({ id }) => id === 'trocr-caption') ?? assert.fail('no case');
    const { selected } = await openCheckpoint(join(golden.folder, 'reference.safetensors'));
    const given = (name: string) =>
      selected.tensors.find((tensor) => tensor.name === name) ?? assert.fail(name);
    const ids = given('decoder_input_ids');
    const lengths = { decoder: ids.shape[1] ?? 0 };
    const model = await openModel(checkpointPath(golden));
    const target = join(folder, 'trocr.onnx');
    const { files, parts } = await exportModel(model, target, { lengths });
    assert.deepEqual(files, [join(folder, 'trocr.image.onnx'), join(folder, 'trocr.decoder.onnx')]);
    assert.deepEqual((await readdir(folder)).sort(), ['trocr.decoder.onnx', 'trocr.image.onnx']);
    assert.deepEqual(parts[1]?.tensors['decoder_input_ids'], ids.shape);

    const [image, decoder] = await Promise.all(files.map((file) => InferenceSession.create(file)));
    assert.ok(image && decoder);
    const pixels = toFloat32(await readTensor(given('pixel_values')), given('pixel_values').dtype);
    const seen = await image.run({
      pixel_values: new Tensor('float32', pixels, [...given('pixel_values').shape]),
    });
    const tokens = new BigInt64Array((await readTensor(ids)).slice().buffer);
    const state = seen['encoder_last_hidden_state'] ?? assert.fail('no state');
    const { logits } = await decoder.run({
      encoder_last_hidden_state: state,
      decoder_input_ids: new Tensor('int64', tokens, [...ids.shape]),
    });
    await Promise.all([image.release(), decoder.release()]);
    assertClose(
      logits?.data as Float32Array,
      toFloat32(await readTensor(given('logits')), given('logits').dtype),
    );
  });

  it('writes the part that is asked for under the name that is given, and no other', async () => {
    const golden = readCases().find(({ id }) => id === 'trocr-caption') ?? assert.fail('no case');
    const model = await openModel(checkpointPath(golden));
    const target = join(folder, 'alone.onnx');
    const { files } = await exportModel(model, target, { parts: ['image'] });
    assert.deepEqual(files, [target]);
    await assert.rejects(
      exportModel(model, target, { parts: ['text'] }),
      /no part text; it has image, decoder/,
    );
    await assert.rejects(
      exportModel(model, target, { lengths: { decoder: 1e6 } }),
      /decoder=1000000 found; 1 to/,
    );
  });
});
