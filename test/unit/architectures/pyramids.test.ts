import { openModel } from '../../../src/models/openedModels';
import assert from 'node:assert/strict';
import { countMacs } from '../../../src/analysis/complexity';
import {
  buildGraph,
  countParameters,
  recognise,
  type Known,
  type RecogniseOptions,
} from '../../../src/architectures/recognise/recognise';
import type { Checkpoint } from '../../../src/checkpoint/checkpoint';
import { checkpointOf, linesFolder, readLines, type Line } from '../../oracles/lines';
import { checkpointPath, readCases } from '../../support/cases';

const lineOf = (id: string): Line =>
  readLines(linesFolder).find((line) => line.id === id) ?? assert.fail(`no line ${id}`);

function known(checkpoint: Checkpoint, options?: RecogniseOptions): Known {
  const recognition = recognise(checkpoint, options);
  assert(recognition.family !== null);
  return recognition;
}

describe('models whose positions belong to one image size', () => {
  const rows = [
    ['timm/pit_b_224@384', [224, 224], '378 × 378'],
    ['timm/crossvit_18_dagger_408', [240, 240], '408 × 408'],
  ] as const;
  for (const [id, other, own] of rows) {
    const line = lineOf(id);
    it(`${id} refuses ${other.join(' × ')} and names its own`, () => {
      const checkpoint = checkpointOf(line);
      assert.throws(() => recognise(checkpoint, { imageSize: other }), new RegExp(`those of ${own}`));
      const recognition = known(checkpoint);
      assert.throws(() => buildGraph(checkpoint, recognition, { imageSize: other }), /the only size/);
    });

    it(`${id} believes its table, not a config.json of another size`, () => {
      const stale = { pretrained_cfg: { input_size: [3, ...other] } };
      const { imageSize, evidence } = known(checkpointOf(line, stale));
      assert.deepEqual([imageSize?.join(' × '), evidence['image_size']?.assumed], [own, false]);
    });
  }

  it('PiT takes a size with a few pixels more that no patch covers', () => {
    const checkpoint = checkpointOf(lineOf('timm/pit_b_224@384'));
    assert.deepEqual(known(checkpoint, { imageSize: [384, 384] }).imageSize, [384, 384]);
  });
});

describe("the authors' names of models that timm names otherwise", () => {
  const rows = [
    [
      'timm/pit_s_224',
      'pit',
      /^transformers\.(\d)\.pool\./,
      (stage: string) => `pools.${Number(stage) - 1}.`,
    ],
    ['timm/crossvit_15_240', 'crossvit', /^(pos_embed|cls_token)_/, (table: string) => `${table}.`],
  ] as const;
  for (const [id, dialect, ours, theirs] of rows)
    it(`${id} in the dialect ${dialect}`, () => {
      const line = lineOf(id);
      const tensors = line.tensors.map(
        ([name, ...rest]) => [name.replace(ours, (_, part: string) => theirs(part)), ...rest] as const,
      );
      const checkpoint = checkpointOf({ ...line, tensors });
      const recognition = known(checkpoint, { imageSize: line.image_size });
      const { conv, linear, attention } = countMacs(buildGraph(checkpoint, recognition).graph);
      assert.deepEqual(
        {
          dialect: recognition.dialect,
          params: countParameters(checkpoint, recognition).params,
          conv,
          linear,
          attention,
        },
        { dialect, params: line.params, ...line.macs },
      );
    });
});

describe('PVT: the grid of its position tables', () => {
  const golden = readCases().find(({ id }) => id === 'pvt1-original-pth')!;
  const open = (grid: readonly number[]) =>
    openModel(checkpointPath(golden), { assume: { ...golden.assume, grid } });

  it('is the one that the user states', async () => {
    const model = await open([16, 24]);
    assert.deepEqual(model.imageSize, [64, 96]);
  });

  it('must hold as many positions as the table', async () => {
    await assert.rejects(open([16, 16]), /grid: 16 × 16 found; stages\.0\.pos_embed holds 384 positions/);
  });
});

describe('CoaT: parameters that modules share', () => {
  const line = lineOf('timm/coat_tiny');
  const owners = /^(?:cpe|crpe)\d\./;
  const borrowers = /\.(?:cpe|crpe)\.|\.mlp[34]\./;

  for (const [what, left] of [
    ['with the module that owns them', borrowers],
    ['with the blocks that borrow them', owners],
  ] as const)
    it(`count alike where they are saved ${what} alone`, () => {
      const tensors = line.tensors.filter(([name]) => !left.test(name));
      assert(tensors.length < line.tensors.length);
      const checkpoint = checkpointOf({ ...line, tensors });
      const { params, buffers } = countParameters(checkpoint, known(checkpoint));
      assert.deepEqual({ params, buffers }, { params: line.params, buffers: line.buffers });
    });

  it('refuses sizes whose scales do not fit each other, and names the nearest', () => {
    const checkpoint = checkpointOf(line);
    const recognition = known(checkpoint);
    assert.throws(
      () => buildGraph(checkpoint, recognition, { imageSize: [100, 224] }),
      /image size 100 × 224 found.*multiples of 32 × 32.*nearest size is 96 × 224/,
    );
  });

  it('CoaT-Lite, whose scales follow one another, takes them', () => {
    const checkpoint = checkpointOf(lineOf('timm/coat_lite_small'));
    const { graph } = buildGraph(checkpoint, known(checkpoint), { imageSize: [100, 230] });
    assert.deepEqual(
      graph.outputs.map(({ name }) => name),
      ['logits', 'features', 'tokens'],
    );
  });
});
