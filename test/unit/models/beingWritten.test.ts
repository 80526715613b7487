import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, rmSync, utimesSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { OpenedModels } from '../../../src/models/openedModels';

describe('a checkpoint that is written while it is opened', () => {
  const folder = mkdtempSync(join(tmpdir(), 'vitrine-test-'));
  const model = join(folder, 'model.safetensors');
  const realNow = Date.now;
  before(() => cpSync('media/sample/vitrine-sample', folder, { recursive: true }));
  afterEach(() => (Date.now = realNow));
  after(() => rmSync(folder, { recursive: true }));

  /**
   * Sets a clock that goes on by a minute at every look; the file is written between the first
   * looks.
   */
  function writtenAfter(looks: number): void {
    let [time, left] = [Date.UTC(2020, 0), looks];
    utimesSync(model, new Date(time), new Date(time));
    Date.now = () => {
      time += 60_000;
      const written = new Date(time + 30_000);
      if (left-- > 0) utimesSync(model, written, written);
      return time;
    };
  }

  it('is refused if that goes on', async () => {
    writtenAfter(Infinity);
    await assert.rejects(new OpenedModels().open(model, {}), /is being written; open it again/);
  });

  it('is opened again if that ends', async () => {
    writtenAfter(1);
    const { model: opened } = await new OpenedModels().open(model, {});
    assert.equal(opened.recognition.family, 'vit');
  });
});
