import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { formatCount } from '../../src/domain/units';
import { sampleParameters } from './sample';
import { openWorkbench, type Workbench } from './workbench';

const checkpoint = 'vitrine-sample/model.safetensors';

describe('opening a checkpoint in the workbench', () => {
  let workbench: Workbench;
  before(async () => {
    workbench = await openWorkbench();
  });
  after(() => workbench?.close());
  afterEach(async function () {
    if (this.currentTest?.state === 'failed') await workbench.screenshot(`failed-${this.currentTest.title}`);
    await workbench.closeEditors();
  });

  it('shows what it is, its parameters, and the tree of its modules', async () => {
    await workbench.openFile(checkpoint);
    const frame = await workbench.webview('[role=treegrid]');
    assert.match(await frame.locator('h1').innerText(), /Vision Transformer/);
    const header = await frame.locator('header').first().innerText();
    assert.ok(header.includes(formatCount(sampleParameters())), header);
    const rows = (await frame.getByRole('row').allInnerTexts()).map((row) => row.replaceAll(/\s+/g, ' '));
    for (const name of ['patch_embed', 'blocks', 'head']) {
      assert.ok(
        rows.some((row) => row.trim().startsWith(name)),
        `${name} in ${rows.join(' | ')}`,
      );
    }
    assert.ok(
      rows.some((row) => row.includes('×6')),
      'repeated blocks are folded and counted',
    );
  });

  it('shows how each hyper-parameter was found', async () => {
    await workbench.openFile(checkpoint);
    const frame = await workbench.webview('[role=treegrid]');
    await frame.getByRole('button', { name: /how each was found/i }).click();
    const evidence = await frame.locator('#evidence').innerText();
    assert.match(evidence, /heads/i);
    assert.match(evidence, /config\.json/);
  });

  it('finds a tensor and shows its values on demand', async () => {
    await workbench.openFile(checkpoint);
    const frame = await workbench.webview('[role=treegrid]');
    await frame.getByRole('tab', { name: /Tensors/ }).click();
    await frame.getByRole('row').filter({ hasText: 'blocks.0.attn.qkv.weight' }).first().click();
    await frame.getByText('480×160').first().waitFor();
  });

  it('moves in the tree by keyboard', async () => {
    await workbench.openFile(checkpoint);
    const frame = await workbench.webview('[role=treegrid]');
    const before = await frame.getByRole('row').count();
    await frame.getByRole('row').filter({ hasText: 'patch_embed' }).click();
    await workbench.page.keyboard.press('ArrowRight');
    await frame.locator('[role=row][aria-expanded=true]').filter({ hasText: 'patch_embed' }).waitFor();
    assert.ok((await frame.getByRole('row').count()) > before, 'what is inside is listed');
    await workbench.page.keyboard.press('ArrowRight');
    const focused = frame.locator('[role=row]:focus');
    assert.match(await focused.innerText(), /proj/);
  });

  it('is there again after the window is reloaded', async () => {
    await workbench.openFile(checkpoint);
    await workbench.webview('[role=treegrid]');
    await workbench.reload();
    const frame = await workbench.webview('[role=treegrid]');
    assert.match(await frame.locator('h1').innerText(), /Vision Transformer/);
  });
});

describe('files that are no vision transformer', () => {
  let folder: string;
  let workbench: Workbench;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'vitrine-other-'));
    const weight = { dtype: 'F32', shape: [4, 4], data_offsets: [0, 64] };
    const header = Buffer.from(JSON.stringify({ 'model.layers.0.self_attn.q_proj.weight': weight }));
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(header.length));
    const bytes = Buffer.concat([length, header, Buffer.alloc(64)]);
    await writeFile(join(folder, 'language.safetensors'), bytes);
    await writeFile(join(folder, 'cut.safetensors'), bytes.subarray(0, -1));
    workbench = await openWorkbench({ workspace: folder });
  });
  after(async () => {
    await workbench?.close();
    await rm(folder, { recursive: true, force: true });
  });

  it('opens a language model as what it is, and says why it cannot be run', async () => {
    await workbench.openFile('language.safetensors');
    const frame = await workbench.webview('[role=treegrid]');
    await frame.getByText('Architecture not known').waitFor();
    const text = (await frame.locator('main').innerText()).replaceAll(/\s+/g, ' ');
    assert.match(text, /looks like a language model: model\.layers\.0\.self_attn\.q_proj\.weight\. /);
    assert.match(text, /nearest family is Vision Transformer\. Missing for it: a patch embedding/);
    assert.ok(await frame.getByRole('button', { name: /Classify an Image/ }).isDisabled());
  });

  it('says of a file that was cut off what is wrong and what to do', async () => {
    await workbench.openFile('cut.safetensors');
    const frame = await workbench.webview('[role=alert]');
    const text = await frame.getByRole('alert').innerText();
    assert.match(text, /cut\.safetensors.*q_proj\.weight.*beyond the end of the file.*download it again/s);
    await frame.getByRole('button', { name: 'Try Again' }).waitFor();
  });
});

describe('the complexity report', () => {
  let workbench: Workbench;
  before(async () => {
    workbench = await openWorkbench();
  });
  after(() => workbench?.close());
  afterEach(async function () {
    if (this.currentTest?.state === 'failed') await workbench.screenshot(`failed-${this.currentTest.title}`);
  });

  it('opens from the palette with totals that tell MACs from FLOPs', async () => {
    await workbench.runCommand('Vitrine: Complexity Report');
    await workbench.pick('vitrine-sample');
    const frame = await workbench.webview('.complexity');
    const text = (await frame.locator('.complexity').innerText()).replaceAll(/\s+/g, ' ');
    assert.ok(text.includes(formatCount(sampleParameters())), text.slice(0, 400));
    const numbers = await frame.locator('.complexity').evaluate((element) => element.textContent ?? '');
    assert.match(numbers, /MACs/);
    assert.match(numbers, /FLOPs/);
  });

  it('recounts when the image size is moved', async () => {
    const frame = await workbench.webview('.complexity');
    const before = await frame.locator('.complexity').innerText();
    await frame.getByRole('slider').first().focus();
    await workbench.page.keyboard.press('ArrowRight');
    await frame.waitForFunction(
      (old) => document.querySelector<HTMLElement>('.complexity')?.innerText !== old,
      before,
    );
  });

  it('survives a reload of the window', async () => {
    await workbench.reload();
    const frame = await workbench.webview('.complexity');
    assert.match(await frame.locator('h1').innerText(), /Complexity/);
  });
});

describe('a workspace that is not trusted', () => {
  let workbench: Workbench;
  before(async () => {
    workbench = await openWorkbench({
      trusted: false,
      settings: { 'security.workspace.trust.startupPrompt': 'never' },
    });
  });
  after(() => workbench?.close());

  it('lets checkpoints be inspected, says that running needs trust, and runs nothing', async () => {
    await workbench.openFile(checkpoint);
    const frame = await workbench.webview('[role=treegrid]');
    await frame.getByRole('button', { name: 'Manage Trust' }).waitFor();
    assert.ok(await frame.getByRole('button', { name: /Classify an Image/ }).isDisabled());
  });
});
