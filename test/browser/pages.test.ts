// The pages by themselves, with a host inside the page: drawn in every state, used by keyboard and
// pointer.
import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import type { Locator, Page } from 'playwright-core';
import type { RunOptions } from '../../src/tasks/run';
import { Demo, type OpenedPage, type PageOptions } from '../pages/browse';
import type { ThemeName } from '../pages/themes';
import {
  called,
  callsOf,
  colourAt,
  firstCall,
  holds,
  namelessControls,
  pixelOf,
  saturation,
  settled,
} from './pageTools';

const OUTPUT = 'test/output/pages';

const states: readonly (readonly [name: PageOptions['name'], cases: readonly string[]])[] = [
  [
    'inspector',
    [
      '',
      'sample',
      'staged',
      'towers',
      'spoken',
      'unknown',
      'offered',
      'confirmed',
      'training',
      'deep',
      'graph',
      'restricted',
      'stale',
      'loading',
      'error',
    ],
  ],
  ['complexity', ['', 'sample', 'staged', 'towers', 'spoken', 'unknown']],
  [
    'image',
    [
      '',
      'sample',
      'focused',
      'large',
      'wide',
      'padded',
      'turned',
      'channels',
      'staged',
      'gates',
      'crossed',
      'boxes',
      'found',
      'scores',
      'asked',
      'clip',
      'text',
      'writing',
      'masks',
      'prompts',
      'prompts-given',
      'depth',
      'keypoints',
      'features',
      'saliency',
      'categories',
      'pixels',
      'restored',
      'outputs',
      'silent',
      'loading',
      'cancelled',
      'untrusted',
      'error',
    ],
  ],
  ['batch', ['', 'segments', 'many', 'running', 'cancelled', 'empty', 'loading', 'error']],
  ['text', ['', 'ways']],
];

const views: readonly (readonly [theme: ThemeName, width: number])[] = [
  ['dark', 1280],
  ['light', 560],
  ['contrast', 380],
];

