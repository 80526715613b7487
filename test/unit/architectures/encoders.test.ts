import { openAt, type SizedSettings } from '../../support/open';
import assert from 'node:assert/strict';
import { countMacs } from '../../../src/analysis/complexity';
import type { Model } from '../../../src/models/model';
import {
  buildGraph,
  countParameters,
  recognise,
  type Known,
} from '../../../src/architectures/recognise/recognise';
import { checkpointOf, linesFolder, readLines, type Line } from '../../oracles/lines';
import { checkpointPath, readCases } from '../../support/cases';

const open = (id: string, options: SizedSettings = {}): Promise<Model> => {
  const golden = readCases().find((each) => each.id === id) ?? assert.fail(`no case ${id}`);
  return openAt(checkpointPath(golden), options);
};

const lines = readLines(linesFolder);
const lineOf = (id: string): Line => lines.find((each) => each.id === id) ?? assert.fail(`no line ${id}`);

function known(id: string): Known {
  const recognition = recognise(checkpointOf(lineOf(id)));
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
    assert.deepEqual(recognition.evidence['heads']?.value, [2, 4, 8, 16]);
    await assert.rejects(heads(4), /heads: 4 found.*divides the width 6/);
  });

  it('takes a grid of whole mask units where nothing tells the table of positions', async () => {
    const { recognition } = await open('hiera-timm-safetensors');
    assert(recognition.family !== null);
    assert.deepEqual(recognition.imageSize, [96, 32]);
    assert.match(recognition.warnings.join(), /holds 3 mask units.*24 × 8 positions were taken/);
    assert.equal(recognition.evidence['grid']?.assumed, true);
  });

  it('knows which layers of SAM see the whole map where tables differ, and by name where they do not', () => {
    const layers = (id: string): unknown => known(id).evidence['global_layers']?.value;
    assert.deepEqual(layers('original/sam/sam_vit_h'), [7, 15, 23, 31]);
    assert.deepEqual(layers('timm/samvit_base_patch16_224'), [2, 5, 8, 11]);
  });

  it('gives windows to every layer of SAM where no table is as long as the map', () => {
    const line = lineOf('timm/samvit_base_patch16');
    const tensors = line.tensors.map(([name, dtype, shape]): Line['tensors'][number] =>
      /rel_pos_[hw]$/.test(name) ? [name, dtype, [27, 64]] : [name, dtype, shape],
    );
    const checkpoint = checkpointOf({ ...line, tensors });
    const recognition = recognise(checkpoint);
    assert(recognition.family === 'sam');
    assert.equal(recognition.evidence['global_layers']?.value, 'none');
    const kinds = buildGraph(checkpoint, recognition).graph.probes.map(({ kind }) => kind);
    assert.deepEqual([...new Set(kinds)], ['window']);
    assert.throws(
      () => recognise(checkpoint, { assume: { global_layers: [2] } }),
      /global_layers: 2 found; none is needed/,
    );
  });

  const encoders = {
    'original/sam/sam_vit_b': 'transformers/facebook/sam-vit-base#vision',
    'original/sam/sam_vit_l': 'transformers/facebook/sam-vit-large#vision',
    'original/sam/sam_vit_h': 'transformers/facebook/sam-vit-huge#vision',
    'transformers/facebook/sam-vit-large': 'transformers/facebook/sam-vit-large#vision',
  };
  for (const [id, encoder] of Object.entries(encoders))
    it(`${id}: every parameter is counted, the image encoder runs`, () => {
      const checkpoint = checkpointOf(lineOf(id));
      const recognition = known(id);
      const { params, buffers } = countParameters(checkpoint, recognition);
      assert.deepEqual([params, buffers], [lineOf(id).params, lineOf(id).buffers]);
      const { conv, linear, attention } = countMacs(buildGraph(checkpoint, recognition).graph);
      assert.deepEqual({ conv, linear, attention }, lineOf(encoder).macs);
    });

  it('holds the heads of MViTv2 to what its tables tell', async () => {
    await assert.rejects(
      open('mvitv2-timm-safetensors', { assume: { heads: [2, 4] } }),
      /heads: 2,4 found; 1, 2/,
    );
  });
});

describe('position tables of encoders with class attention', () => {
  it('are resampled for another image', async () => {
    const model = await open('cait-timm-safetensors', { assume: { grid: [5, 7] } });
    const maps = model.graph({ imageSize: [64, 48] }).probes;
    assert.deepEqual(maps[0]?.keys, { special: [], grid: [8, 6] });
    assert.deepEqual(maps.at(-1)?.keys, { special: ['cls'], grid: [8, 6] });
    await assert.rejects(
      open('cait-timm-safetensors', { assume: { grid: [5, 8] } }),
      /grid: 5 × 8 found; pos_embed holds 35 positions/,
    );
  });

  it('tell apart oblong grids only with the size of the image', async () => {
    const alone = await open('cait-timm-safetensors');
    assert.match(alone.recognition.family === null ? '' : alone.recognition.warnings.join(), /5 × 7, 7 × 5/);
  });
});
