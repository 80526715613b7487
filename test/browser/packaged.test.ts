import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { openFile } from '../../src/checkpoint/byteSource';
import { readZip } from '../../src/checkpoint/containers/zip';
import { expectedOf, percent } from './sample';
import { openWorkbench, type Workbench } from './workbench';

const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };

const vsix = `vitrine-${process.platform}-${process.arch}-${version}.vsix`;

describe('the packaged extension', () => {
  let workbench: Workbench;
  before(async () => {
    assert.ok(readdirSync('.').includes(vsix), `${vsix} was written by npm run package`);
    workbench = await openWorkbench({ vsix });
  });
  after(() => workbench?.close());

  it('holds the class names and the pictures that README shows', async () => {
    const source = await openFile(vsix);
    const { entries } = await readZip(source).finally(() => source.close());
    const shown = [...readFileSync('README.md', 'utf8').matchAll(/\]\((media\/[^)]+)\)/g)].map(
      (link) => link[1]!,
    );
    assert.ok(shown.length > 0);
    for (const path of ['media/labels/imagenet.txt.gz', ...shown])
      assert.ok(entries.has(`extension/${path}`), `${path} is in the package`);
  });

  it('runs with what is in the package alone', async () => {
    await workbench.pickFromContextMenu('images/cat-on-grass.jpg', 'Classify Image');
    await workbench.pick('vitrine-sample');
    const frame = await workbench.webview('.guesses li');
    const [label = '', probability = 0] = expectedOf('cat-on-grass.jpg').top5[0] ?? [];
    const first = await frame.locator('.guesses li').first().innerText();
    assert.match(first, new RegExp(`\\b${label}\\b`));
    assert.ok(first.includes(percent(probability)), first);
  });

  it('shows a checkpoint with its icons and styles', async () => {
    await workbench.openFile('vitrine-sample/model.safetensors');
    const frame = await workbench.webview('[role=treegrid]');
    const loaded = await frame.evaluate(async () => (await document.fonts.ready).check('16px codicon'));
    assert.ok(loaded, 'the icon font is there');
  });
});
