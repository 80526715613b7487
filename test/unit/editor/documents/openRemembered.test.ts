import assert from 'node:assert/strict';
import { copyFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writeSafetensors } from '../../../../src/checkpoint/formats/safetensorsWriter';
import { WorkspaceMemory } from '../../../../src/editor/documents/memory';
import {
  headerOf,
  Opener,
  openRemembered,
  openWith,
  requireStateDict,
} from '../../../../src/editor/documents/openRemembered';
import { inspect } from '../../../../src/useCases/inspect';
import { createStore } from './store';

const base = 'test/fixtures/cases/vit-timm-safetensors/model.safetensors';
/** Of the base's head. */
const classes = 10;
const names = Array.from({ length: classes }, (_, index) => `bird ${index}`);

describe('what is added to a checkpoint', () => {
  let folder = '';
  let file = '';
  let memory = new WorkspaceMemory(createStore());
  let told: string[] = [];
  const open = () => openRemembered(file, memory, (message) => told.push(message));

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'vitrine-added-'));
    file = join(folder, 'weights', 'model.safetensors');
    await mkdir(join(folder, 'weights'));
    await copyFile(base, file);
    memory = new WorkspaceMemory(createStore());
    told = [];
  });
  afterEach(() => rm(folder, { recursive: true }));

  async function writeNames(list: readonly string[]): Promise<string> {
    const path = join(folder, 'birds.txt');
    await writeFile(path, list.join('\n'));
    return path;
  }

  async function writeAdapter(): Promise<string> {
    const path = join(folder, 'adapter');
    await mkdir(path);
    const config = { peft_type: 'LORA', r: 1, lora_alpha: 2 };
    await writeFile(join(path, 'adapter_config.json'), JSON.stringify(config));
    const { opened } = await openWith(file, {}, memory);
    const shape = opened.model.checkpoint.selected.tensors.find(
      ({ name }) => name === 'blocks.0.attn.qkv.weight',
    )?.shape;
    const [out = 0, width = 0] = shape ?? [];
    const thin = (part: string, sides: readonly number[]) => ({
      name: `base_model.model.blocks.0.attn.qkv.lora_${part}.weight`,
      dtype: 'F32' as const,
      shape: sides,
      bytes: new Uint8Array(4 * out * width),
    });
    const tensors = [thin('A', [1, width]), thin('B', [out, 1])].map((each) => ({
      ...each,
      bytes: each.bytes.subarray(0, 4 * Math.max(...each.shape)),
    }));
    await writeSafetensors(join(path, 'adapter_model.safetensors'), tensors);
    return path;
  }

  it('is read with it, whether the weights or their folder are opened', async () => {
    const path = await writeNames(names);
    await memory.setAdded(file, { classes: path });
    for (const opened of [file, join(folder, 'weights')]) {
      const { opened: found } = await openRemembered(opened, memory, (message) => told.push(message));
      const { headline } = inspect(
        found.model,
        { assumptions: {}, added: memory.added(found.model.checkpoint.file) },
        '',
      );
      const labels = headline.find(({ key }) => key === 'classes');
      assert.match(labels?.source ?? '', /names: given: birds\.txt$/);
      assert.deepEqual([labels?.adds, labels?.set], ['classes', true]);
    }
    assert.deepEqual(told, []);
  });

  it('is another model: its identity differs, and it is stale with it', async () => {
    const path = await writeNames(names);
    const plain = await open();
    const named = await openWith(file, { classes: path }, memory);
    assert.notEqual(named.opened.identity, plain.opened.identity);
    assert.equal(await named.file.isCurrent(), true);
    await writeNames([...names.slice(1), 'another bird']);
    assert.equal(await named.file.isCurrent(), false);
  });

  it('may be an adapter, which the header names and assumptions outlive', async () => {
    const adapter = await writeAdapter();
    const plain = await open();
    const { opened } = await openWith(file, { adapter }, memory);
    assert.equal(headerOf(opened.model), headerOf(plain.opened.model));
    assert.ok(opened.model.counts.params > plain.opened.model.counts.params);
    const row = inspect(opened.model, { assumptions: {}, added: { adapter } }, '').headline.find(
      ({ key }) => key === 'adapter',
    );
    assert.deepEqual([row?.text, row?.set, row?.adds], ['adapter', true, 'adapter']);
  });

  it('is refused if it does not fit, with both numbers, and nothing is forgotten', async () => {
    const path = await writeNames(names.slice(1));
    await memory.setAssumptions('x', { heads: '3' });
    await assert.rejects(
      openWith(file, { classes: path }, memory),
      /birds\.txt: names 9 classes, model\.safetensors needs 10/,
    );
    assert.deepEqual(memory.assumptions('x'), { heads: '3' });
  });

  it('is told and forgotten when it no longer fits, and the file opens', async () => {
    const path = await writeNames(names);
    await memory.setAdded(file, { classes: path });
    await rm(path);
    const { opened } = await open();
    assert.equal(opened.model.recognition.family !== null, true);
    assert.match(told.join(), /is opened without .*birds\.txt: .*does not exist/);
    assert.deepEqual(memory.added(file), {});
  });

  it('goes with a state dict that there is', async () => {
    const { file: opened } = await open();
    assert.throws(() => requireStateDict(opened, 'ema'), /no state dict named "ema"/);
  });
});

describe('opening checkpoints one after the other', () => {
  let folder = '';
  let file = '';
  let tried: string[] = [];
  const answers = { reason: undefined as string | undefined };
  const opener = (): Opener =>
    new Opener(({ path }) => {
      tried.push(path);
      return Promise.resolve(answers.reason);
    });

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'vitrine-tried-'));
    file = join(folder, 'model.safetensors');
    await copyFile(base, file);
    tried = [];
    answers.reason = undefined;
  });
  afterEach(() => rm(folder, { recursive: true }));

  it('tries one once as long as it does not change, and reads it anew', async () => {
    const own = opener();
    const { checkpoint } = await own.open(file, {});
    await writeFile(join(folder, 'classes.txt'), names.join('\n'));
    const again = await own.open(file, {});
    assert.deepEqual(tried, [file]);
    assert.deepEqual([checkpoint.classNames?.length ?? 0, again.checkpoint.classNames?.length], [0, 1]);
    await writeFile(join(folder, 'config.json'), '{}');
    await own.open(file, {});
    assert.deepEqual(tried, [file, file]);
  });

  it('tries another in between, and one that had to be stopped, anew', async () => {
    const own = opener();
    await own.open(file, {});
    await own.open(base, {});
    await own.open(file, {});
    assert.equal(tried.length, 3);
    answers.reason = 'stopped: by a test';
    await own.open(base, {});
    const { checkpoint } = await own.open(base, {});
    assert.equal(tried.length, 5);
    assert.ok(checkpoint.selected.tensors.length > 0);
  });
});