/** From here on, what takes long waits for the test, whatever the machine does besides. */
const holdAnswers = (page: Page): Promise<void> =>
  page.evaluate(() => {
    window.demo.held = [];
  });

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
            await settled(page);
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
      await holds(async () => assert.match(await focused.innerText(), /^\s*blocks/));
      await page.keyboard.press('ArrowRight');
      await holds(async () => assert.equal(await focused.getAttribute('aria-level'), '2'));
      await page.keyboard.press('ArrowRight');
      await holds(async () => assert.equal(await focused.getAttribute('aria-level'), '3'));
      await page.keyboard.type('att');
      await holds(async () => assert.match(await focused.innerText(), /^\s*attn/));
      await page.keyboard.press('ArrowRight');
      await holds(async () => assert.equal(await focused.getAttribute('aria-expanded'), 'true'));
      await page.locator('.detail').getByText('Multi-head self-attention').waitFor();
      await page.keyboard.press('Enter');
      await page.locator('.detail:focus').waitFor();
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
      await called(page, 'tensorValues', [['patch_embed.proj.weight', 0, 96]]);
    }));

  it('a mapping is shown, changed and confirmed name by name', () =>
    opened({ name: 'inspector', shownCase: 'offered' }, async (page) => {
      await page.getByRole('button', { name: 'Show Mapping' }).click();
      const names = page.locator('.mapping-name');
      const [first, second] = [await names.nth(2).inputValue(), await names.nth(3).inputValue()];
      await names.nth(2).fill(second);
      await names.nth(2).blur();
      await holds(async () => assert.equal(await names.nth(3).inputValue(), first));
      await page.getByRole('button', { name: 'Confirm' }).click();
      await page.getByText('Read by structure, check').waitFor();
      await page.getByRole('button', { name: 'Forget' }).waitFor();
    }));

  it('a map is drawn where the model looked, told under the pointer, and drawn by itself on request', () =>
    opened({ name: 'image', shownCase: 'saliency', width: 1100 }, async (page) => {
      const map = page.getByRole('img', { name: /^focus, map of 128 × 128/ });
      await settled(page);
      const over = await map.boundingBox();
      assert.ok(over);
      // The crop is the middle 480 of 640 columns; the hill is at 0.3, 0.7 of it.
      const at = (row: number, column: number) =>
        [over.x + over.width * (80 / 640 + (480 / 640) * column), over.y + over.height * row] as const;
      await page.mouse.move(...at(0.3, 0.7));
      await page.getByText(/row (38|39), column (89|90): (1|0\.99\d*)$/).waitFor();
      const [bright, dark] = [await colourAt(map, 0.3, 0.65), await colourAt(map, 0.9, 0.2)];
      assert.ok(
        (bright[1] ?? 0) > (dark[1] ?? 255) + 60,
        `${bright.join()} on the hill, ${dark.join()} beside it`,
      );
      await page.mouse.move(over.x + 2, over.y + 2);
      await page.getByText('largest at row 38, column 89').waitFor();
      await page.getByText('Over the image').click();
      await holds(async () => {
        const box = await map.boundingBox();
        assert.ok(box && Math.abs(box.width - box.height) <= 1, JSON.stringify(box));
      });
      await page.locator('.output').getByText('Copy Numbers').click();
      await page.waitForFunction(() => window.demo.calls.some(({ method }) => method === 'copy'));
      const copied = await page.evaluate(() => window.demo.calls.find(({ method }) => method === 'copy'));
      const rows = String(copied?.values[0]).trim().split('\n');
      assert.deepEqual([rows.length, rows[0]?.split('\t').length], [128, 128]);
    }));

  it('whole numbers of a map are classes in their colours, one alone when it is pointed at', () =>
    opened({ name: 'image', shownCase: 'categories', width: 1100 }, async (page) => {
      await settled(page);
      const map = page.getByRole('img', { name: /^classes, map of 96 × 96, 3 classes/ });
      const legend = page.getByRole('list', { name: 'Classes of classes' }).getByRole('listitem');
      assert.deepEqual(
        (await legend.allInnerTexts()).map((text) => text.replace(/\s+/g, ' ').trim()),
        ['sky 45.0 %', 'grass 44.6 %', 'cat 10.4 %'],
      );
      assert.equal(await page.locator('.output-scale').count(), 0);
      await map.evaluate((element) => element.scrollIntoView({ block: 'center' }));
      const box = (await map.boundingBox()) ?? assert.fail('no map');
      await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
      await page.getByText(/row 48, column 48: cat \(1\)$/).waitFor();
      const drawn = map.locator('canvas').first();
      const colours = async (): Promise<readonly string[]> =>
        Promise.all([0.15, 0.5, 0.85].map(async (row) => (await pixelOf(drawn, row, 0.5)).join()));
      const all = await colours();
      assert.equal(new Set(all).size, 3);
      await legend.nth(2).hover();
      await holds(async () => {
        const alone = await colours();
        assert.equal(alone[1], all[1]);
        assert.ok(alone[0] !== all[0] && alone[2] !== all[2]);
      });
    }));

  it('several outputs stand side by side under their names, each channel and number in reach', () =>
    opened({ name: 'image', shownCase: 'outputs', width: 1100 }, async (page) => {
      await settled(page);
      const names = await page.locator('.output h3').allInnerTexts();
      assert.deepEqual(names, ['focus', 'parts', 'image_embeds', 'table', 'scores', 'tokens']);
      const [first, second] = [
        await page.locator('.output').nth(0).boundingBox(),
        await page.locator('.output').nth(1).boundingBox(),
      ];
      assert.ok(first && second && first.y === second.y && first.x + first.width <= second.x);
      const drawn = page.getByRole('img', { name: /^scores, vector of 4 numbers/ });
      await drawn.evaluate((element) => element.scrollIntoView({ block: 'center' }));
      const bars = await drawn.boundingBox();
      assert.ok(bars);
      await page.mouse.move(bars.x + bars.width * 0.9, bars.y + 8);
      await page.getByText('3: 2', { exact: true }).waitFor();
      await page.mouse.move(bars.x + bars.width * 0.6, bars.y + 8);
      await page.getByText('2: NaN', { exact: true }).waitFor();
    }));

  it('providers fit beside a narrow window, and say in words why one is not used', () =>
    opened({ name: 'image', width: 450 }, async (page) => {
      await page.getByRole('button', { name: /Providers$/ }).click();
      const dialog = page.getByRole('dialog', { name: 'Execution providers' });
      const box = await dialog.boundingBox();
      assert.ok(box && box.x >= 0 && box.x + box.width <= 450, JSON.stringify(box));
      const inside = await dialog.evaluate(({ scrollWidth, clientWidth }) => scrollWidth - clientWidth);
      assert.ok(inside <= 0, `${inside} pixels too wide inside`);
      const lines = (await dialog.innerText()).split('\n').filter((line) => line.trim() !== '');
      assert.equal(new Set(lines).size, lines.length, 'a line is there twice');
      assert.ok(lines.some((line) => /is not installed\. Use the CPU or WebGPU/.test(line)));
    }));

  it('an assumed hyper-parameter is changed in place', () =>
    opened({ name: 'inspector' }, async (page) => {
      await page
        .locator('.figures')
        .getByRole('button', { name: /^Heads 12 × 64, assumed/ })
        .click();
      await page.getByRole('dialog').getByRole('button', { name: '16', exact: true }).click();
      await called(page, 'assume', [['heads', '16']]);
      await page
        .locator('.figures')
        .getByRole('button', { name: /^Heads 16\. Change/ })
        .waitFor();
    }));

  it('five thousand tensors are a few dozen rows in the document', () =>
    opened({ name: 'inspector', shownCase: 'unknown' }, async (page) => {
      await page.getByRole('tab', { name: /Tensors/ }).click();
      await page.getByRole('columnheader', { name: /Name/ }).click();
      const rows = page.locator('[role=grid] [role=rowgroup] [role=row]');
      await rows.first().focus();
      assert.ok((await rows.count()) < 100);
      await page.keyboard.press('End');
      await page.getByRole('row', { name: /layers\.999\.self_attn\.v_proj/ }).waitFor();
      assert.ok((await rows.count()) < 100);
    }));

  for (const width of [1100, 450])
    it(`names of tensors are read whole at ${width} pixels, and columns leave from the right`, () =>
      opened({ name: 'inspector', shownCase: 'deep', width }, async (page) => {
        await page.getByRole('tab', { name: /Tensors/ }).click();
        const names = page.locator('.tensor-name');
        await names.first().waitFor();
        const cut = await names.evaluateAll(
          (all) => all.filter((name) => name.scrollWidth > name.clientWidth).length,
        );
        assert.equal(cut, 0);
        const heads = await page.getByRole('columnheader').allInnerTexts();
        const all = ['Name', 'Shape', 'Type', 'Size', 'Role', 'Elements', 'Offset'];
        assert.deepEqual(heads, all.slice(0, heads.length));
        assert.ok(heads.length < all.length && heads.length > 1, heads.join());
      }));

  it('a column’s border is dragged, moved by arrow keys and kept', () =>
    opened({ name: 'inspector', shownCase: 'deep', width: 1600 }, async (page) => {
      await page.getByRole('tab', { name: /Tensors/ }).click();
      const border = page.getByRole('separator', { name: 'Border of the column Type' });
      const widths = async (): Promise<readonly string[]> =>
        page
          .getByRole('grid')
          .evaluate((grid) => (grid as HTMLElement).style.getPropertyValue('--columns').split(/ (?!1fr)/));
      const [, shape, type] = await widths();
      assert.deepEqual([shape, type], ['104px', '48px']);
      const box = (await border.boundingBox()) as { x: number; y: number };
      await page.mouse.move(box.x + 4, box.y + 8);
      await page.mouse.down();
      await page.mouse.move(box.x - 16, box.y + 8);
      await page.mouse.up();
      await holds(async () => assert.deepEqual((await widths()).slice(1, 3), ['84px', '68px']));
      await border.press('ArrowRight');
      await holds(async () => assert.deepEqual((await widths()).slice(1, 3), ['92px', '60px']));
      await page.reload();
      await holds(async () => assert.deepEqual((await widths()).slice(1, 3), ['92px', '60px']));
      await border.dblclick();
      await holds(async () => assert.deepEqual((await widths()).slice(1, 3), ['104px', '48px']));
    }));

  it('hits of the filter are counted, and a single number is no histogram', () =>
    opened({ name: 'inspector', shownCase: 'deep' }, async (page) => {
      await page.getByRole('tab', { name: /Tensors/ }).click();
      await page.locator('.tab-bar input').fill('blocks.3. bn1');
      await page.getByText('60 of 600 tensors', { exact: true }).first().waitFor();
      await page.getByRole('row', { name: /blocks\.3\.0\.bn1/ }).click();
      await page.locator('.detail').getByText('Value', { exact: true }).waitFor();
      assert.equal(await page.getByRole('img', { name: /^Histogram/ }).count(), 0);
      await page.getByRole('tab', { name: /Architecture/ }).click();
      await page.locator('.tab-bar input').fill('qkv');
      await page
        .getByText(/^\d+ of \d+ modules$/)
        .first()
        .waitFor();
    }));

  it('a module leads to its row of the report and back, and to its attention', () =>
    opened({ name: 'inspector', shownCase: 'sample' }, async (page) => {
      await page.locator('.tab-bar input').fill('blocks.3.attn');
      await page
        .getByRole('row', { name: /^\s*attn/ })
        .last()
        .click();
      await page.getByText('Show Its Attention').click();
      await called(page, 'showAttention', [['blocks.3']]);
      await page.getByText('Reveal in Complexity').click();
      const marked = page.locator('tr[aria-current=true]');
      await holds(async () => assert.match(await marked.innerText(), /^\s*attn/));
      assert.ok(await marked.evaluate((row) => row.getBoundingClientRect().bottom <= window.innerHeight));
      await marked.getByRole('button').click();
      const focused = page.locator('[role=treegrid] [role=row]:focus');
      await holds(async () => assert.match(await focused.innerText(), /^\s*attn/));
      await page.getByRole('row', { name: /^\s*patch_embed/ }).click();
      const why = page.locator('.detail vscode-button', { hasText: 'Show Its Attention' });
      assert.equal(await why.getAttribute('title'), 'No layer with attention lies in or around patch_embed.');
    }));

  it('a module leads to its operators’ rows of the report, and they to the modules that hold them', () =>
    opened({ name: 'inspector', shownCase: 'sample' }, async (page) => {
      await page.getByRole('row', { name: /^\s*patch_embed/ }).click();
      const operators = page.locator('.operator-list li');
      await holds(async () => assert.deepEqual(await operators.allInnerTexts(), ['Conv ×1']));
      await page
        .getByRole('row', { name: /^\s*blocks/ })
        .first()
        .click();
      await operators.filter({ hasText: 'MatMul' }).getByRole('button').click();
      await called(page, 'operatorsIn', [
        ['patch_embed', null],
        ['blocks', null],
      ]);
      const marked = page.locator('tr[aria-current=true]');
      await holds(async () => assert.match(await marked.innerText(), /^MatMul/));
      assert.ok(await marked.evaluate((row) => row.getBoundingClientRect().bottom <= window.innerHeight));
      const uses = page.getByRole('region', { name: 'Modules with MatMul' });
      await uses.getByText('MatMul (attention) is in 12 modules').waitFor();
      await page.getByRole('button', { name: 'Softmax', exact: true }).click();
      await page.getByRole('region', { name: 'Modules with Softmax' }).waitFor();
      assert.equal(await uses.count(), 0);
      await page.getByRole('button', { name: 'MatMul', exact: true }).click();
      await uses.getByRole('button', { name: 'blocks.5.mlp' }).click();
      await page.locator('.detail h2', { hasText: /^blocks\.5\.mlp/ }).waitFor();
    }));

  it('a module that another view asked for is shown, and its tensors lead back', () =>
    opened({ name: 'inspector', shownCase: 'revealed' }, async (page) => {
      const selected = page.locator('[role=treegrid] [role=row][aria-selected=true]');
      await holds(async () => assert.match(await selected.innerText(), /^\s*attn/));
      await page.getByText('Reveal in Tensors').click();
      await page.getByText('Reveal in Architecture').click();
      await page.locator('.detail h2', { hasText: /^blocks\.3\.attn/ }).waitFor();
    }));

  it('files beside the weights are folded, with their text', () =>
    opened({ name: 'inspector' }, async (page) => {
      await page.getByRole('tab', { name: 'Metadata' }).click();
      const text = page.locator('.beside-text');
      await page.getByText('config.json', { exact: true }).first().waitFor();
      assert.equal(await text.isVisible(), false);
      await page.locator('summary').click();
      await page.getByText('vit_base_patch16_224').last().waitFor();
    }));

  it('what is assumed is told by name and changed where it is told', () =>
    opened({ name: 'inspector' }, async (page) => {
      const list = page.locator('.assumed-list');
      assert.match(await list.innerText(), /2 figures are assumed, not stored in the file:\s+Heads 12/);
      await list.getByRole('button', { name: /^Heads/ }).click();
      await page.getByRole('dialog').getByRole('button', { name: '16', exact: true }).click();
      await called(page, 'assume', [['heads', '16']]);
    }));

  it('a graph of no known family is counted and exported, and a button that cannot says why', async () => {
    await opened({ name: 'inspector', shownCase: 'graph' }, async (page) => {
      await page.getByText(/A Vision Transformer would have no convolution but the patch/).waitFor();
      await page.locator('vscode-button', { hasText: 'Export ONNX' }).click();
      await called(page, 'perform', [['exportOnnx']]);
      await page.getByRole('tab', { name: 'Complexity' }).waitFor();
    });
    await opened({ name: 'inspector', shownCase: 'unknown' }, async (page) => {
      for (const title of ['Classify an Image', 'Complexity Report', 'Export ONNX'])
        assert.match(
          (await page.locator('vscode-button', { hasText: title }).getAttribute('title')) ?? '',
          /architecture of this file is not known.*\.$/,
        );
    });
  });

  it('the size slider keeps its place and its width while it is moved', () =>
    opened({ name: 'complexity' }, async (page) => {
      const slider = page.getByRole('slider', { name: 'Image size' });
      const before = await slider.boundingBox();
      for (let step = 0; step < 6; step++) await slider.press('ArrowRight');
      await page.getByText('Back to 224×224').waitFor();
      assert.deepEqual(await slider.boundingBox(), before);
    }));

  it('the size slider counts anew, and charts are saved as SVG without variables', () =>
    opened({ name: 'complexity' }, async (page) => {
      await page.getByRole('slider', { name: 'Image size' }).press('ArrowRight');
      await page.getByText('MACs (256×256)').waitFor();
      await page.locator('vscode-button[aria-label^="Save as SVG: MACs per part"]').click();
      const [[name, svg]] = (await firstCall(page, 'save')) as [[string, string]];
      assert.equal(name, 'vit_base_patch16_224-modules.svg');
      assert.match(svg, /^<svg [^>]*xmlns="http:\/\/www.w3.org\/2000\/svg"/);
      assert.doesNotMatch(svg, /var\(/);
    }));

  it('a click asks for a patch, keys move it, change layer and head, and Esc goes back', () =>
    opened({ name: 'image' }, async (page) => {
      const image = page.locator('.image-stack');
      const canvas = (await image.boundingBox()) as { width: number; height: number };
      // The crop's middle is the image's: row and column 8 of 16.
      const classToken = { kind: 'special', name: 'cls' };
      const patch = (row: number, column: number): object => ({ kind: 'patch', row, column, grid: [16, 16] });
      // Questions follow the drawing: each is waited for, as two in one frame would be asked as
      // one.
      await called(page, 'attention', [[1, classToken, 'raw']]);
      await image.click({ position: { x: canvas.width / 2 + 2, y: canvas.height / 2 + 2 } });
      await called(page, 'attention', [
        [1, classToken, 'raw'],
        [1, patch(8, 8), 'raw'],
      ]);
      await page.keyboard.press('ArrowLeft');
      await called(page, 'attention', [
        [1, classToken, 'raw'],
        [1, patch(8, 8), 'raw'],
        [1, patch(8, 7), 'raw'],
      ]);
      await page.keyboard.press('[');
      await page.locator('.map-figures').getByText('blocks.4').waitFor();
      await page.keyboard.press('h');
      await holds(async () => {
        const label = await image.getAttribute('aria-label');
        assert.match(label ?? '', /patch 8, 7, layer 4 of 0 … 5, max of heads/);
      });
      await page.keyboard.press('Escape');
      await called(page, 'attention', [
        [1, classToken, 'raw'],
        [1, patch(8, 8), 'raw'],
        [1, patch(8, 7), 'raw'],
        [1, classToken, 'raw'],
      ]);
    }));

  it('while a map is computed, the one that is drawn keeps its own name everywhere, and the newest query wins', () =>
    opened({ name: 'image', shownCase: 'slow' }, async (page) => {
      const image = page.locator('.image-stack');
      const label = async (pattern: RegExp): Promise<void> =>
        holds(async () => assert.match((await image.getAttribute('aria-label')) ?? '', pattern));
      const saved = async (at: number, name: string, query: RegExp): Promise<void> => {
        await fromMenu(page, 'Save Picture');
        await fromMenu(page, 'Copy Numbers');
        await holds(async () => {
          assert.equal((await callsOf(page, 'save'))[at]?.[0], name);
          assert.match(String((await callsOf(page, 'copy'))[at]?.[0]), query);
        });
      };
      const patch = (row: number, column: number): object => ({ kind: 'patch', row, column, grid: [16, 16] });
      const letGo = (): Promise<void> => page.evaluate(() => window.demo.held?.shift()?.());
      await label(/attention of class token/);
      await holdAnswers(page);
      await image.focus();
      // Each key waits for the page to take the one before, as a person's fingers do.
      for (const column of [8, 9, 10, 11, 12, 13]) {
        await page.keyboard.press('ArrowRight');
        await page
          .getByRole('combobox', { name: 'Query' })
          .getByText(`patch 8, ${column}`)
          .first()
          .waitFor({ state: 'attached' });
      }
      await page.getByText('running the model again: patch 8, 13. Shown: class token.').waitFor();
      await page.locator('.result.pending').waitFor();
      await label(/attention of class token/);
      await page.screenshot({ path: `${OUTPUT}/image-slow-pending.png` });
      await page.locator('.readout').getByText('class token:', { exact: false }).first().waitFor();
      await page.locator('.multiples[aria-label*="query: class token"]').waitFor();
      await saved(0, 'cat-on-grass-attention.png', /query: class token/);

      // The first was running and is drawn by its own name; what came between is never asked.
      await letGo();
      await label(/attention of patch 8, 8/);
      await saved(1, 'cat-on-grass-attention-patch-8-8.png', /query: patch 8, 8/);
      await letGo();
      await label(/attention of patch 8, 13/);
      await page.locator('.result.pending').waitFor({ state: 'detached' });
      await saved(2, 'cat-on-grass-attention-patch-8-13.png', /query: patch 8, 13/);
      await called(page, 'attention', [
        [1, { kind: 'special', name: 'cls' }, 'raw'],
        [1, patch(8, 8), 'raw'],
        [1, patch(8, 13), 'raw'],
      ]);
    }));

  it('a map that takes long is cancelled on the other side, and the one that is drawn stays', () =>
    opened({ name: 'image', shownCase: 'slow' }, async (page) => {
      const image = page.locator('.image-stack');
      const query = page.getByRole('combobox', { name: 'Query' });
      await query.getByText('class token').first().waitFor({ state: 'attached' });
      await holdAnswers(page);
      await image.focus();
      await page.keyboard.press('ArrowRight');
      await page.locator('.working-over').getByText('Cancel', { exact: true }).click();
      await firstCall(page, 'attention cancelled');
      await page.locator('.result.pending').waitFor({ state: 'detached' });
      await holds(async () =>
        assert.match((await image.getAttribute('aria-label')) ?? '', /attention of class token/),
      );
      await holds(async () => assert.equal(await query.getByText('patch 8, 8').count(), 0));
      await page.keyboard.press('ArrowRight');
      await holds(async () => assert.equal((await callsOf(page, 'attention')).length, 3));
    }));

  it('each layer says what it is, and windows are asked for a patch of the whole map', () =>
    opened({ name: 'image', shownCase: 'staged' }, async (page) => {
      const layer = page.locator('.map-figures');
      await layer.getByText('Window attention, windows of 3 × 5 shifted by 1 × 2, on 6 × 10').waitFor();
      const image = page.locator('.image-stack');
      await image.focus();
      for (let step = 0; step < 3; step++) await page.keyboard.press('[');
      await layer.getByText('on 12 × 20').waitFor();
      await page.keyboard.press('ArrowUp');
      await page.getByText(/outside of the query’s window|Click a patch/).waitFor();
      await holds(async () => assert.match((await image.getAttribute('aria-label')) ?? '', /patch 6, 10/));
    }));

  it('gates are matrices without a query or heads to choose, and activation maps are chosen by class', () =>
    opened({ name: 'image', shownCase: 'gates' }, async (page) => {
      const chosen = (label: string): Locator => page.getByRole('combobox', { name: label, exact: true });
      await page.getByText('Class activation map: no attention').waitFor();
      await chosen('Class').getByText('1. class 5').first().waitFor({ state: 'attached' });
      await page.locator('.image-stack').focus();
      await page.keyboard.press('[');
      await page.getByText('Spatial gate, 2 × 2 positions').waitFor();
      await page.keyboard.press('[');
      await page.getByText('A gate for each of 32 channels, by which its whole map is multiplied').waitFor();
      for (const label of ['Class', 'Query', 'Head']) assert.equal(await chosen(label).count(), 0);
    }));

  it('the picture is saved as PNG and the numbers are copied', () =>
    opened({ name: 'image' }, async (page) => {
      await fromMenu(page, 'Save Picture');
      await fromMenu(page, 'Copy Numbers');
      const [[name, url]] = (await firstCall(page, 'save')) as [[string, string]];
      assert.equal(name, 'cat-on-grass-attention.png');
      assert.match(url, /^data:image\/png;base64,/);
      const [[text]] = (await firstCall(page, 'copy')) as [[string]];
      const grid = text.split('\n').filter((line) => line.split('\t').length === 16);
      assert.equal(grid.length, 16);
    }));

  for (const theme of ['dark', 'light', 'contrast'] as const)
    it(`the cat is seen as attended at first glance (${theme})`, () =>
      opened({ name: 'image', shownCase: 'sample', theme }, async (page) => {
        await page.getByText('of this layer’s mean over heads, to the 99th percentile').waitFor();
        await settled(page);
        // The cat and what it stands on, in shares of the image.
        const { inside, outside } = await colouredShares(page, {
          left: 0.28,
          right: 0.7,
          top: 0.3,
          bottom: 0.92,
        });
        assert.ok(inside > 0.25, `${inside} of the cat’s box is coloured`);
        assert.ok(outside < 0.02, `${outside} of what is around it is coloured`);
      }));

  for (const width of [1280, 560, 380])
    it(`attention comes first where it was asked for, under the title (${width} wide)`, () =>
      opened({ name: 'image', shownCase: 'focused', width }, async (page) => {
        await page.getByLabel('Which attention').waitFor();
        await settled(page);
        assert.equal(await page.evaluate(() => window.scrollY), 0);
        const top = async (selector: string): Promise<number> =>
          (await page.locator(selector).boundingBox())?.y ?? NaN;
        assert.ok((await top('h1')) >= 0);
        assert.ok((await top('.image-stack')) < (await top('#attention')));
        if (width <= 600) assert.ok((await top('#attention')) < (await top('.answer')));
      }));

  it('the image size is chosen, typed, and refused beside the answer that stands', () =>
    opened({ name: 'image', shownCase: 'sample' }, async (page) => {
      const size = (text: string): Locator => page.getByRole('button', { name: `Image size ${text}` });
      await size('128×128 (native)').click();
      await page.getByRole('dialog').getByRole('button', { name: '256×256' }).click();
      await called(page, 'run', [[{}], [{ imageSize: [256, 256] }]]);
      await size('256×256').click();
      const field = page.getByRole('dialog').locator('vscode-text-field input');
      await field.fill('large');
      await field.press('Enter');
      await page.getByRole('alert').getByText('large: one number for a square').waitFor();
      await field.fill('100x120');
      await field.press('Enter');
      await page.getByRole('alert').getByText('multiples of the patch 8×8').waitFor();
      await size('256×256').waitFor();
      await page.getByText('Go Back').click();
      await page.getByRole('alert').waitFor({ state: 'detached' });
      await size('256×256').click();
      await page.getByRole('dialog').getByText('Reset').click();
      await size('128×128 (native)').waitFor();
    }));

  it('says how wide the heads look, of the query that is shown', () =>
    opened({ name: 'image', shownCase: 'sample' }, async (page) => {
      await page.getByText(/^Layer 5, 4 heads: entropy [\d.]+ … [\d.]+ of 8.01 bits, of the query/).waitFor();
      await page.locator('.multiples').hover({ position: { x: 60, y: 60 } });
      await page.locator('.enlarged').getByText('layer 0, head 0').waitFor();
      await page
        .locator('.enlarged')
        .getByText(/^entropy/)
        .waitFor();
    }));

  for (const [width, height] of [
    [1100, 800],
    [1920, 1000],
  ] as const)
    for (const shownCase of ['', 'large'])
      it(`all layers and heads and the controls stand on one screen (${shownCase || 'usual'}, ${width} × ${height})`, () =>
        opened({ name: 'image', shownCase, width, height }, async (page) => {
          await page.locator('.distances circle').first().waitFor();
          await settled(page);
          const below = await page.evaluate(() => document.documentElement.scrollHeight - window.innerHeight);
          assert.ok(below <= 0, `${below} pixels below the view`);
          for (const selector of ['.image-stack', '.answer', '.multiples', '.distances', '.control-row']) {
            const box = (await page.locator(selector).boundingBox()) ?? assert.fail(selector);
            assert.ok(box.y >= 0 && box.y + box.height <= height, selector);
            assert.ok(box.x >= 0 && box.x + box.width <= width, selector);
          }
        }));

  it('the patch under the pointer is lit in every tile, and in none when it leaves', () =>
    opened({ name: 'image', width: 1100, height: 800 }, async (page) => {
      await page.locator('.distances circle').first().waitFor();
      await settled(page);
      assert.equal(await litTiles(page), 0);
      const image = (await page.locator('.image-stack').boundingBox()) ?? assert.fail();
      await page.mouse.move(image.x + image.width / 2 + 3, image.y + image.height / 2 + 3);
      await page.locator('.readout strong').waitFor();
      await holds(async () => assert.equal(await litTiles(page), 6 * 4));
      await page.mouse.move(2, 2);
      await holds(async () => assert.equal(await litTiles(page), 0));
    }));

  it('tiles sort, and a dot of the chart points at its tile and chooses it', () =>
    opened({ name: 'image', width: 1100, height: 800 }, async (page) => {
      const dot = page.locator('.distances circle').nth(4 * 2 + 1);
      await dot.hover();
      await page.locator('.enlarged').getByText('layer 2, head 1').waitFor();
      await dot.click();
      const image = page.locator('.image-stack');
      await holds(async () =>
        assert.match((await image.getAttribute('aria-label')) ?? '', /layer 2 of 0 … 5, head 1/),
      );
      const canvas = page.locator('.multiples canvas').first();
      const before = await canvas.evaluate((drawn) => (drawn as HTMLCanvasElement).toDataURL());
      await page.getByRole('combobox', { name: 'Sort by' }).click();
      await page.getByRole('option', { name: 'largest weight' }).click();
      await holds(async () =>
        assert.notEqual(await canvas.evaluate((drawn) => (drawn as HTMLCanvasElement).toDataURL()), before),
      );
    }));

  it('rollout is asked for when it is chosen, and flows in rows', () =>
    opened({ name: 'image', width: 1100, height: 800 }, async (page) => {
      const cls = { kind: 'special', name: 'cls' };
      await called(page, 'attention', [[1, cls, 'raw']]);
      await page.getByRole('combobox', { name: 'Method' }).click();
      await page.getByRole('option', { name: 'Rollout' }).click();
      await called(page, 'attention', [
        [1, cls, 'raw'],
        [1, cls, 'rollout'],
      ]);
      await page.getByText('of this layer’s rollout').waitFor();
    }));

  it('boxes lie where they are on the image, cut at its edges, and lit from either side', () =>
    opened({ name: 'image', shownCase: 'boxes', width: 1100, height: 800 }, async (page) => {
      await settled(page);
      const image = (await page.locator('.image-stack').boundingBox()) ?? assert.fail();
      const scale = Number(await page.locator('.boxes-drawing').getAttribute('width')) / 640;
      assert.ok(Math.abs(scale - image.width / 640) < 0.005, `${scale} CSS pixels per pixel`);
      const rows = page.getByRole('listbox', { name: 'Objects' }).getByRole('option');
      const texts = async (): Promise<readonly string[]> =>
        (await rows.allInnerTexts()).map((text) => text.replace(/\s+/g, ' ').trim());
      assert.deepEqual(await texts(), ['cat 98.2 %', 'frisbee 74.0 %', 'potted plant 61.0 %']);
      const drawn = (index: number): Locator => page.locator(`.drawn-box[data-index="${index}"]`);
      const placeOf = async (index: number): Promise<readonly number[]> => {
        const box = await drawn(index)
          .locator('.box-line')
          .evaluate((line) => {
            const { x, y, width, height } = (line as SVGRectElement).getBBox();
            return [x, y, x + width, y + height];
          });
        return box.map((side) => Math.round(side / scale));
      };
      assert.deepEqual(await placeOf(0), [214, 132, 420, 436]);
      assert.deepEqual(await placeOf(1), [470, 0, 640, 260]);
      assert.equal(await drawn(0).locator('text').textContent(), 'cat 98 %');
      // No map covers the image before one is asked for.
      assert.ok(saturation(await colourAt(page.locator('.image-stack'), 0.5, 0.5)) > 100);

      await page.mouse.move(image.x + 317 * scale, image.y + 284 * scale);
      await holds(async () => assert.match((await rows.nth(0).getAttribute('class')) ?? '', /pointed/));
      await rows.nth(1).hover();
      await holds(async () => assert.doesNotMatch((await drawn(3).getAttribute('class')) ?? '', /quiet/));
      assert.match((await drawn(0).getAttribute('class')) ?? '', /quiet/);

      const slider = page.getByRole('slider', { name: 'Threshold' });
      await slider.fill('10');
      await holds(async () => assert.equal(await rows.count(), 5));
      assert.deepEqual((await texts()).slice(3), ['cat 31.0 %', 'dog 12.0 %']);
      await slider.fill('5');
      // One lies outside of the image: it is listed, and not drawn.
      await holds(async () => assert.equal(await rows.count(), 6));
      assert.equal(await page.locator('.drawn-box').count(), 5);
      await page.getByRole('button', { name: 'cat 2' }).click();
      await page.getByText('4 of 100 queries above 5 %, 1 of 4 classes left out').waitFor();
      assert.equal(await drawn(0).count(), 0);
      await page.reload();
      await page.getByText('4 of 100 queries above 5 %, 1 of 4 classes left out').waitFor();
    }));

  it('a box is the query of its attention, by a click or Enter; a patch by Shift, and Esc goes back', () =>
    opened({ name: 'image', shownCase: 'boxes', width: 1100, height: 800 }, async (page) => {
      await settled(page);
      const stack = page.locator('.image-stack');
      const image = (await stack.boundingBox()) ?? assert.fail();
      const at = (x: number, y: number) => ({
        position: { x: (x / 640) * image.width, y: (y / 480) * image.height },
      });
      const lastAsked = async (expected: object): Promise<void> =>
        holds(async () => assert.deepEqual((await callsOf(page, 'attention')).at(-1)?.[1], expected));
      const layer = (name: string): Promise<void> =>
        page.locator('.map-figures').getByText(name, { exact: true }).waitFor();
      await lastAsked({ kind: 'mean' });
      await stack.click(at(317, 200));
      await lastAsked({ kind: 'query', index: 3 });
      await layer('decoder.layers.2');
      await holds(async () =>
        assert.match((await stack.getAttribute('aria-label')) ?? '', /of object query 3,/),
      );
      // The map is over the box, and there is none far from it.
      const [inside, outside] = [
        await colourAt(stack, 284 / 480, 317 / 640),
        await colourAt(stack, 0.9, 0.95),
      ];
      assert.ok(saturation(inside) > 100 && saturation(outside) < 60, `${inside.join()}, ${outside.join()}`);
      await page.getByRole('option', { name: /^cat/, selected: true }).waitFor();
      await page.locator('.multiples[aria-label*="query: object query 3"]').waitFor();
      await page.getByRole('option', { name: /^frisbee/ }).focus();
      await page.keyboard.press('ArrowDown');
      await page.keyboard.press('Enter');
      await lastAsked({ kind: 'query', index: 8 });

      // Encoder layers answer patches: outside of all boxes, or anywhere with Shift.
      await stack.click({ ...at(317, 200), modifiers: ['Shift'] });
      await lastAsked({ kind: 'patch', row: 6, column: 9, grid: [15, 20] });
      await layer('encoder.layers.2');
      await stack.click(at(336, 300));
      await lastAsked({ kind: 'patch', row: 9, column: 10, grid: [15, 20] });
      await stack.click(at(214, 300));
      await lastAsked({ kind: 'query', index: 3 });
      await layer('decoder.layers.2');
      await stack.click(at(20, 20));
      await lastAsked({ kind: 'patch', row: 0, column: 0, grid: [15, 20] });
      await stack.click(at(214, 300));
      await lastAsked({ kind: 'query', index: 3 });
      await page.keyboard.press('Escape');
      await lastAsked({ kind: 'mean' });
      await page.getByText('Click a box, or a patch outside of them').waitFor();
    }));

  it('a word is the query of where the model looked when it chose it, by a click or keys', () =>
    opened({ name: 'image', shownCase: 'text', width: 1100, height: 800 }, async (page) => {
      await settled(page);
      const text = page.getByRole('region', { name: 'Text' });
      await text.getByText('a cat sitting on the grass', { exact: true }).waitFor();
      const stack = page.locator('.image-stack');
      const lastAsked = async (expected: object): Promise<void> =>
        holds(async () => assert.deepEqual((await callsOf(page, 'attention')).at(-1)?.[1], expected));
      await page.getByRole('option', { name: 'cat, 87.0 %' }).click();
      await lastAsked({ kind: 'token', index: 1 });
      await page
        .locator('.map-figures')
        .getByText('text_decoder.bert.encoder.layer.2.crossattention', { exact: true })
        .waitFor();
      await holds(async () =>
        assert.match((await stack.getAttribute('aria-label')) ?? '', /of token 2 of the text,/),
      );
      // The map lies on the cat, whose row is 14 and column 12 of 24, and not in the upper corner.
      const [inside, outside] = [await colourAt(stack, 14 / 24, 12 / 24), await colourAt(stack, 0.08, 0.95)];
      assert.ok(saturation(inside) > 100 && saturation(outside) < 60, `${inside.join()}, ${outside.join()}`);
      await page.getByRole('option', { name: 'the, 33.0 %' }).focus();
      await page.keyboard.press('ArrowRight');
      await page.keyboard.press('Enter');
      await lastAsked({ kind: 'token', index: 5 });
      await page.getByRole('option', { name: 'grass, 76.0 %', selected: true }).waitFor();
      const field = page.getByRole('textbox', { name: 'The text begins with' });
      await field.fill('a photo of');
      await field.press('Enter');
      await holds(async () =>
        assert.deepEqual(((await callsOf(page, 'run')).at(-1)?.[0] as RunOptions).given, {
          prompt: 'a photo of',
        }),
      );
    }));

  it('a text is read while it is written, and can be stopped', () =>
    opened({ name: 'image', shownCase: 'writing', width: 1100, height: 800 }, async (page) => {
      const image = page.getByRole('img').first();
      const place = await image.boundingBox();
      await page.getByRole('status').getByText('a cat sitting', { exact: true }).waitFor();
      // Nothing moves for it: the image may be about to be clicked.
      assert.deepEqual(await image.boundingBox(), place);
      await page.locator('vscode-button', { hasText: /^\s*Stop/ }).click();
      await holds(async () => assert.equal((await callsOf(page, 'stopText')).length, 1));
    }));

  it('boxes that are listed are saved as COCO, CSV and YOLO, and copied', () =>
    opened({ name: 'image', shownCase: 'boxes', width: 1100, height: 800 }, async (page) => {
      const choose = async (entry: string): Promise<void> => {
        await page.locator('vscode-button', { hasText: /^\s*Export/ }).click();
        await page.getByText(entry).click();
      };
      await choose('Save as COCO JSON');
      await choose('Save as CSV');
      await choose('Save as YOLO Text');
      await choose('Copy as CSV');
      await holds(async () => assert.equal((await callsOf(page, 'save')).length, 3));
      const saved = await callsOf(page, 'save');
      assert.deepEqual(
        saved.map(([name]) => name),
        ['cat-on-grass-coco.json', 'cat-on-grass-boxes.csv', 'cat-on-grass.txt'],
      );
      const [coco, csv, yolo] = saved.map(([, text]) => String(text)) as [string, string, string];
      const set = JSON.parse(coco) as { images: readonly object[]; annotations: readonly object[] };
      assert.deepEqual(set.images, [{ id: 1, file_name: 'cat-on-grass.jpg', width: 640, height: 480 }]);
      assert.equal(set.annotations.length, 3);
      assert.equal(csv.split('\n')[1], 'cat-on-grass.jpg,17,cat,0.982,214,132,420,436,3');
      assert.match(yolo, /^17 0\.49531[23] 0\.591667 0\.321875 0\.633333 0\.982000$/m);
      assert.equal((await callsOf(page, 'copy'))[0]?.[0], csv);
    }));

  it('texts are scored on Ctrl+Enter, put into a template, and kept over a reload', () =>
    opened({ name: 'image', shownCase: 'scores', width: 1100, height: 800 }, async (page) => {
      const texts = page.getByRole('textbox', { name: 'What the image may show' });
      const template = page.getByRole('textbox', { name: 'Template' });
      const button = page.locator('vscode-button', { hasText: /Score/ });
      assert.equal(await template.inputValue(), 'a photo of a {}');
      assert.equal(await page.locator('.score-list').count(), 0);
      await texts.fill('dog\ncat\n\n cat \nhorse');
      await button.getByText('Score 3 Texts').waitFor();
      await texts.press('Control+Enter');
      const given = { labels: ['dog', 'cat', 'horse'], template: 'a photo of a {}' };
      await called(page, 'run', [[{}], [{ given }]]);
      await holds(async () =>
        assert.match((await page.locator('.score-list li').allInnerTexts())[0] ?? '', /^cat\s+98\.\d %/),
      );
      await template.fill('a drawing');
      await page.getByRole('alert').getByText('The template needs {}').waitFor();
      await template.press('Control+Enter');
      assert.equal((await callsOf(page, 'run')).length, 2);
      await template.fill('');
      await button.click();
      await called(page, 'run', [[{}], [{ given }], [{ given: { labels: given.labels } }]]);
      await page.reload();
      await page.locator('.score-list li').first().waitFor();
      assert.equal(await texts.inputValue(), 'dog\ncat\nhorse');
      assert.equal(await template.inputValue(), '');
    }));

  it('other images are compared by their vectors, the nearest first', () =>
    opened({ name: 'image', shownCase: 'scores', width: 1100, height: 800 }, async (page) => {
      await page.getByText('Compare With Images…').click();
      const list = page.getByRole('list', { name: 'Similar images' }).getByRole('listitem');
      await holds(async () =>
        assert.deepEqual(
          (await list.allInnerTexts()).map((text) => text.replace(/\s+/g, ' ').trim()),
          ['cat-on-sofa.jpg 0.912', 'dog.jpg 0.604', 'receipt.png -0.031'],
        ),
      );
    }));

  it('a table of segments tells areas, and offers their files', () =>
    opened({ name: 'batch', shownCase: 'segments', width: 1100 }, async (page) => {
      await page.getByRole('columnheader', { name: 'Area' }).waitFor();
      await page.getByRole('columnheader', { name: 'Largest' }).waitFor();
      await page.getByRole('button', { name: 'Export COCO JSON, .coco.json' }).click();
      await called(page, 'exportFiles', [['coco.json']]);
    }));

  it('a question is asked on Enter, replied to and kept; nothing is said before', () =>
    opened({ name: 'image', shownCase: 'asked', width: 1100, height: 800 }, async (page) => {
      const field = page.getByRole('textbox', { name: 'Question about the image' });
      assert.equal(await field.inputValue(), '');
      assert.equal(await page.locator('.guesses li').count(), 0);
      await field.press('Enter');
      await field.fill('  What does it do? ');
      await field.press('Enter');
      const given = { question: 'What does it do?' };
      await called(page, 'run', [[{}], [{ given }]]);
      await holds(async () =>
        assert.match((await page.locator('.guesses li').allInnerTexts())[0] ?? '', /^sitting\s+81\.0 %/),
      );
      await page.reload();
      await page.locator('.guesses li').first().waitFor();
      assert.equal(await field.inputValue(), given.question);
    }));

  it('frames of a clip are shown one at a time, each with what is attended to on it', () =>
    opened({ name: 'image', shownCase: 'clip', width: 1100, height: 800 }, async (page) => {
      await settled(page);
      const slider = page.getByRole('slider', { name: 'Frame' });
      const text = page.locator('.frame-slider .quiet');
      const stack = page.locator('.image-stack canvas').first();
      // The hill stands in the column of the frame's number, of eight, in the fifth row.
      const warmth = async (column: number): Promise<number> => {
        const [red = 0, green = 0, blue = 0] = await pixelOf(stack, 4.5 / 8, (column + 0.5) / 8);
        return red + green - blue;
      };
      for (const layer of ['attn', 'temporal_attn']) {
        if (layer === 'temporal_attn') await page.locator('.image-stack').press('[');
        for (const frame of [0, 7]) {
          await slider.fill(String(frame));
          await holds(async () => {
            const [near, far] = [await warmth(frame), await warmth(7 - frame)];
            assert.ok(near > far + 40, `${layer}, frame ${frame}: ${near} on the hill, ${far} beside it`);
          });
        }
        assert.equal(await text.innerText(), '7 of 0 … 7, frame 32 of the clip');
      }
    }));

  it('parts of a model are lanes that meet, and rows of the tree around their modules', () =>
    opened({ name: 'inspector', shownCase: 'towers', width: 1100 }, async (page) => {
      const lane = (name: string): Locator => page.getByRole('group', { name, exact: true });
      const boxOf = async (name: string) => (await lane(name).boundingBox()) ?? assert.fail(name);
      const [image, text, score] = [await boxOf('image'), await boxOf('text'), await boxOf('score')];
      assert.ok(image.y + image.height <= text.y && score.x >= image.x + image.width);
      assert.equal(await page.locator('path.join').count(), 2);
      await lane('text')
        .getByRole('button', { name: /^Blocks ×12/ })
        .click();
      const detail = page.locator('.detail');
      await detail.getByText('text_model.encoder.layers').first().waitFor();
      await page
        .getByRole('row', { name: /^\s*text\b/ })
        .first()
        .click();
      await detail.getByRole('heading', { name: '(text)' }).waitFor();
      await called(page, 'operatorsIn', [
        ['text_model.encoder.layers', 'text'],
        ['', 'text'],
      ]);
      await page.setViewportSize({ width: 600, height: 900 });
      await holds(async () => {
        const [above, below] = [await boxOf('text'), await boxOf('score')];
        assert.ok(above.y + above.height <= below.y, 'one below the other where it is narrow');
      });
    }));

  it('lengths of texts are sliders whose report is asked for, part by part', () =>
    opened({ name: 'complexity', shownCase: 'towers', width: 1100 }, async (page) => {
      const table = page.locator('.part-table');
      const parts = await table.locator('tbody th, tbody td:first-child').allInnerTexts();
      assert.deepEqual(parts, ['image', 'text', 'score']);
      const shares = await table.locator('tbody tr td:nth-child(4)').allInnerTexts();
      assert.deepEqual(shares.slice(0, 2), ['59.7 %', '40.3 %']);
      const slider = page.getByRole('slider', { name: 'Tokens of a text' });
      assert.deepEqual(await Promise.all(['min', 'max'].map((key) => slider.getAttribute(key))), ['1', '77']);
      await slider.fill('11');
      const own = { imageSize: null, batch: 1, lengths: {} };
      await called(page, 'complexity', [[own], [{ ...own, lengths: { text: 11 } }]]);
      await page.getByRole('button', { name: 'Back to the model’s own' }).click();
      await holds(async () => assert.equal(await slider.inputValue(), '77'));
    }));

  it('what texts say is found, and a box shows the places that its query looked at', () =>
    opened({ name: 'image', shownCase: 'found', width: 1100, height: 800 }, async (page) => {
      const texts = page.getByRole('textbox', { name: 'What to find' });
      assert.equal(await page.getByRole('textbox', { name: 'Template' }).count(), 0);
      assert.equal(await page.getByRole('listbox', { name: 'Objects' }).count(), 0);
      await texts.fill('cat\nfrisbee');
      await page.locator('vscode-button', { hasText: 'Find 2 Things' }).waitFor();
      await texts.press('Control+Enter');
      await called(page, 'run', [[{}], [{ given: { labels: ['cat', 'frisbee'] } }]]);
      const rows = page.getByRole('listbox', { name: 'Objects' }).getByRole('option');
      await rows.first().waitFor();
      assert.deepEqual(
        (await rows.allInnerTexts()).map((text) => text.replace(/\s+/g, ' ').trim()),
        ['cat 98.2 %', 'frisbee 74.0 %', 'cat 31.0 %'],
      );
      assert.equal(await page.locator('.sampling-points').count(), 0);
      await rows.nth(1).click();
      // 8 heads at 4 places of each of 3 maps, all of them inside of the frisbee's box.
      const points = page.locator('.sampling-point');
      await holds(async () => assert.equal(await points.count(), 8 * 3 * 4));
      const scale = Number(await page.locator('.sampling-points').getAttribute('width')) / 640;
      const places = await points.evaluateAll((all) =>
        all.map((each) => [Number(each.getAttribute('cx')), Number(each.getAttribute('cy'))] as const),
      );
      for (const [x, y] of places)
        assert.ok(
          x >= 60 * scale && x <= 130 * scale && y >= 360 * scale && y <= 410 * scale,
          `${x}, ${y} of a drawing ${scale} times the image`,
        );
      await page
        .locator('.sampling-legend')
        .getByText(/map 3: \d+ %/)
        .waitFor();
      // Of all heads, of the heaviest of all, then of the first alone.
      await page.locator('.image-stack').press('h');
      await page.locator('.image-stack').press('h');
      await holds(async () => assert.equal(await points.count(), 3 * 4));
    }));

  it('a tokenizer that is missing is said above what stands', () =>
    opened({ name: 'image', shownCase: 'scores', width: 1100, height: 800 }, async (page) => {
      const texts = page.getByRole('textbox', { name: 'What the image may show' });
      await texts.fill('no tokenizer');
      await texts.press('Control+Enter');
      await page.getByRole('alert').getByText('has no tokenizer.json').waitFor();
      assert.equal(await texts.inputValue(), 'no tokenizer');
      await texts.fill('cat');
      await texts.press('Control+Enter');
      await page.locator('.score-list li').first().waitFor();
      assert.equal(await page.getByRole('alert').count(), 0);
    }));

  it('segments cover the image in their colours, and one alone that is pointed at', () =>
    opened({ name: 'image', shownCase: 'masks', width: 1100, height: 800 }, async (page) => {
      await settled(page);
      const over = page.locator('.pixels-drawing');
      const pixel = (row: number, column: number): Promise<readonly number[]> => pixelOf(over, row, column);
      const rows = page.locator('.segment-list li');
      const shown = await Promise.all([0.16, 0.5, 0.83].map((row) => pixel(row, 0.5)));
      assert.equal(new Set(shown.map((colour) => colour.join())).size, 3);
      assert.ok(shown.every(([, , , alpha]) => alpha === 255));
      // The image lies under them, whatever was cut off for the model.
      assert.equal((await pixel(0.5, 0.02))[3], 255);
      await rows.nth(1).hover();
      await holds(async () =>
        assert.deepEqual([(await pixel(0.16, 0.5))[3], (await pixel(0.5, 0.5))[3]], [0, 255]),
      );
      const image = (await page.locator('.image-stack').boundingBox()) ?? assert.fail();
      await page.mouse.move(image.x + image.width / 2, image.y + image.height * 0.83);
      await holds(async () => assert.match((await rows.nth(2).getAttribute('class')) ?? '', /pointed/));
      await page.getByText('3 classes on 100 % of the image').waitFor();
      await page.getByRole('slider', { name: 'Opacity over the image' }).fill('30');
      await holds(async () =>
        assert.equal(await over.evaluate((drawn) => getComputedStyle(drawn).opacity), '0.3'),
      );
      // A map takes its place until Esc.
      await page.locator('.image-stack').click();
      await holds(async () =>
        assert.equal(await over.evaluate((drawn) => getComputedStyle(drawn).opacity), '0'),
      );
      await page.keyboard.press('Escape');
      await holds(async () =>
        assert.equal(await over.evaluate((drawn) => getComputedStyle(drawn).opacity), '0.3'),
      );
    }));

  it('a click on the image is a point and its mask is there; Shift takes away, a drag is a box', () =>
    opened({ name: 'image', shownCase: 'prompts', width: 1100, height: 800 }, async (page) => {
      await settled(page);
      await page.getByText('Click what is meant, Shift-click what is not').waitFor();
      const mask = page.locator('.pixels-drawing');
      const stack = (await page.locator('.image-stack').boundingBox()) ?? assert.fail();
      // The square of the model reaches below the image of 640 × 480.
      const scale = stack.width / 640;
      const at = (x: number, y: number) => [stack.x + x * scale, stack.y + y * scale] as const;
      const alphaAt = async (x: number, y: number): Promise<number> =>
        (await pixelOf(mask, y / 640, x / 640))[3] ?? -1;
      const last = async (): Promise<unknown> => (await callsOf(page, 'run')).at(-1)?.[0];
      assert.equal(await alphaAt(320, 240), 0);

      await page.mouse.click(...at(320, 240));
      const rows = page.getByRole('radiogroup', { name: 'Masks' }).getByRole('radio');
      await holds(async () => assert.equal(await rows.count(), 3));
      await holds(async () => assert.equal(await alphaAt(320, 240), 255));
      // The likeliest of the three is a disc of 60 pixels.
      assert.deepEqual([await alphaAt(370, 240), await alphaAt(390, 240)], [255, 0]);
      assert.equal(await rows.nth(1).getAttribute('aria-checked'), 'true');
      assert.match((await rows.nth(1).innerText()).replace(/\s+/g, ' '), /mask 2 93\.0 %/);
      await rows.nth(2).click();
      await holds(async () => assert.equal(await alphaAt(390, 240), 255));

      // Shift-click says what is not meant; the choice of masks begins anew.
      await page.keyboard.down('Shift');
      await page.mouse.click(...at(370, 240));
      await page.keyboard.up('Shift');
      await holds(async () => assert.equal(await page.locator('.prompt-point.outside').count(), 1));
      await holds(async () => assert.equal(await alphaAt(360, 240), 0));
      assert.equal(await alphaAt(290, 240), 255);
      const { given } = (await last()) as { given: { points: number[][]; labels: number[] } };
      assert.deepEqual(given.labels, [1, 0]);
      for (const [index, [x, y]] of [[320, 240] as const, [370, 240] as const].entries()) {
        const [px = 0, py = 0] = given.points[index] ?? [];
        assert.ok(Math.hypot(px - x, py - y) < 2, `${px}, ${py}`);
      }

      // A click on a point takes it away, and Undo brings it back.
      await page.mouse.click(...at(370, 240));
      await holds(async () => assert.equal(await page.locator('.prompt-point').count(), 1));
      await page.keyboard.press('Backspace');
      await holds(async () => assert.equal(await page.locator('.prompt-point.outside').count(), 1));

      await page.mouse.move(...at(260, 180));
      await page.mouse.down();
      await page.mouse.move(...at(300, 200));
      await page.mouse.move(...at(310, 300));
      await page.locator('.dragged').waitFor();
      await page.mouse.up();
      await page.locator('.prompt-box').waitFor();
      await holds(async () => {
        const { given: dragged } = (await last()) as { given: { box?: number[]; points: unknown[] } };
        const box = dragged.box ?? [];
        assert.equal(dragged.points.length, 2);
        const isThere = [260, 180, 310, 300].every((side, index) => Math.abs((box[index] ?? 0) - side) < 2);
        assert.ok(isThere, box.join());
      });
      await holds(async () => assert.deepEqual([await alphaAt(300, 240), await alphaAt(330, 240)], [255, 0]));

      await page.getByRole('button', { name: 'Clear' }).click();
      await holds(async () => assert.equal(await page.locator('.prompt-point').count(), 0));
      await holds(async () => assert.equal(await alphaAt(300, 240), 0));
      await page.getByRole('button', { name: 'Undo' }).click();
      await holds(async () => assert.equal(await page.locator('.prompt-point').count(), 2));
    }));

  it('a prompt that was superseded while it ran is never drawn', () =>
    opened({ name: 'image', shownCase: 'prompts', width: 1100, height: 800 }, async (page) => {
      await settled(page);
      const stack = (await page.locator('.image-stack').boundingBox()) ?? assert.fail();
      const scale = stack.width / 640;
      await page.evaluate(() => {
        const drawn: number[] = [];
        Object.assign(window, { drawn });
        new MutationObserver(() => drawn.push(document.querySelectorAll('.mask-list li').length)).observe(
          document.body,
          { subtree: true, childList: true, characterData: true },
        );
      });
      for (const x of [100, 200, 300, 400])
        await page.mouse.click(stack.x + x * scale, stack.y + 100 * scale);
      await holds(async () => assert.equal(await page.locator('.prompt-point').count(), 4));
      await page.locator('.mask-list').waitFor();
      await settled(page);
      // The first ran at once, the last when it had ended; those between were never asked.
      const counts = (await callsOf(page, 'run'))
        .slice(1)
        .map(([options]) => (options as { given: { points: unknown[] } }).given.points.length);
      assert.equal(counts[0], 1);
      assert.equal(counts.at(-1), 4);
      assert.ok(counts.length < 4, counts.join());
      const pixel = (x: number) => pixelOf(page.locator('.pixels-drawing'), 100 / 640, x / 640);
      for (const x of [100, 200, 300, 400]) assert.equal((await pixel(x))[3], 255, `${x}`);
    }));

  it('the token of a mask is a query, and masks are saved as PNG, runs and COCO', () =>
    opened({ name: 'image', shownCase: 'prompts-given', width: 1100, height: 800 }, async (page) => {
      await settled(page);
      await page.getByRole('button', { name: 'Where the token of mask 2 looked' }).click();
      await holds(async () =>
        assert.equal(((await callsOf(page, 'attention')).at(-1)?.[1] as { name?: string }).name, 'mask2'),
      );
      await page.locator('.image-stack').press('Escape');
      for (const entry of ['Save as PNG', 'Save as COCO JSON', 'Save as Run Lengths']) {
        await page.getByRole('button', { name: 'Export' }).click();
        await page.getByText(entry).click();
      }
      await holds(async () => assert.equal((await callsOf(page, 'save')).length, 3));
      const saved = await callsOf(page, 'save');
      assert.deepEqual(
        saved.map(([name]) => name),
        ['cat-on-grass-mask.png', 'cat-on-grass-coco.json', 'cat-on-grass-rle.json'],
      );
      assert.match(String(saved[0]?.[1]), /^data:application\/octet-stream;base64,iVBORw0KGgo/);
      const set = JSON.parse(String(saved[1]?.[1])) as {
        annotations: { score: number; category_id: number }[];
      };
      assert.deepEqual(
        set.annotations.map(({ score, category_id: id }) => [score, id]),
        [[0.93, 0]],
      );
    }));

  it('depth is told under the pointer in its unit', () =>
    opened({ name: 'image', shownCase: 'depth', width: 1100, height: 800 }, async (page) => {
      await settled(page);
      const image = (await page.locator('.image-stack').boundingBox()) ?? assert.fail();
      await page.mouse.move(image.x + image.width / 2, image.y + image.height / 2);
      // 1.2 m at the bottom, 7 m more at the top.
      await page.getByText(/^row 2(39|40|41), column 3(19|20|21): 4\.[67]\d* m$/).waitFor();
      await page.mouse.move(2, 2);
      await page.getByText('Point at the image to read values.').first().waitFor();
      for (const entry of ['Save as 16-bit PNG', 'Save as NumPy Array']) {
        await page.getByRole('button', { name: 'Export' }).click();
        await page.getByText(entry).click();
      }
      await holds(async () => assert.equal((await callsOf(page, 'save')).length, 2));
      const saved = await callsOf(page, 'save');
      assert.deepEqual(
        saved.map(([name]) => name),
        ['cat-on-grass-depth.png', 'cat-on-grass-depth.npy'],
      );
      const array = Buffer.from(String(saved[1]?.[1]).split(',')[1] ?? '', 'base64');
      assert.match(array.toString('latin1'), /'descr': '<f4', 'fortran_order': False, 'shape': \(480, 640\)/);
      assert.equal(array.readFloatLE(array.length - 4), Math.fround(1.2 + 7 * (1 - 479 / 480)));
    }));

  it('the image is there before the model is, in the frame that it keeps', () =>
    opened({ name: 'image', shownCase: 'loading', width: 1100, height: 800 }, async (page) => {
      const first = page.locator('.first-paint canvas');
      await holds(async () => {
        const box = await first.boundingBox();
        assert.ok(box && box.width > 300 && Math.abs(box.width / box.height - 640 / 480) < 0.02);
      });
      const red = await first.evaluate((drawn) => {
        const canvas = drawn as HTMLCanvasElement;
        const context = canvas.getContext('2d') as CanvasRenderingContext2D;
        return context
          .getImageData(0, 0, canvas.width, canvas.height)
          .data.some((value, at) => at % 4 !== 3 && value > 0);
      });
      assert.ok(red);
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
      await page.getByRole('alert').waitFor({ state: 'detached' });
    }));

  it('a turned image is shown as stored by one click', () =>
    opened({ name: 'image', shownCase: 'turned' }, async (page) => {
      await page.getByText('Show as Stored').click();
      await page.getByText('Apply Orientation').waitFor();
      await called(page, 'run', [[{}], [{ asStored: true }]]);
    }));

  it('the table sorts, filters by label and opens a row', () =>
    opened({ name: 'batch' }, async (page) => {
      await page.getByRole('button', { name: /^sailboat/ }).click();
      const rows = page.locator('[role=grid] [role=rowgroup] [role=row]');
      await holds(async () => assert.equal(await rows.count(), 2));
      await page.getByRole('columnheader', { name: 'Margin' }).getByRole('button').click();
      await page.locator('[role=columnheader][aria-sort=descending]', { hasText: 'Margin' }).waitFor();
      await rows.first().click();
      await firstCall(page, 'openRow');
    }));

  it('text: a text is asked for, a word lights its row and column, arrow keys go from weight to weight', () =>
    opened({ name: 'text', shownCase: 'ways' }, async (page) => {
      await page.getByRole('textbox', { name: 'Text' }).fill('the small dog sleeps under the table');
      await page.getByRole('textbox', { name: 'Text' }).press('Control+Enter');
      await page.locator('.answer-text').waitFor();
      const { calls } = await page.evaluate(() => window.demo);
      const asked = calls.find(({ method }) => method === 'run');
      assert.deepEqual(asked?.values, [
        { text: 'the small dog sleeps under the table', as: 'translation_en_to_de' },
      ]);
      const cells = page.getByRole('application');
      await cells.nth(2).waitFor();
      // The third word that was read: a row and a column of the encoder, a column of the cross map.
      await page.locator('.token').nth(2).hover();
      const lit = async (map: number): Promise<readonly number[]> => {
        const boxes = await cells.nth(map).locator('.token-lit').all();
        const own = await cells.nth(map).boundingBox();
        const found = await Promise.all(boxes.map((box) => box.boundingBox()));
        const side = ((own?.width ?? 2) - 2) / 8;
        return found.map((box) =>
          Math.round(Math.max((box?.x ?? 0) - (own?.x ?? 0), (box?.y ?? 0) - (own?.y ?? 0)) / side),
        );
      };
      assert.deepEqual([await lit(0), await lit(1), await lit(2)], [[2, 2], [], [2]]);
      await cells.nth(2).focus();
      for (const key of ['ArrowDown', 'ArrowDown', 'ArrowRight']) await page.keyboard.press(key);
      assert.match(await page.locator('.said').nth(2).innerText(), /“kleine” looks at “sleeps”: 0\.\d+/);
      await page.keyboard.press('Escape');
      assert.match(await page.locator('.said').nth(2).innerText(), /A row is a token/);
    }));

  it('text: what is written can be stopped where it is', () =>
    opened({ name: 'text', shownCase: 'writing' }, async (page) => {
      await page.getByRole('button', { name: 'Translate' }).click();
      await page.getByText('der kleine Hund').waitFor();
      await page.getByRole('button', { name: 'Stop' }).click();
      const { calls } = await page.evaluate(() => window.demo);
      assert.ok(calls.some(({ method }) => method === 'stop'));
    }));

  it('a cancelled batch goes on', () =>
    opened({ name: 'batch', shownCase: 'cancelled' }, async (page) => {
      await page.getByText('8 were left out').waitFor();
      await page.getByText('Continue', { exact: true }).click();
      await page.getByText(/^15 done, 1 failed(?!, of)/).waitFor();
      await page.getByText('Continue', { exact: true }).waitFor({ state: 'detached' });
    }));
});

