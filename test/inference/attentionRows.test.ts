import assert from 'node:assert/strict';
import { InferenceClient } from '../../src/inference/client';
import { modelRequest, OpenedModels } from '../../src/inference/openedModels';
import { resolvePreprocessing } from '../../src/inference/preprocessing/resolve';
import type { AttentionRows, Query } from '../../src/protocol/imagePanel';
import { processPath, sampleModel, samplePicture, silent } from './support';

/** Long sequences: maps that would not fit are answered by rows computed in the graph. Both ways must say the same. */
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
    const picture = { path: samplePicture, asStored: false, preprocessing, displaySide: 0 };
    const settings = { provider: 'cpu', attention: true };
    return client.request(async (remote) => {
      await remote.load(model, settings);
      const { run } = await remote.runPicture(model.key, picture, settings);
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
