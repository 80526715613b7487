// The page of explanations by itself: maps where they were computed to be, two classes, one cursor,
// what was superseded or cancelled, the keyboard, files.
import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import type { Locator, Page } from 'playwright-core';
import { comparisons } from '../../src/explain/checked';
import { formatNumber } from '../../src/domain/units';
import places from '../fixtures/pages/why-places.json';
import walked from '../fixtures/pages/why-walk.json';
import { Demo, type PageOptions } from '../pages/browse';
import type { ThemeName } from '../pages/themes';
import { callsOf, firstCall, holds, namelessControls, pixelOf, saturation, settled } from './pageTools';

const output = 'test/output/pages';

/** Place of each class of the model of known places, of 8 × 8 (fixtures/onnx/make/places.py). */
const placeOf = { corner: [2, 5], floor: [6, 1] } as const;
/** What the model saw of the image of 640 × 480, in shares of it. */
const seen = { left: (320 - (32 * 480) / 71) / 640, top: (240 - (32 * 480) / 71) / 480 };
const side = { width: (64 * 480) / 71 / 640, height: (64 * 480) / 71 / 480 };

const views: readonly (readonly [theme: ThemeName, width: number])[] = [
  ['dark', 1920],
  ['light', 1100],
  ['contrast', 450],
];

