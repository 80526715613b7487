import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openCheckpoint } from '../../../src/checkpoint/open';
import { besideFiles } from '../../../src/useCases/beside';
import { checkpointFacts } from '../../../src/useCases/facts';

const sample = 'media/sample/vitrine-sample';

describe('what a list says of a checkpoint', () => {
  it('is what it is, its size and its classes', async () => {
    const facts = await checkpointFacts(sample);
    assert.match(facts, /^ViT.* \(Vision Transformer\) · [\d.]+ M parameters · [\d.]+ MB · 29 classes$/);
  });

  it('fails for what is no checkpoint', () => assert.rejects(checkpointFacts('package.json'), /JSON/));
});

describe('files that were read with the weights', () => {
  it('are those that are there, with their text', async () => {
    const files = await besideFiles(await openCheckpoint(sample));
    const config = files.find(({ name }) => name === 'config.json');
    assert.equal(config?.text, await readFile(join(sample, 'config.json'), 'utf8'));
    assert.equal(config?.cut, false);
    assert.ok(!files.some(({ name }) => name === 'preprocessor_config.json'));
  });

  it('are told by their beginning if they are long', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'vitrine-beside-'));
    try {
      const long = join(folder, 'config.json');
      await writeFile(long, 'a'.repeat(64_001));
      const opened = await openCheckpoint(sample);
      const [file] = await besideFiles({ ...opened, beside: [long, join(folder, 'gone.json'), folder] });
      assert.deepEqual([file?.text.length, file?.cut, file?.bytes], [64_000, true, 64_001]);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});
