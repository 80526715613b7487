import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sidecarNames } from '../../../src/checkpoint/open';
import { openOnce, OpenedModels } from '../../../src/models/openedModels';

describe('opened models', () => {
  const folder = mkdtempSync(join(tmpdir(), 'vitrine-test-'));
  after(() => rmSync(folder, { recursive: true }));
  const model = join(folder, 'model.safetensors');
  before(() => cpSync('media/sample/vitrine-sample', folder, { recursive: true }));

  it('open a file whose time is still to come, as other clocks and archives set it', async () => {
    const future = new Date(Date.now() + 86_400_000);
    utimesSync(model, future, future);
    const { model: opened } = await new OpenedModels().open(model, {});
    assert.equal(opened.recognition.family, 'vit');
  });

  it('are kept until a file changes', async () => {
    const models = new OpenedModels();
    utimesSync(model, new Date(1e12), new Date(1e12));
    const first = await models.open(model, {});
    assert.equal(await models.open(model, {}), first);
    utimesSync(model, new Date(1e12 + 5000), new Date(1e12 + 5000));
    const again = await models.open(model, {});
    assert.notEqual(again, first);
    assert.notEqual(again.identity, first.identity);
  });

  for (const name of Object.values(sidecarNames))
    it(`are no longer current when ${name} comes or changes`, async () => {
      const opened = await openOnce(model);
      assert.ok(opened.checkpoint.beside.includes(join(folder, name)), 'it is not watched');
      assert.equal(await opened.isCurrent(), true);
      writeFileSync(join(folder, name), '{"model_cfg": {}}');
      assert.equal(await opened.isCurrent(), false);
    });
});