describe('pages of explanations', function () {
  this.timeout(240_000);
  let demo: Demo;
  before(async () => {
    demo = await Demo.start();
    await mkdir(output, { recursive: true });
  });
  after(() => demo?.close());

  const opened = async (
    options: Omit<PageOptions, 'name'>,
    use: (page: Page) => Promise<void>,
  ): Promise<void> => {
    const { page, complaints } = await demo.open({ name: 'image', ...options });
    try {
      await page.getByRole('tab', { name: 'Why' }).click();
      await use(page);
      assert.deepEqual(complaints, []);
    } finally {
      await page.close();
    }
  };

  const column = (page: Page, name: RegExp): Locator =>
    page.getByRole('region', { name: new RegExp(`^(Explanation|Difference): ${name.source}`) });

  for (const [shownCase, compare] of [
    ['why', 'Compare Class'],
    ['why-sample', 'Compare Method'],
    ['why-none', undefined],
  ] as const)
    it(`${shownCase}: three themes and widths, one column and two, nothing sideways, no complaint`, async () => {
      for (const [theme, width] of views)
        await opened({ shownCase, theme, width }, async (page) => {
          for (const step of compare ? [undefined, compare] : [undefined]) {
            if (step) await page.getByRole('button', { name: step }).click();
            await settled(page);
            const name = `${shownCase}${step ? '-two' : ''}-${theme}`;
            await page.screenshot({ path: `${output}/image-${name}.png`, fullPage: true });
            const over = await page.evaluate(
              () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
            );
            assert.ok(over <= 0, `${over} pixels too wide at ${width}`);
            assert.deepEqual(await namelessControls(page), []);
          }
        });
    });

  it('what has nothing to be explained says so', () =>
    opened({ shownCase: 'why-none' }, async (page) => {
      await page.getByText('it has no scores of classes and no vector').waitFor();
    }));

  /** Saturation of the colours drawn at the cells of a map of 8 × 8, a cell's highest. */
  async function drawnCells(map: Locator): Promise<ReadonlyMap<string, number>> {
    const canvas = map.locator('canvas').first();
    const found = new Map<string, number>();
    for (let row = 0; row < 8; row++)
      for (let cell = 0; cell < 8; cell++) {
        const strengths: number[] = [];
        for (const [down, across] of [
          [0.5, 0.5],
          [0.3, 0.6],
          [0.7, 0.35],
        ] as const)
          strengths.push(
            saturation(
              (
                await pixelOf(
                  canvas,
                  seen.top + (side.height * (row + down)) / 8,
                  seen.left + (side.width * (cell + across)) / 8,
                )
              ).slice(0, 3),
            ),
          );
        found.set(`${row},${cell}`, Math.max(...strengths));
      }
    return found;
  }

  /** The cells that are drawn in a strong colour, but for those that touch the wanted one. */
  async function litCells(map: Locator, [row, cell]: readonly [number, number]): Promise<readonly string[]> {
    const touches = (key: string): boolean => {
      const [down = 0, across = 0] = key.split(',').map(Number);
      const far = Math.max(Math.abs(down - row), Math.abs(across - cell));
      return far === 1;
    };
    return [...(await drawnCells(map))].flatMap(([key, strength]) =>
      strength > 70 && !touches(key) ? [key] : [],
    );
  }

  // Eigen-CAM knows of no class, Score-CAM weighs channels by scores that others raise, too; the
  // rest draws no map of the image.
  const notLocal = /eigen|score|^cam$|deletion|insertion|road|randomisation|filter/;
  const local = places.explainable.methods.filter(
    ({ name, whyNot }) => whyNot === undefined && !notLocal.test(name),
  );

  it('a model whose answer depends on one known place lights up there and not elsewhere, by every method', () =>
    opened({ shownCase: 'why', width: 1100 }, async (page) => {
      assert.ok(local.length >= 9);
      for (const { title } of local) {
        await page.getByRole('button', { name: /^Method .* Change$/ }).click();
        await page.getByRole('dialog', { name: 'Methods' }).getByText(title, { exact: true }).click();
        const map = column(page, new RegExp(`${title.replace(/[+]/g, '\\+')} of corner$`));
        await map.waitFor();
        await settled(page);
        await holds(async () => assert.deepEqual(await litCells(map, placeOf.corner), ['2,5'], title));
      }
    }));

  it('two classes light up at their own places, and their difference has both signs', () =>
    opened({ shownCase: 'why', width: 1100 }, async (page) => {
      await page.getByRole('button', { name: 'Compare Class' }).click();
      const [one, other] = [column(page, /Gradient of corner/), column(page, /Gradient of floor/)];
      const between = column(page, /corner − floor/);
      await between.waitFor();
      await settled(page);
      assert.deepEqual(await litCells(one, placeOf.corner), ['2,5']);
      assert.deepEqual(await litCells(other, placeOf.floor), ['6,1']);
      const at = ([row, cell]: readonly [number, number]): Promise<readonly number[]> =>
        pixelOf(
          between.locator('canvas').first(),
          seen.top + (side.height * (row + 0.5)) / 8,
          seen.left + (side.width * (cell + 0.5)) / 8,
        );
      const [plus, minus] = [await at(placeOf.corner), await at(placeOf.floor)];
      assert.ok((plus[0] ?? 0) > (plus[2] ?? 0) + 50, `${plus.join()}: red is the first class`);
      assert.ok((minus[2] ?? 0) > (minus[0] ?? 0) + 50, `${minus.join()}: blue is the second`);
      await between.getByText('0 in the middle, ends at ± the largest').waitFor();
    }));

  it('one cursor is in all columns, by pointer and by keys', () =>
    opened({ shownCase: 'why', width: 1100 }, async (page) => {
      await page.getByRole('button', { name: 'Compare Class' }).click();
      await column(page, /corner − floor/).waitFor();
      const image = page.locator('.image-stack').first();
      const box = (await image.boundingBox()) ?? assert.fail('no map');
      await page.mouse.move(
        box.x + box.width * (seen.left + (side.width * 5.5) / 8),
        box.y + box.height * (seen.top + (side.height * 2.5) / 8),
      );
      const told = page.locator('.readout');
      await holds(async () => {
        const texts = await told.allInnerTexts();
        assert.equal(texts.length, 3);
        for (const text of texts) assert.match(text, /^row (19|20), column (43|44) of 64 × 64: -?[\d.]+/);
        assert.match(texts[1] ?? '', /: 0$/);
      });
      await page.mouse.move(0, 0);
      await image.focus();
      await page.keyboard.press('ArrowUp');
      await page.keyboard.press('ArrowLeft');
      await holds(async () => {
        const texts = await told.allInnerTexts();
        assert.deepEqual(
          texts.map((text) => text.split(':')[0]),
          Array(3).fill('row 33, column 31 of 64 × 64'),
        );
      });
      await page.keyboard.press('Escape');
      await page.getByText('Point at a map, or move by arrow keys').first().waitFor();
    }));

  const chooseMethod = async (page: Page, title: string): Promise<void> => {
    await page.getByRole('button', { name: /^Method .* Change$/ }).click();
    await page.getByRole('dialog', { name: 'Methods' }).getByText(title, { exact: true }).click();
  };

  it('what was superseded is ended on the other side and never drawn', () =>
    opened({ shownCase: 'why-slow', width: 1100 }, async (page) => {
      await column(page, /Gradient of corner/).waitFor();
      await page.evaluate(() => {
        const names: string[] = [];
        Object.assign(window, { drawnNames: names });
        const section = document.querySelector('.why-column');
        const note = (): void => void names.push(section?.getAttribute('aria-label') ?? '');
        if (section) new MutationObserver(note).observe(section, { attributes: true });
      });
      await chooseMethod(page, 'Occlusion');
      await page.getByText('occlusion, 3 of 50: Occlusion of corner. Shown: Gradient of corner.').waitFor();
      await chooseMethod(page, 'Grad-CAM');
      await column(page, /Grad-CAM of corner/).waitFor();
      assert.deepEqual(await firstCall(page, 'explain ended'), [['occlusion']]);
      // Longer than the slow one would have taken.
      await page.waitForTimeout(2000);
      const names = await page.evaluate(() => (window as unknown as { drawnNames: string[] }).drawnNames);
      assert.ok(names.includes('Explanation: Grad-CAM of corner'));
      assert.ok(!names.some((name) => name.includes('Occlusion')), names.join());
    }));

  it('a method that takes long is cancelled; what was drawn keeps its own name, and it can be tried again', () =>
    opened({ shownCase: 'why-slow', width: 1100 }, async (page) => {
      await column(page, /Gradient of corner/).waitFor();
      await chooseMethod(page, 'SmoothGrad');
      await page.locator('.working-over').getByText('Cancel', { exact: true }).click();
      await page.getByText('Cancelled. What is shown is “Gradient of corner”').waitFor();
      assert.deepEqual(await firstCall(page, 'explain ended'), [['smoothgrad']]);
      await column(page, /Gradient of corner/).waitFor();
      await page.getByRole('button', { name: 'Try Again' }).click();
      await column(page, /SmoothGrad of corner/).waitFor();
    }));

  it('methods are gone through by keys, and one that says nothing of the model says why', () =>
    opened({ shownCase: 'why', width: 1100 }, async (page) => {
      await column(page, /Gradient of corner/).waitFor();
      await page.locator('.image-stack').focus();
      await page.keyboard.press(']');
      await column(page, /Input × gradient of corner/).waitFor();
      await page.keyboard.press('[');
      await column(page, /Gradient of corner/).waitFor();
      await page.getByRole('button', { name: /^Method Gradient/ }).click();
      const lacking = page
        .getByRole('dialog', { name: 'Methods' })
        .getByRole('button', { name: /^Relevance(?! across)/ });
      assert.match(await lacking.innerText(), /it has no attention/);
      assert.equal(await lacking.getAttribute('aria-disabled'), 'true');
      const before = (await callsOf(page, 'explain')).length;
      await lacking.click({ force: true });
      assert.equal((await callsOf(page, 'explain')).length, before);
      await page.keyboard.press('Escape');
      await page.getByRole('button', { name: 'About Gradient' }).click();
      const about = page.getByRole('dialog', { name: 'About Gradient' });
      const { text, source } =
        places.explainable.methods.find(({ name }) => name === 'gradient') ?? assert.fail();
      for (const words of [text, source]) await about.getByText(words).waitFor();
    }));

  it('a class is found by name, number or rank, and one without an answer says so beside what stands', () =>
    opened({ shownCase: 'why', width: 1100 }, async (page) => {
      await column(page, /Gradient of corner/).waitFor();
      const asked = async (): Promise<unknown> =>
        ((await callsOf(page, 'explain')).at(-1)?.[1] as { target: number }).target;
      for (const [typed, target] of [
        ['flo', 1],
        ['1', 0],
        ['#1', 1],
        ['3', 2],
      ] as const) {
        await page.getByRole('button', { name: /^Class .* Change$/ }).click();
        await page.locator('vscode-text-field input').fill(typed);
        await page.keyboard.press('Enter');
        await holds(async () => assert.equal(await asked(), target, typed));
      }
      await page.getByText('nothing is recorded of class 2. Choose another.').waitFor();
      await page.getByText('What is shown is “Gradient of floor”').waitFor();
    }));

  it('maps are tested beside a random order, and the areas are told', () =>
    opened({ shownCase: 'why-slow', width: 1100 }, async (page) => {
      await page.getByRole('button', { name: 'Measure' }).click();
      await page.locator('.working-line').getByText('deletion, 3 of 50').waitFor();
      const chart = page.getByRole('img', { name: /^deletion: Gradient 0\.\d+, .*random order 0\.\d+$/ });
      await chart.waitFor();
      assert.deepEqual(await callsOf(page, 'faithfulness'), [[{}, ['gradient'], 0]]);
      assert.equal(await chart.locator('polyline').count(), 3);
    }));

  it('pictures, drawings, reports, arrays and numbers are saved and copied as they are drawn', () =>
    opened({ shownCase: 'why', width: 1100 }, async (page) => {
      await page.getByRole('button', { name: 'Compare Class' }).click();
      await column(page, /corner − floor/).waitFor();
      const pick = async (button: Locator, entry: string): Promise<void> => {
        await button.click();
        await page.getByRole('button', { name: new RegExp(`^${entry}`) }).click();
      };
      const save = page.getByRole('button', { name: 'Save', exact: true });
      const numbers = page.getByRole('button', { name: 'Save the numbers' }).first();
      for (const entry of ['Save Picture', 'Save Drawing', 'Save Report', 'Copy Command'])
        await pick(save, entry);
      for (const entry of ['Save Map as NumPy Array', 'Save Map as CSV', 'Copy Numbers', 'Save All Arrays'])
        await pick(numbers, entry);
      await holds(async () => assert.equal((await callsOf(page, 'save')).length, 5));
      const files = new Map((await callsOf(page, 'save')) as [string, string][]);
      assert.deepEqual(
        [...files.keys()],
        ['why.png', 'why.svg', 'why.md', 'gradient-0.npy', 'gradient-0.csv'].map(
          (name) => `cat-on-grass-${name}`,
        ),
      );
      const file = (ending: string): string => files.get(`cat-on-grass-${ending}`) ?? assert.fail(ending);
      assert.match(file('why.png'), /^data:image\/png;base64,/);
      const svg = file('why.svg');
      assert.match(svg, /^<svg xmlns/);
      for (const words of ['Gradient of corner', 'Gradient of floor', 'corner − floor', '0 in the middle'])
        assert.ok(svg.includes(words), words);
      assert.equal(svg.match(/<image /g)?.length, 6);
      const report = file('why.md');
      assert.ok(report.includes('--method gradient --class 1 --out gradient.safetensors'));
      assert.ok(report.includes('](data:image/png;base64,'));
      const array = Buffer.from(file('gradient-0.npy').split(',')[1] ?? '', 'base64');
      assert.match(
        array.subarray(10, 80).toString(),
        /'descr': '<f4', 'fortran_order': False, 'shape': \(64, 64\)/,
      );
      const recorded = places.shown['gradient 0'].map.values;
      assert.equal(
        array.readFloatLE(array.length - 4 * (4096 - (20 * 64 + 44))),
        Math.fround(recorded[20 * 64 + 44] ?? NaN),
      );
      const lines = file('gradient-0.csv').trim().split('\n');
      assert.deepEqual([lines.length, lines[0]], [4097, 'row,column,value']);
      const [[, question]] = (await firstCall(page, 'saveTensors')) as [[unknown, unknown]];
      assert.deepEqual(question, { method: 'gradient', target: 0 });
      const [[command], [text]] = (await callsOf(page, 'copy')) as [[string], [string]];
      assert.equal(command.split('\n').length, 2);
      assert.equal(text.split('\n').length, 65);
    }));

  it('a table of heads and curves are drawn where a method has no map', () =>
    opened({ shownCase: 'why-sample', width: 1100 }, async (page) => {
      await column(page, /Relevance of cat/).waitFor();
      await chooseMethod(page, 'Entropy of heads');
      const table = page.getByRole('table', { name: 'Entropy of heads' });
      await table.waitFor();
      assert.deepEqual(
        [await table.getByRole('row').count(), await table.getByRole('cell').count()],
        [7, 24],
      );
      await chooseMethod(page, 'Deletion');
      await page.getByRole('img', { name: /^Scores: deletion 0\.0393, deletion\.random 0\.296/ }).waitFor();
    }));

  it('each map says what was checked against what, on which models, and what its own numbers add up to', async () => {
    await opened({ shownCase: 'why-sample', width: 1100 }, async (page) => {
      await column(page, /Relevance of cat/).waitFor();
      await chooseMethod(page, 'Rollout');
      const badges = page.getByRole('group', { name: 'What was checked' });
      await badges
        .getByRole('button', { name: /^each row of the matrix sums to 1: off by \d\.\de-\d %$/ })
        .click();
      await page.getByText(/^Found (0\.9999|1\.0000)\d+, wanted 1/).waitFor();
      const { against, within } = comparisons['rollout'] ?? assert.fail();
      const equal = badges.getByRole('button', {
        name: `equals ${against} within ${within.toExponential()}`,
      });
      await equal.click();
      await page.getByText('on 3 small models with random weights: vit, beit, clip.').waitFor();
    });
    // The model of known places is an .onnx file of its own.
    await opened({ shownCase: 'why', width: 1100 }, async (page) => {
      await column(page, /Gradient of corner/).waitFor();
      await page.getByRole('button', { name: 'gradients of such models not compared' }).click();
      await page.getByText('nothing was compared on one of those').waitFor();
      await page.getByText('held to finite differences').waitFor();
    });
  });

  const choose = async (
    page: Page,
    button: string | RegExp,
    dialog: string,
    entry: string,
  ): Promise<void> => {
    await page.getByRole('button', { name: button }).click();
    await page.getByRole('dialog', { name: dialog }).getByText(entry, { exact: true }).click();
  };

  it('another image stands beside the first with the same cursor; each column says its file', () =>
    opened({ shownCase: 'why', width: 1100 }, async (page) => {
      await column(page, /Gradient of corner/).waitFor();
      await choose(page, 'Compare Image', 'Images', 'pictures/cat-and-dog.jpg');
      const one = column(page, /Gradient of corner, cat-on-grass\.jpg × vitrine-sample/);
      const other = column(page, /Gradient of corner, cat-and-dog\.jpg × vitrine-sample/);
      await other.waitFor();
      await one.waitFor();
      await settled(page);
      const about = { image: '/home/you/pictures/cat-and-dog.jpg' };
      assert.deepEqual(await callsOf(page, 'runBeside'), [[{}, about]]);
      assert.deepEqual((await callsOf(page, 'explain')).at(-1), [
        {},
        { method: 'gradient', target: 0 },
        about,
      ]);
      // No difference: the same place of another image is another thing.
      assert.equal(await column(page, / −/).count(), 0);
      const image = one.locator('.image-stack');
      await image.focus();
      await page.keyboard.press('ArrowUp');
      for (let step = 0; step < 6; step++) await page.keyboard.press('ArrowUp');
      for (let step = 0; step < 6; step++) await page.keyboard.press('ArrowRight');
      // Each reads its own map, the stand-in of the other image turned over from left to right.
      const { values } = places.shown['gradient 0'].map;
      const [row, cell] = [21, 45];
      await holds(async () => {
        const texts = await page.locator('.readout').allInnerTexts();
        assert.deepEqual(
          texts,
          [cell, 63 - cell].map(
            (from) =>
              `row ${row}, column ${cell} of 64 × 64: ${formatNumber(values[row * 64 + from] ?? NaN)}`,
          ),
        );
      });
      assert.notEqual(values[row * 64 + cell], values[row * 64 + 63 - cell]);
      await page.getByRole('button', { name: 'Save the numbers' }).last().click();
      await page.getByRole('button', { name: /^Save All Arrays/ }).click();
      assert.deepEqual((await firstCall(page, 'saveTensors'))[0]?.slice(2), [
        'cat-and-dog-gradient-0.safetensors',
        about,
      ]);
      await page.getByRole('button', { name: 'Close this column' }).last().click();
      await column(page, /Gradient of corner$/).waitFor();
      await page.getByRole('button', { name: 'Compare Image' }).waitFor();
    }));

  it('another checkpoint has its own classes and methods, and its difference names both', () =>
    opened({ shownCase: 'why-sample', width: 1440 }, async (page) => {
      await column(page, /Relevance of cat/).waitFor();
      await choose(page, 'Compare Checkpoint', 'Checkpoints', 'vitrine-sample-64');
      // Relevance says nothing of it: its first method does.
      await column(page, /Gradient of corner, cat-on-grass\.jpg × vitrine-sample-64/).waitFor();
      await column(page, /Relevance of cat, cat-on-grass\.jpg × vitrine-sample$/).waitFor();
      const [, , about] = ((await callsOf(page, 'explain')).at(-1) ?? []) as unknown[];
      assert.deepEqual(about, { checkpoint: '/home/you/models/vitrine-sample-64/pytorch_model.bin' });
      assert.equal(await column(page, / −/).count(), 0);
    }));

  it('of images that are chosen one after the other the last alone is drawn, and the slow one is ended', () =>
    opened({ shownCase: 'why-slow', width: 1100 }, async (page) => {
      await column(page, /Gradient of corner/).waitFor();
      await page.evaluate(() => {
        const names: string[] = [];
        Object.assign(window, { drawnNames: names });
        const note = (): void =>
          document
            .querySelectorAll('.why-column')
            .forEach((each) => names.push(each.getAttribute('aria-label') ?? ''));
        const columns = document.querySelector('.why-columns');
        if (columns)
          new MutationObserver(note).observe(columns, { subtree: true, attributes: true, childList: true });
      });
      await choose(page, 'Compare Image', 'Images', 'pictures/dog-on-a-path.jpg');
      await page.getByText('/home/you/pictures/dog-on-a-path.jpg, 3 of 50').waitFor();
      await choose(page, /^Image dog-on-a-path/, 'Images', 'pictures/cat-on-grass.jpg');
      // The panel's own image beside itself is the panel's own.
      await column(page, /Gradient of corner$/)
        .last()
        .waitFor();
      await choose(page, /^Image cat-on-grass/, 'Images', 'pictures/dog-on-a-path.jpg');
      await page.getByText('/home/you/pictures/dog-on-a-path.jpg, 3 of 50').waitFor();
      await page.locator('.working-line').getByText('Cancel', { exact: true }).click();
      await page.getByText('Cancelled.', { exact: true }).waitFor();
      // Longer than the slow one would have taken.
      await page.waitForTimeout(2000);
      const names = await page.evaluate(() => (window as unknown as { drawnNames: string[] }).drawnNames);
      assert.ok(!names.some((name) => name.includes('of corner, dog-on-a-path')), names.join());
      assert.equal((await callsOf(page, 'explain ended')).length, 2);
      await page.getByRole('button', { name: 'Try Again' }).click();
      await column(page, /Gradient of corner, dog-on-a-path\.jpg/).waitFor();
    }));

  it('a clicked patch is followed through the chosen block, each formula with its numbers', async () => {
    await opened({ shownCase: 'why-sample', width: 1100 }, async (page) => {
      await column(page, /Relevance of cat/).waitFor();
      const image = page.locator('.image-stack').first();
      const box = (await image.boundingBox()) ?? assert.fail('no map');
      await page.getByRole('button', { name: 'Follow a Patch' }).click();
      // In the patch that begins a quarter into what the model saw, the middle 480 of 640 × 480.
      await page.mouse.click(box.x + (box.width * (80 + 135)) / 640, box.y + (box.height * 135) / 480);
      const steps = page.getByRole('region', { name: 'Step by step' });
      await steps.getByText('α = exp(s) / Σ exp(s)', { exact: true }).waitFor();
      const [, question] = ((await callsOf(page, 'walk')).at(-1) ?? []) as unknown[];
      const { grid } = walked;
      assert.deepEqual(question, { block: 0, head: 0, patch: grid.map((side) => side / 4) });
      const logits = walked.steps.at(-1)?.vectors[0]?.values ?? assert.fail();
      const told = await steps.locator('summary').last().innerText();
      assert.ok(told.includes(`logits = (${formatNumber(logits[0] ?? NaN)}, `), told);
      await steps.getByRole('button', { name: /^Σ α · v: off by at most \S+$/ }).click();
      await page.getByText('Computed again from the numbers that the formula reads').waitFor();
      assert.deepEqual(await namelessControls(page), []);
    });
    await opened({ shownCase: 'why', width: 1100 }, async (page) => {
      await page.getByRole('button', { name: 'Follow a Patch' }).click();
      await page.getByText('No patch can be followed: it has no attention.').waitFor();
    });
  });
});