/** Chooses an entry of the menu of what a map is saved as. */
async function fromMenu(page: Page, entry: string): Promise<void> {
  await page.locator('vscode-button', { hasText: /^\s*Save/ }).click();
  await page.getByText(entry).click();
}

/** Tiles in which a patch is marked: white squares of the marks over the small maps. */
const litTiles = (page: Page): Promise<number> =>
  page.evaluate(() => {
    const canvas = document.querySelector('.multiples canvas.marks') as HTMLCanvasElement;
    const { width, height } = canvas;
    const copy = document.createElement('canvas');
    Object.assign(copy, { width, height });
    const context = copy.getContext('2d', { willReadFrequently: true }) as CanvasRenderingContext2D;
    context.drawImage(canvas, 0, 0);
    const { data } = context.getImageData(0, 0, width, height);
    const isLit = (x: number, y: number): boolean => {
      const at = 4 * (y * width + x);
      return data[at] === 255 && data[at + 1] === 255 && data[at + 2] === 255 && data[at + 3] === 255;
    };
    // The first white pixel of a square: none above it, none left of it.
    let found = 0;
    for (let y = 1; y < height; y++)
      for (let x = 1; x < width; x++)
        if (isLit(x, y) && !isLit(x - 1, y) && !isLit(x, y - 1) && isLit(x + 1, y) && isLit(x, y + 1))
          found++;
    return found;
  });

