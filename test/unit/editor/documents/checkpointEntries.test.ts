import assert from 'node:assert/strict';
import { checkpointEntries, checkpointLabel } from '../../../../src/editor/documents/checkpointEntries';

const cache = '/cache/models--google--vit-base-patch16-224/snapshots/3f49326';

/** Files found, and the entries they make as `label path`. */
const cases: readonly {
  readonly name: string;
  readonly files: readonly string[];
  readonly entries: readonly string[];
}[] = [
  {
    name: 'shows a folder in hub layout under its own name',
    files: ['/w/vit/model.safetensors', '/w/vit/config.json', '/w/vit/pytorch_model.bin'],
    entries: ['vit /w/vit'],
  },
  {
    name: 'shows a file without a config, under the name of its folder if its own tells nothing',
    files: ['/w/run/model.safetensors', '/w/run/best.pth'],
    entries: ['best.pth /w/run/best.pth', 'run /w/run/model.safetensors'],
  },
  {
    name: 'tells files of such names in one folder apart',
    files: ['/w/run/model.safetensors', '/w/run/model.onnx'],
    entries: ['run/model.onnx /w/run/model.onnx', 'run/model.safetensors /w/run/model.safetensors'],
  },
  {
    name: 'keeps other checkpoints of a hub folder',
    files: ['/w/vit/model.safetensors', '/w/vit/config.json', '/w/vit/vit.onnx'],
    entries: ['vit /w/vit', 'vit.onnx /w/vit/vit.onnx'],
  },
  {
    name: 'puts shards behind their index',
    files: [
      '/w/big/model-00001-of-00002.safetensors',
      '/w/big/model-00002-of-00002.safetensors',
      '/w/big/model.safetensors.index.json',
    ],
    entries: ['big /w/big/model.safetensors.index.json'],
  },
  {
    name: 'names a folder of the download cache by owner and model',
    files: [`${cache}/model.safetensors`, `${cache}/config.json`],
    entries: [`google/vit-base-patch16-224 ${cache}`],
  },
  {
    name: 'takes a .bin file only for a model where its name says so',
    files: ['/w/firmware.bin', '/w/pytorch_model.bin', '/w/config.json.bin'],
    entries: ['w /w/pytorch_model.bin'],
  },
  { name: 'shows nothing for a config alone', files: ['/w/app/config.json'], entries: [] },
];

describe('checkpointEntries', () => {
  for (const { name, files, entries } of cases)
    it(name, () => {
      assert.deepEqual(
        checkpointEntries(files).map(({ label, path }) => `${label} ${path}`),
        entries,
      );
    });
});

describe('checkpointLabel', () => {
  it('names weights of the hub by their folder, everything else by the file', () => {
    assert.equal(checkpointLabel('/w/vit/model.safetensors'), 'vit');
    assert.equal(checkpointLabel(`${cache}/model.safetensors`), 'google/vit-base-patch16-224');
    assert.equal(checkpointLabel('/w/vit'), 'vit');
    assert.equal(checkpointLabel('/w/run/best.pth'), 'best.pth');
  });
});
