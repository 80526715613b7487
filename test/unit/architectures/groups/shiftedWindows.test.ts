import { openAt, type SizedSettings } from '../../../support/open';
import assert from 'node:assert/strict';
import { relativeIndex } from '../../../../src/architectures/blocks/relativePosition';
import { windowIndex, windowLayout, windowsOf } from '../../../../src/architectures/blocks/windows';
import { understand, type Model } from '../../../../src/models/model';
import type { Evidence } from '../../../../src/architectures/family';
import { windowPlaces } from '../../../../src/attention/windows';
import { checkpointPath, readCases } from '../../../support/cases';
import { checkpointOf, linesFolder, readLines, type Line } from '../../../oracles/lines';

const open = (id: string, options: SizedSettings = {}): Promise<Model> => {
  const golden = readCases().find((each) => each.id === id) ?? assert.fail(`no case ${id}`);
  return openAt(checkpointPath(golden), options);
};

const lines = readLines(linesFolder);
const lineOf = (id: string): Line => lines.find((line) => line.id === id) ?? assert.fail(`no line ${id}`);

/** The line's header as nobody published it. */
const unpublished = (line: Line): Line => ({
  ...line,
  tensors: line.tensors.filter(
    ([name]) => name !== 'patch_embed.norm.bias' && name !== 'patch_embed.norm.weight',
  ),
});

function evidenceOf({ recognition }: Model, key: string): Evidence {
  assert(recognition.family !== null, 'a family');
  return recognition.evidence[key] ?? assert.fail(`no hyper-parameter ${key}`);
}

/** Sizes and shifts of all windows, in order. */
const windowsIn = (model: Model, imageSize: readonly [number, number]): readonly string[] =>
  model.graph({ imageSize }).probes.map(({ window }) => JSON.stringify([window?.size, window?.shift]));

describe('windows', () => {
  it('are cut as the attention view puts them back, whether zeros are rolled or not', () => {
    for (const rolls of ['map', 'padded'] as const) {
      const windows = windowsOf([7, 9], [3, 4], { shift: [1, 2], rolls });
      const grid = { special: [], grid: windows.size };
      const places = windowPlaces({ queries: grid, keys: grid, window: windowLayout(windows) });
      const shown = [...places!.keys.cells].map((cell) => (cell < 0 ? 7 * 9 : cell));
      assert.deepEqual(shown, [...windowIndex(windows)]);
    }
  });

  it('index a class token apart: from it, to it, to itself', () => {
    const index = [...relativeIndex([1, 2], true)];
    assert.deepEqual(index, [5, 3, 3, 4, 1, 0, 4, 2, 1]);
  });
});

describe('Swin', () => {
  it('assumes sides of a table that is no square, and says which others it may have', async () => {
    const window = evidenceOf(await open('swin-timm-safetensors', { imageSize: [48, 80] }), 'window');
    assert(window.assumed);
    assert.match(window.source, /45 rows, which fit windows of .*3 × 5.*5 × 3/);
  });

  it('refuses a window that no table was made for', async () => {
    await assert.rejects(
      open('swin-timm-safetensors', { assume: { window: 4 } }),
      /window: 4 found; a window whose distances fit tables of 45 rows is needed/,
    );
  });

  it('takes the image that one window of the last map covers where nobody names a size', () => {
    const model = understand(checkpointOf(unpublished(lineOf('timm/swin_base_patch4_window12_384'))));
    assert.deepEqual(model.imageSize, [384, 384]);
    assert(evidenceOf(model, 'image_size').assumed);
  });

  it('clips windows and drops shifts side by side, as timm builds it for another size', () => {
    const model = understand(checkpointOf(lineOf('timm/swin_tiny_patch4_window7_224')));
    const [height, width] = [96, 448];
    // The last map is 3 × 14: windows of 3 rows, which are moved along the columns alone.
    assert.deepEqual(windowsIn(model, [height, width]).slice(-2), ['[[3,7],0]', '[[3,7],[0,3]]']);
    assert.deepEqual(windowsIn(model, [224, 224]).slice(-2), ['[7,0]', '[7,0]']);
  });

  it('never clips a window of torchvision', () => {
    const model = understand(checkpointOf(lineOf('torchvision/swin_t')));
    assert.deepEqual(windowsIn(model, [96, 448]).slice(-2), ['[7,0]', '[7,[0,3]]']);
  });

  it('refuses an image that holds no patch, with the nearest size', async () => {
    const model = await open('swin-timm-safetensors', { assume: { window: [3, 5] } });
    assert.throws(
      () => model.graph({ imageSize: [3, 80] }),
      /image size 3 × 80 found.*nearest size is 4 × 80/,
    );
  });
});

describe('Swin v2', () => {
  it('assumes a window, which no weight tells, unless the coordinates are stored', async () => {
    const bare = await open('swinv2-timm-safetensors', { imageSize: [48, 64] });
    assert(evidenceOf(bare, 'window').assumed);
    const original = await open('swinv2-original-pth');
    assert.deepEqual(
      [evidenceOf(original, 'window').value, evidenceOf(original, 'window').source],
      [4, 'layers.0.blocks.0.attn.relative_coords_table'],
    );
  });

  it('reads the window of the training off the name in config.json', () => {
    const line = lineOf('timm/swinv2_base_window12to24_192to384');
    const model = understand(checkpointOf(line, line.config_json));
    assert.deepEqual(evidenceOf(model, 'pretrained_window').value, [12, 12, 12, 6]);
    assert.equal(evidenceOf(model, 'window').value, 24);
  });

  it('has windows that are a part of the image where timm wrote it itself', () => {
    const model = understand(checkpointOf(lineOf('timm/swinv2_cr_tiny_ns_224')));
    assert.equal(windowsIn(model, [224, 224])[0], '[7,0]');
    assert.equal(windowsIn(model, [384, 256])[0], '[[12,8],0]');
  });
});