interface Box {
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
}

/**
 * Shares of the pixels in and around a box of the crop that have a strong colour: the image under
 * a map has little.
 */
const colouredShares = (page: Page, box: Box): Promise<{ inside: number; outside: number }> =>
  page.evaluate(({ left, right, top, bottom }) => {
    const canvas = document.querySelector('.image-stack canvas') as HTMLCanvasElement;
    // The crop is the image's middle square.
    const side = canvas.height;
    const first = Math.round((canvas.width - side) / 2);
    const { data } = (canvas.getContext('2d') as CanvasRenderingContext2D).getImageData(first, 0, side, side);
    const counts = { inside: [0, 0], outside: [0, 0] } as { [part: string]: [number, number] };
    for (let y = 2; y < side - 2; y++)
      for (let x = 2; x < side - 2; x++) {
        const at = 4 * (y * side + x);
        const channels = [data[at] ?? 0, data[at + 1] ?? 0, data[at + 2] ?? 0];
        const strong = Math.max(...channels) - Math.min(...channels) > 40;
        const [u, v] = [x / side, y / side];
        const part = u > left && u < right && v > top && v < bottom ? 'inside' : 'outside';
        const count = counts[part] as [number, number];
        count[0] += strong ? 1 : 0;
        count[1]++;
      }
    const share = (part: string): number => {
      const [strong, all] = counts[part] as [number, number];
      return strong / all;
    };
    return { inside: share('inside'), outside: share('outside') };
  }, box);
