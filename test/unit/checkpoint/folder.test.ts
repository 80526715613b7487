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
    assert.deepEqual(sidecars.config, { architecture: 'vit_tiny_patch16_224' });
    assert.match(warnings.join('\n'), /^preprocessor_config\.json is no valid JSON.*ignored$/);
  });

  it('says where a JSON beside it stops being JSON, in lines and columns', async () => {
    put('model.safetensors');
    const invalid = async (text: string): Promise<string> => {
      writeFileSync(join(folder, 'config.json'), text);
      const { sidecars, warnings } = await openCheckpoint(folder);
      assert.equal(sidecars.config, undefined);
      assert.deepEqual(warnings, [`config.json ${sidecars.invalid?.config}; it is ignored`]);
      return sidecars.invalid?.config ?? '';
    };
    assert.match(await invalid('{\n  "a": 1,\n}'), /invalid at line 3, column 1: "}"$/);
    assert.match(await invalid('{\n  "a": NaN}'), /invalid at line 2, column 8: "NaN"$/);
    assert.match(await invalid('{"a": '), /invalid at line 1, column 7: the text ends there$/);
    writeFileSync(join(folder, 'config.json'), '\ufeff{"a": 1}');
    assert.deepEqual((await openCheckpoint(folder)).sidecars, { config: { a: 1 } });
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

  it('says which of several files is shown', async () => {
    put('model.safetensors', 'pytorch_model.bin');
    writeFileSync(join(folder, 'optimizer.pt'), 'state');
    assert.deepEqual((await openCheckpoint(folder)).warnings, [
      'the folder holds 2 weight files, of which model.safetensors is shown',
    ]);
  });

  it('names the folders in it that hold weights, the latest first', async () => {
    for (const name of ['checkpoint-500', 'checkpoint-1500', 'runs']) mkdirSync(join(folder, name));
    for (const name of ['checkpoint-500', 'checkpoint-1500'])
      cpSync(join(files, weights['model.safetensors']!), join(folder, name, 'model.safetensors'));
    writeFileSync(join(folder, 'training_args.json'), '{}');
    await assert.rejects(
      openCheckpoint(folder),
      /holds no weight file itself; .*Open a folder in it: checkpoint-1500, checkpoint-500$/,
    );
  });

  const others: readonly [what: RegExp, names: readonly string[]][] = [
    [/a distributed checkpoint \(torch\.distributed.*dcp_to_torch_save/, ['.metadata', '__0_0.distcp']],
    [/a DeepSpeed checkpoint; .*zero_to_fp32/, ['latest', 'zero_to_fp32.py']],
    [/a DeepSpeed checkpoint; .*zero_to_fp32/, ['zero_pp_rank_0_mp_rank_00_optim_states.pt']],
    [/a TensorFlow SavedModel; .*tf2onnx/, ['saved_model.pb', 'keras_metadata.pb']],
    [/a Core ML package/, ['Manifest.json', 'Data']],
    [/a TensorFlow\.js model/, ['model.json', 'group1-shard1of2.bin', 'group1-shard2of2.bin']],
    [/openvino_model\.bin is an OpenVINO model/, ['openvino_model.bin', 'openvino_model.xml']],
    [/flax_model\.msgpack is Flax weights/, ['config.json', 'flax_model.msgpack']],
    [/tf_model\.h5 is an HDF5 file \(Keras/, ['tf_model.h5']],
  ];
  for (const [what, names] of others)
    it(`says what a folder with ${names.join(', ')} is`, async () => {
      for (const name of names) writeFileSync(join(folder, name), '\0');
      await assert.rejects(openCheckpoint(folder), what);
    });

  it('takes the model of a DeepSpeed folder, whatever optimizers lie beside it', async () => {
    writeFileSync(join(folder, 'bf16_zero_pp_rank_0_mp_rank_00_optim_states.pt'), 'state');
    cpSync(join(files, weights['pytorch_model.bin']!), join(folder, 'mp_rank_00_model_states.pt'));
    assert.equal(basename((await openCheckpoint(folder)).file), 'mp_rank_00_model_states.pt');
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
