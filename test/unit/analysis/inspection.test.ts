import assert from 'node:assert/strict';
import { inspectionJson, inspectionText } from '../../../src/analysis/inspection';
import { openModel } from '../../../src/architectures/model';

describe('what inspection says of a training checkpoint', () => {
  const path = 'test/fixtures/cases/timm-training-checkpoint/model_best.pth.tar';

  it('names the state dict that is shown, the others, and what else the file holds', async () => {
    const model = await openModel(path);
    const json = inspectionJson(model) as Record<string, unknown>;
    const names = json['state_dicts'] as string[];
    assert.equal(names[0], json['state_dict']);
    assert.ok(names.length > 1);
    assert.ok('epoch' in (json['extras'] as object));
    const text = inspectionText(model);
    for (const name of names.slice(1)) assert.ok(text.includes(`also in the file: ${name}: `), name);
    assert.match(text, /also in the file: epoch: /);
  });
});
