import assert from 'node:assert/strict';
import { openModel, type Model, type ModelOptions } from '../../../src/architectures/model';
import { recognise, type Known } from '../../../src/architectures/recognise';
import { checkpointOf, linesFolder, readLines } from '../oracles/lines';
import { checkpointPath, readCases } from '../../support/cases';

const open = (id: string, options: ModelOptions = {}): Promise<Model> => {
  const golden = readCases().find((each) => each.id === id) ?? assert.fail(`no case ${id}`);
  return openModel(checkpointPath(golden), options);
};

function known(id: string): Known {
  const line = readLines(linesFolder).find((each) => each.id === id) ?? assert.fail(`no line ${id}`);
  const recognition = recognise(checkpointOf(line));
  return recognition.family === null ? assert.fail(recognition.reason) : recognition;
}

describe('encoders that cut their maps into units or windows', () => {
  const refused = [
    [
      'hiera-timm-safetensors',
      [48, 96],
      /48 × 96 found.*mask units of 32 × 32 pixels.*nearest size is 64 × 96/,
    ],
    [
      'hieradet-timm-safetensors',
      [64, 40],
      /64 × 40 found.*windows of 16 × 16 pixels.*nearest size is 64 × 48/,
    ],
  ] as const;
  for (const [id, size, message] of refused)
    it(`${id} refuses ${size.join(' × ')} and names the nearest size`, async () => {
      const options = id.startsWith('hieradet') ? { assume: { window: [4, 2, 6, 3], heads: 1 } } : {};
      const model = await open(id, options);
      assert.throws(() => model.graph({ imageSize: size }), message);
    });

  it('takes one number of heads for the first stage of Hiera', async () => {
    const heads = async (given: number): Promise<unknown> =>
      (await open('hiera-timm-safetensors', { assume: { heads: given } })).recognition;
    const recognition = (await heads(2)) as Known;
    assert.deepEqual(recognition.figures['heads']?.value, [2, 4, 8, 16]);
    await assert.rejects(heads(4), /heads: 4 found.*divides the width 6/);
  });

  it('takes a grid of whole mask units where nothing tells the table of positions', async () => {
    const { recognition } = await open('hiera-timm-safetensors');
    assert(recognition.family !== null);
    assert.deepEqual(recognition.imageSize, [96, 32]);
    assert.match(recognition.warnings.join(), /holds 3 mask units.*24 × 8 positions were taken/);
    assert.equal(recognition.figures['grid']?.assumed, true);
  });

  it('knows which layers of SAM see the whole map where tables differ, and by name where they do not', () => {
    const layers = (id: string): unknown => known(id).figures['global_layers']?.value;
    assert.deepEqual(layers('original/sam/sam_vit_h'), [7, 15, 23, 31]);
    assert.deepEqual(layers('timm/samvit_base_patch16_224'), [2, 5, 8, 11]);
  });

  it('counts the parameters of prompts and masks beside the image encoder', () => {
    const { parameters } = known('transformers/facebook/sam-vit-large').translation!;
    assert(parameters.has('beside.mask_decoder.iou_token.weight'));
    assert(parameters.has('blocks.23.mlp.fc2.weight'));
  });

  it('holds the heads of MViTv2 to what its tables tell', async () => {
    await assert.rejects(
      open('mvitv2-timm-safetensors', { assume: { heads: [2, 4] } }),
      /heads: 2,4 found; 1, 2/,
    );
  });
});

describe('position tables of encoders with class attention', () => {
  it('are resampled for another picture', async () => {
    const model = await open('cait-timm-safetensors', { assume: { grid: [5, 7] } });
    const maps = model.graph({ imageSize: [64, 48] }).probes;
    assert.deepEqual(maps[0]?.keys, { special: [], grid: [8, 6] });
    assert.deepEqual(maps.at(-1)?.keys, { special: ['cls'], grid: [8, 6] });
    await assert.rejects(
      open('cait-timm-safetensors', { assume: { grid: [5, 8] } }),
      /grid: 5 × 8 found; pos_embed holds 35 positions/,
    );
  });

  it('tell apart oblong grids only with the size of the picture', async () => {
    const alone = await open('cait-timm-safetensors');
    assert.match(alone.recognition.family === null ? '' : alone.recognition.warnings.join(), /5 × 7, 7 × 5/);
  });
});
