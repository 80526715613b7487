import assert from 'node:assert/strict';
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { openCheckpoint } from '../../../src/checkpoint/open';

const files = resolve('test/fixtures/hostile/files');

/** Weight files by the name they get in a folder. */
const weights: Readonly<Record<string, string>> = {
  'model.safetensors': 'safetensors/healthy.safetensors',
  'pytorch_model.bin': 'pickle/healthy.pth',
  'checkpoint.pth': 'pickle/healthy-legacy.pth',
  'model.onnx': 'onnx/healthy.onnx',
  'R.npz': 'numpy/healthy.npz',
};

describe('a folder as a checkpoint', () => {
  let folder: string;
  beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'vitrine-folder-'))));
  afterEach(() => rmSync(folder, { recursive: true }));
  const put = (...names: string[]) =>
    names.forEach((name) => cpSync(join(files, weights[name]!), join(folder, name)));

  it('takes safetensors before .bin, .npz and .onnx, and lists the others', async () => {
    put(...Object.keys(weights));
    const { file, path, siblings, selected } = await openCheckpoint(folder);
    assert.equal(path, folder);
    assert.equal(file, join(folder, 'model.safetensors'));
    assert.equal(selected.tensors.length, 20);
    assert.deepEqual(
      siblings.map((sibling) => basename(sibling)),
      ['pytorch_model.bin', 'checkpoint.pth', 'R.npz', 'model.onnx'],
    );
  });

  it('takes .bin before .onnx', async () => {
    put('pytorch_model.bin', 'model.onnx');
    assert.equal(basename((await openCheckpoint(folder)).file), 'pytorch_model.bin');
  });

  it('takes an index before a single file, and does not list its shards', async () => {
    cpSync(join(files, 'safetensors/sharded-healthy'), folder, { recursive: true });
    put('model.safetensors', 'pytorch_model.bin');
    const { file, siblings } = await openCheckpoint(folder);
    assert.equal(basename(file), 'model.safetensors.index.json');
    assert.deepEqual(
      siblings.map((sibling) => basename(sibling)),
      ['model.safetensors', 'pytorch_model.bin'],
    );
  });

  it('passes over what training leaves beside the weights', async () => {
    put('checkpoint.pth');
    writeFileSync(join(folder, 'training_args.bin'), 'not weights');
    writeFileSync(join(folder, 'optimizer.pt'), 'not weights');
    assert.equal(basename((await openCheckpoint(folder)).file), 'checkpoint.pth');
  });

  it('reads config.json and preprocessor_config.json, and ignores a broken one with a warning', async () => {
    put('model.safetensors');
    writeFileSync(join(folder, 'config.json'), '{"architecture": "vit_tiny_patch16_224"}');
    writeFileSync(join(folder, 'preprocessor_config.json'), '{"size": ');
    const { sidecars, warnings } = await openCheckpoint(folder);
    assert.deepEqual(sidecars, { config: { architecture: 'vit_tiny_patch16_224' } });
    assert.match(warnings.join('\n'), /^preprocessor_config\.json is no valid JSON.*ignored$/);
  });

  it('finds the JSON beside a link and else beside what it leads to', async () => {
    put('model.safetensors');
    writeFileSync(join(folder, 'config.json'), '{"model_type": "vit"}');
    mkdirSync(join(folder, 'elsewhere'));
    const link = join(folder, 'elsewhere', 'mine.safetensors');
    symlinkSync(join('..', 'model.safetensors'), link);
    assert.equal((await openCheckpoint(link)).sidecars.config?.model_type, 'vit');
    writeFileSync(join(folder, 'elsewhere', 'config.json'), '{"model_type": "deit"}');
    assert.equal((await openCheckpoint(link)).sidecars.config?.model_type, 'deit');
  });

  it('says what can be opened where there is nothing', async () => {
    writeFileSync(join(folder, 'notes.txt'), 'nothing');
    await assert.rejects(
      openCheckpoint(folder),
      /this directory \(folder\) holds no weight file; .*safetensors/,
    );
    writeFileSync(join(folder, 'config.json'), '{}');
    await assert.rejects(
      openCheckpoint(join(folder, 'config.json')),
      /config\.json is a JSON file without weights/,
    );
  });
});
