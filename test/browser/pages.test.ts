// The pages by themselves, with a host inside the page: drawn in every state, used by keyboard and pointer.
import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import type { Page } from 'playwright-core';
import { Demo, type OpenedPage, type PageOptions } from '../pages/browse';
import type { ThemeName } from '../pages/themes';

const OUTPUT = 'test/output/pages';

const states: readonly (readonly [name: PageOptions['name'], cases: readonly string[]])[] = [
  ['inspector', ['', 'sample', 'unknown', 'training', 'restricted', 'stale', 'loading', 'error']],
  ['complexity', ['', 'sample', 'unknown']],
  [
    'attention',
    [
      '',
      'large',
      'wide',
      'padded',
      'turned',
      'channels',
      'features',
      'silent',
      'loading',
      'cancelled',
      'untrusted',
      'error',
    ],
  ],
  ['batch', ['', 'many', 'running', 'empty', 'loading', 'error']],
];

const views: readonly (readonly [theme: ThemeName, width: number])[] = [
  ['dark', 1280],
  ['light', 560],
  ['contrast', 380],
];

describe('pages', function () {
  this.timeout(120_000);
  let demo: Demo;
  before(async () => {
    demo = await Demo.start();
    await mkdir(OUTPUT, { recursive: true });
  });
  after(() => demo?.close());

  const opened = async (options: PageOptions, use: (page: Page) => Promise<void>): Promise<void> => {
    const { page, complaints }: OpenedPage = await demo.open(options);
    try {
      await use(page);
      assert.deepEqual(complaints, []);
    } finally {
      await page.close();
    }
  };

  for (const [name, cases] of states)
    for (const shownCase of cases)
      it(`${name} ${shownCase || 'as usual'}: three themes and widths, nothing sideways, no complaint`, async () => {
        for (const [theme, width] of views)
          await opened({ name, shownCase, theme, width }, async (page) => {
            await page.waitForTimeout(150);
            await page.screenshot({ path: `${OUTPUT}/${name}-${shownCase || 'usual'}-${theme}.png` });
            assert.ok((await page.locator('main').innerText()).trim().length > 0 || shownCase === 'loading');
            const over = await page.evaluate(
              () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
            );
            assert.ok(over <= 0, `${over} pixels too wide at ${width}`);
            assert.deepEqual(await namelessControls(page), []);
          });
      });

  it('the tree is used by keyboard, and keeps what was opened over a reload', () =>
    opened({ name: 'inspector', shownCase: 'sample' }, async (page) => {
      const focused = page.locator('[role=treegrid] [role=row]:focus');
      await page.locator('[role=treegrid] [role=row][tabindex="0"]').focus();
      await page.keyboard.type('bl');
      assert.match(await focused.innerText(), /^\s*blocks/);
      await page.keyboard.press('ArrowRight');
      await page.keyboard.press('ArrowRight');
      await page.keyboard.type('att');
      assert.equal(await focused.getAttribute('aria-level'), '3');
      await page.keyboard.press('ArrowRight');
      assert.equal(await focused.getAttribute('aria-expanded'), 'true');
      await page.locator('.detail').getByText('Multi-head self-attention').waitFor();
      await page.keyboard.press('Enter');
      assert.equal(await page.locator('.detail:focus').count(), 1);
      await page.reload();
      await page
        .getByRole('row', { name: /^\s*qkv/ })
        .first()
        .waitFor();
    }));

  it('a module leads to its tensors and their values', () =>
    opened({ name: 'inspector', shownCase: 'sample' }, async (page) => {
      await page.getByRole('row', { name: /^\s*patch_embed/ }).click();
      await page.getByText('Reveal in Tensors').click();
      await page.getByRole('grid', { name: 'Tensors' }).waitFor();
      await page.getByRole('img', { name: /^Histogram/ }).waitFor();
      const [call] = await callsOf(page, 'tensorValues');
      assert.deepEqual(call, ['patch_embed.proj.weight', 0, 96]);
    }));

  it('an assumed figure is changed in place', () =>
    opened({ name: 'inspector' }, async (page) => {
      await page.getByRole('button', { name: /^Heads 12 × 64, assumed/ }).click();
      await page.getByRole('dialog').getByRole('button', { name: '16', exact: true }).click();
      assert.deepEqual(await callsOf(page, 'assume'), [['heads', '16']]);
      await page.getByRole('button', { name: /^Heads 16\. Change/ }).waitFor();
    }));

  it('five thousand tensors are a few dozen rows in the document', () =>
    opened({ name: 'inspector', shownCase: 'unknown' }, async (page) => {
      await page.getByRole('tab', { name: /Tensors/ }).click();
      await page.getByRole('columnheader', { name: /Name/ }).click();
      const rows = page.locator('[role=grid] [role=rowgroup] [role=row]');
      assert.ok((await rows.count()) < 100);
      await rows.first().focus();
      await page.keyboard.press('End');
      await page.getByRole('row', { name: /layers\.999\.self_attn\.v_proj/ }).waitFor();
      assert.ok((await rows.count()) < 100);
    }));

  it('the size slider counts anew, and charts are saved as SVG without variables', () =>
    opened({ name: 'complexity' }, async (page) => {
      await page.getByRole('slider', { name: 'Image size' }).press('ArrowRight');
      await page.getByText('MACs (256×256)').waitFor();
      await page.locator('vscode-button[aria-label^="Save as SVG: MACs per part"]').click();
      const [[name, svg]] = (await callsOf(page, 'save')) as [[string, string]];
      assert.equal(name, 'vit_base_patch16_224-modules.svg');
      assert.match(svg, /^<svg [^>]*xmlns="http:\/\/www.w3.org\/2000\/svg"/);
      assert.doesNotMatch(svg, /var\(/);
    }));

  it('a click asks for a patch, keys move it, change layer and head, and Esc goes back', () =>
    opened({ name: 'attention' }, async (page) => {
      const picture = page.locator('.picture-stack');
      const canvas = (await picture.boundingBox()) as { width: number; height: number };
      // The crop's middle is the picture's: row and column 8 of 16.
      await picture.click({ position: { x: canvas.width / 2 + 2, y: canvas.height / 2 + 2 } });
      await page.keyboard.press('ArrowLeft');
      await page.keyboard.press('[');
      await page.keyboard.press('h');
      await page.getByText('5 of 6', { exact: true }).waitFor();
      const label = await picture.getAttribute('aria-label');
      assert.match(label ?? '', /patch 8, 7, layer 5 of 6, max of heads/);
      await page.keyboard.press('Escape');
      // Questions follow the drawing, a frame after the key.
      await page.waitForFunction(
        () => window.demo.calls.filter(({ method }) => method === 'attention').length === 4,
      );
      const queries = (await callsOf(page, 'attention')).map(([, query]) => query);
      assert.deepEqual(queries, [
        { kind: 'special', name: 'cls' },
        { kind: 'patch', row: 8, column: 8 },
        { kind: 'patch', row: 8, column: 7 },
        { kind: 'special', name: 'cls' },
      ]);
    }));

  it('the picture is saved as PNG and the numbers are copied', () =>
    opened({ name: 'attention' }, async (page) => {
      await page.getByText('Save Picture').click();
      await page.getByText('Copy Numbers').click();
      const [[name, url]] = (await callsOf(page, 'save')) as [[string, string]];
      assert.equal(name, 'cat-on-grass-attention.png');
      assert.match(url, /^data:image\/png;base64,/);
      const [[text]] = (await callsOf(page, 'copy')) as [[string]];
      const grid = text.split('\n').filter((line) => line.split('\t').length === 16);
      assert.equal(grid.length, 16);
    }));

  it('a file on a slow disk is given up and read again', () =>
    opened({ name: 'inspector', shownCase: 'loading' }, async (page) => {
      await page.getByText('Reading the checkpoint’s header').waitFor();
      await page.getByText('Cancel', { exact: true }).click();
      await page.getByText('Read Again').click();
      await page.getByRole('treegrid').waitFor();
    }));

  it('what the host could not do is said', () =>
    opened({ name: 'batch', shownCase: 'readonly' }, async (page) => {
      await page.getByText('Export CSV').click();
      await page.getByRole('alert').getByText('the folder is read-only').waitFor();
      await page.locator('vscode-button[aria-label="Dismiss"]').click();
      assert.equal(await page.getByRole('alert').count(), 0);
    }));

  it('a turned picture is shown as stored by one click', () =>
    opened({ name: 'attention', shownCase: 'turned' }, async (page) => {
      await page.getByText('Show as Stored').click();
      await page.getByText('Apply Orientation').waitFor();
      assert.deepEqual((await callsOf(page, 'run')).at(-1), [{ asStored: true }]);
    }));

  it('the table sorts, filters by label and opens a row', () =>
    opened({ name: 'batch' }, async (page) => {
      await page.getByRole('button', { name: /^sailboat/ }).click();
      const rows = page.locator('[role=grid] [role=rowgroup] [role=row]');
      assert.equal(await rows.count(), 2);
      await page.getByRole('columnheader', { name: 'Margin' }).getByRole('button').click();
      assert.equal(
        await page.getByRole('columnheader', { name: 'Margin' }).getAttribute('aria-sort'),
        'descending',
      );
      await rows.first().click();
      assert.equal((await callsOf(page, 'openRow')).length, 1);
    }));
});

/** What the page asked its host for by this method, as lists of arguments. */
const callsOf = (page: Page, method: string): Promise<readonly (readonly unknown[])[]> =>
  page.evaluate(
    (wanted) => window.demo.calls.filter((call) => call.method === wanted).map(({ values }) => values),
    method,
  );

/** Controls that a screen reader could not name. */
const namelessControls = (page: Page): Promise<readonly string[]> =>
  page.evaluate(() =>
    [
      ...document.querySelectorAll(
        'button, input, [role=button], vscode-button, vscode-dropdown, vscode-text-field',
      ),
    ]
      .filter((element) => {
        const label = element.getAttribute('aria-label') ?? element.getAttribute('title') ?? '';
        return label.trim() === '' && (element.textContent ?? '').trim() === '';
      })
      .map((element) => element.outerHTML.slice(0, 200)),
  );
