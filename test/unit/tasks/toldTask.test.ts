import assert from 'node:assert/strict';
import { prepareTask, taskProgram } from '../../../src/tasks/segment/toldTask';
import { openAt } from '../../support/open';

const folder = 'test/fixtures/cases/oneformer-transformers-safetensors';

describe('models that are told which segments are asked for', () => {
  it('takes token ids, with zeros behind them, and the task that they stand for', async () => {
    const model = await openAt(`${folder}/model.safetensors`);
    const given = { task: 'semantic', task_inputs: [40, 3, 11] };
    const { tensors, words } = await prepareTask(model, given, 5);
    assert.deepEqual([...(tensors['task_inputs']?.data ?? [])], [40, 3, 11, 0, 0]);
    assert.deepEqual(words, ['semantic']);
    const [step] = taskProgram(model, {}, { tensors }).steps;
    assert.deepEqual(Object.keys(step?.inputs ?? {}), ['pixel_values', 'task_inputs']);
  });

  it('names the file that is missing for words, tasks that are none, and ids that are too many', async () => {
    const model = await openAt(`${folder}/model.safetensors`);
    await assert.rejects(prepareTask(model, {}, 9), /tokenizer\.json .* is missing beside the model/);
    await assert.rejects(prepareTask(model, { task: 'depth' }, 9), /semantic, instance, panoptic/);
    await assert.rejects(prepareTask(model, { task_inputs: [1, 2, 3] }, 2), /at most 2 token ids/);
  });
});
