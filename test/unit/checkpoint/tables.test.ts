// Tables of real checkpoints in the formats and layouts that their ecosystems write:
// test/fixtures/cases.
import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join, relative, resolve } from 'node:path';
import type { Checkpoint } from '../../../src/checkpoint/checkpoint';
import { openCheckpoint } from '../../../src/checkpoint/open';
import { elementCount } from '../../../src/checkpoint/tensors';

const cases = resolve('test/fixtures/cases');

interface Table {
  readonly format: string;
  readonly tensors: number;
  /** Name of the state dict that is shown, and what was taken off its names. */
  readonly shown?: string;
  readonly stripped?: string;
  /** The other state dicts. */
  readonly others?: readonly string[];
  readonly extras?: Readonly<Record<string, string>>;
  readonly warns?: RegExp;
}

const tables: Readonly<Record<string, Table>> = {
  'pth-zip': { format: 'pytorch zip', tensors: 32 },
  'pth-legacy': { format: 'pytorch legacy', tensors: 32 },
  'pth-views': { format: 'pytorch zip', tensors: 38 },
  'pth-legacy-views': { format: 'pytorch legacy', tensors: 38 },
  'pth-deflated': { format: 'pytorch zip', tensors: 32 },
  'pth-f8': { format: 'pytorch zip', tensors: 32 },
  'pth-rich-pickle': {
    format: 'pytorch zip',
    tensors: 32,
    shown: 'state_dict',
    extras: { none: 'None', t: 'tuple of 2' },
  },
  'timm-training-checkpoint': {
    format: 'pytorch zip',
    tensors: 32,
    shown: 'state_dict_ema',
    others: ['state_dict'],
    extras: { epoch: '12', optimizer: '12 tensors', args: 'argparse.Namespace', metric: '71.25' },
  },
  'dino-original-pth': {
    format: 'pytorch zip',
    tensors: 30,
    shown: 'teacher.backbone',
    stripped: 'backbone.',
    others: ['student.backbone', 'student.head', 'teacher.head', 'dino_loss'],
    extras: { epoch: '100', optimizer: '12 tensors' },
  },
  'lightning-ckpt': {
    format: 'pytorch zip',
    tensors: 32,
    shown: 'state_dict',
    stripped: 'model.',
    others: ['state_dict.criterion'],
    extras: { global_step: '1000', optimizer_states: '12 tensors' },
  },
  'compiled-ddp-pth': { format: 'pytorch zip', tensors: 32, stripped: 'module._orig_mod.' },
  'torchscript-trace': { format: 'torchscript', tensors: 32, warns: /TorchScript/ },
  'whole-module-pickle': {
    format: 'pytorch zip',
    tensors: 32,
    warns: /timm\.models\.vision_transformer\.VisionTransformer/,
  },
  'safetensors-f64-odd': { format: 'safetensors', tensors: 38 },
  'safetensors-sharded': { format: 'safetensors, 3 shards', tensors: 44 },
  'bin-sharded': { format: 'pytorch zip, 2 shards', tensors: 32 },
  'vit-jax-bigvision-npz': { format: 'npz', tensors: 23 },
  'vit-jax-compressed-npz': { format: 'npz', tensors: 41 },
  'vit-onnx-external-data': { format: 'onnx', tensors: 32 },
  'vit-transformers-hub-cache': { format: 'safetensors', tensors: 56 },
};

/** JAX keeps the optimizer's step count beside the parameters. */
const countersOf: Readonly<Record<string, number>> = { 'vit-jax-compressed-npz': 1 };

describe('tables of published layouts', () => {
  for (const [id, expected] of Object.entries(tables)) {
    it(id, async () => {
      const { path, params, buffers } = readCase(id);
      const checkpoint = await openCheckpoint(path);
      const { selected } = checkpoint;
      assert.equal(checkpoint.format, expected.format);
      assert.equal(selected.tensors.length, expected.tensors);
      assert.equal(selected.name, expected.shown ?? '');
      assert.equal(selected.stripped, expected.stripped ?? '');
      assert.deepEqual(namesOf(checkpoint).slice(1), expected.others ?? []);
      const elements = selected.tensors.reduce((sum, tensor) => sum + elementCount(tensor.shape), 0);
      assert.equal(elements, params + buffers + (countersOf[id] ?? 0));
      const extras = Object.fromEntries(checkpoint.extras.map(({ name, summary }) => [name, summary]));
      for (const [name, summary] of Object.entries(expected.extras ?? {}))
        assert.equal(extras[name], summary, name);
      assert.match(checkpoint.warnings.join('\n'), expected.warns ?? /^$/);
    });
  }

  it('says which state dicts there are when asked for another', async () => {
    const { path } = readCase('dino-original-pth');
    const student = await openCheckpoint(path, { stateDict: 'student.backbone' });
    assert.equal(student.selected.name, 'student.backbone');
    await assert.rejects(
      openCheckpoint(path, { stateDict: 'ema' }),
      /no state dict named "ema"; there are: teacher\.backbone, student\.backbone/,
    );
  });

  it('follows the links of a Hugging Face cache and finds the JSON beside the named path', async () => {
    const { path } = readCase('vit-transformers-hub-cache');
    const checkpoint = await openCheckpoint(path);
    assert.deepEqual(checkpoint.files, [realpathSync(path)]);
    assert.notEqual(basename(checkpoint.files[0]!), 'model.safetensors');
    assert.equal(checkpoint.sidecars.config?.model_type, 'vit');
    assert.ok(checkpoint.sidecars.preprocessor);
  });

  it('opens the folder of a model in that cache at its main commit', async () => {
    const cache = mkdtempSync(join(tmpdir(), 'vitrine-cache-'));
    try {
      for (const part of ['blobs', 'refs', 'snapshots'])
        cpSync(join(cases, 'vit-transformers-hub-cache', part), join(cache, part), {
          recursive: true,
          verbatimSymlinks: true,
        });
      const { file, selected } = await openCheckpoint(cache);
      assert.match(relative(cache, file), /^snapshots.[0-9a-f]{40}.model\.safetensors$/);
      assert.equal(selected.tensors.length, 56);
    } finally {
      rmSync(cache, { recursive: true });
    }
  });

  it('keeps the values of a sharded checkpoint in their shards', async () => {
    const { path } = readCase('safetensors-sharded');
    const { files, selected, size } = await openCheckpoint(path);
    assert.equal(files.length, 3);
    const used = new Set(
      selected.tensors.map(({ storage }) => (storage.kind === 'file' ? storage.file : '')),
    );
    assert.deepEqual([...used].sort(), [...files].sort());
    assert.equal(
      size,
      files.reduce((sum, file) => sum + readFileSync(file).length, 0),
    );
  });

  it('lists external data of ONNX with its own file', async () => {
    const { path } = readCase('vit-onnx-external-data');
    const { files } = await openCheckpoint(path);
    assert.equal(files[0], realpathSync(path));
    assert.equal(files.length, 2);
  });
});

function readCase(id: string): { path: string; params: number; buffers: number } {
  const described = JSON.parse(readFileSync(join(cases, id, 'case.json'), 'utf8')) as {
    checkpoint: string;
    params: number;
    buffers: number;
  };
  return { ...described, path: join(cases, id, described.checkpoint) };
}

function namesOf({ stateDicts }: Checkpoint): string[] {
  return stateDicts.map(({ name }) => name);
}
