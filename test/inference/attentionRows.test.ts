import { openAt } from '../support/open';
import type { AttentionRows, Query } from '../../src/domain/query';
import { fileStates } from '../../src/models/files';
import { modelRequest } from '../../src/inference/modelRequest';
import assert from 'node:assert/strict';
import * as runtime from 'onnxruntime-node';
import { keyGrid } from '../../src/attention/reading';
import { elementCount } from '../../src/checkpoint/tensors';
import { InferenceClient } from '../../src/inference/client';
import { LoadedModel } from '../../src/inference/loadedModel';
import { OpenedModels } from '../../src/models/openedModels';
import { resolvePreprocessing } from '../../src/preprocessing/resolve';
import { Runs } from '../../src/inference/runs';
import { checkpointPath, readCases } from '../support/cases';
import { seeded } from '../support/random';
import { processPath, sampleModel, sampleImage, silent, stepOf } from './support';

/**
 * Long sequences: maps that would not fit are answered by rows computed in the graph. Both ways
 * must say the same.
 */
describe('attention of maps that are not kept whole', () => {
  const client = new InferenceClient({ processPath: processPath(), log: silent });
  after(() => client.dispose());

  const queries: readonly Query[] = [
    { kind: 'special', name: 'cls' },
    { kind: 'patch', row: 3, column: 12 },
    { kind: 'mean' },
  ];

  async function ask(attentionBytes: number): Promise<readonly AttentionRows[]> {
    const opened = await new OpenedModels().open(sampleModel, {});
    const { checkpoint, recognition } = opened.model;
    const model = modelRequest(opened, opened.model.graph(), { threads: 0, attentionBytes });
    const preprocessing = resolvePreprocessing({
      ...checkpoint,
      fileName: checkpoint.file,
      dialect: recognition.dialect,
    });
    const image = { path: sampleImage, asStored: false, preprocessing, displaySide: 0 };
    const settings = { provider: 'cpu', attention: true, step: stepOf(opened.model) };
    return client.request(async (remote) => {
      await remote.load(model, settings);
      const { run } = await remote.runImage(model.key, image, settings);
      const answers: AttentionRows[] = [];
      for (const query of queries) answers.push(await remote.attention(run, query));
      return answers;
    });
  }

  const close = (a: Float32Array, b: Float32Array): boolean =>
    a.length === b.length && a.every((value, index) => Math.abs(value - b[index]!) < 1e-5);

  it('equals the rows of whole maps, rollout included', async () => {
    const [whole, rows] = [await ask(64e6), await ask(4e6)];
    for (const [index, { rows: expected, rollout }] of whole.entries()) {
      assert(
        expected.every((row, layer) => close(row, rows[index]!.rows[layer]!)),
        JSON.stringify(queries[index]),
      );
      assert(rollout.every((row, layer) => row.length > 0 && close(row, rows[index]!.rollout[layer]!)));
    }
  });

  it('goes without rollout where even the means over heads would not fit', async () => {
    const [{ rows, rollout } = assert.fail()] = await ask(1000);
    assert.equal(rows[0]!.length, 4 * 257);
    assert(rollout.every(({ length }) => length === 0));
  });
});

/** Models whose layers have windows, keys of another grid, channels or gates: one of each kind. */
describe('attention that is not from all tokens to all tokens', () => {
  const kinds = [
    'swin-small-map-timm-safetensors',
    'swin-torchvision-pth',
    'maxvit-timm-safetensors',
    'pvtv2-timm-hub-safetensors',
    'xcit-timm-hub-safetensors',
    'cbam-resnet-timm-safetensors',
    'mobilevit-timm-pth',
  ];
  const queries: readonly Query[] = [
    { kind: 'patch', row: 1, column: 2, grid: [3, 4] },
    { kind: 'mean' },
    { kind: 'special', name: 'cls' },
  ];

  for (const golden of readCases().filter(({ id }) => kinds.includes(id)))
    it(`${golden.id}: rows computed in the graph equal those of whole maps`, async () => {
      const model = await openAt(checkpointPath(golden), {
        assume: golden.assume,
        imageSize: golden.image_size,
      });
      const graph = model.graph();
      const { name, shape } = graph.inputs[0]!;
      const random = seeded(3);
      const data = Float32Array.from({ length: elementCount(shape) }, random);
      const ask = async (attentionBytes: number): Promise<readonly AttentionRows[]> => {
        const request = {
          key: golden.id,
          graph,
          tensors: model.checkpoint.selected.tensors,
          files: await fileStates(model.checkpoint.files),
          threads: 1,
          attentionBytes,
        };
        const loaded = await LoadedModel.load(runtime, request, () => undefined);
        try {
          const runs = new Runs();
          const { run } = await runs.run(
            loaded,
            { provider: 'cpu', attention: true },
            { [name]: { dtype: 'F32', shape, data } },
            stepOf(model).outputs,
          );
          const answers: AttentionRows[] = [];
          for (const query of queries) answers.push(await runs.attention(run, query));
          return answers;
        } finally {
          await loaded.release();
        }
      };
      const [whole, rows] = [await ask(64e6), await ask(1)];
      for (const [index, { rows: expected }] of whole.entries())
        for (const [layer, row] of expected.entries()) {
          const probe = graph.probes[layer]!;
          const [height, width] = keyGrid(probe) ?? [0, 0];
          const special = probe.keys.special?.length ?? 0;
          if (row.length > 0 && height > 0)
            assert.equal(row.length, probe.heads * (special + height * width), probe.layer);
          const found = rows[index]!.rows[layer]!;
          assert.equal(found.length, row.length);
          row.forEach((weight, at) =>
            assert(Number.isNaN(weight) ? Number.isNaN(found[at]) : Math.abs(weight - found[at]!) < 1e-5),
          );
        }
      assert(whole[1]!.rows.every(({ length }) => length > 0));
    });
});
