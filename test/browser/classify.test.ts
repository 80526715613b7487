import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Frame } from 'playwright-core';
import { expectedOf, percent } from './sample';
import { openWorkbench, type Workbench } from './workbench';

const model = 'vitrine-sample';

describe('classifying images in the workbench', () => {
  let workbench: Workbench;
  before(async () => {
    workbench = await openWorkbench();
  });
  after(() => workbench?.close());
  afterEach(async function () {
    if (this.currentTest?.state === 'failed') await workbench.screenshot(`failed-${this.currentTest.title}`);
    await workbench.closeEditors();
  });

  it('asks for a checkpoint of the workspace the first time, and names the cat', async () => {
    await workbench.pickFromContextMenu('images/cat-on-grass.jpg', 'Classify Image');
    const offered = await workbench.quickPickTitles();
    for (const name of [model, 'vitrine-sample-64']) {
      assert.ok(
        offered.some((title) => title.includes(name)),
        `${name} in ${offered.join(' | ')}`,
      );
    }
    await workbench.pick(model);
    assert.deepEqual(await readGuesses(workbench), expectedGuesses('cat-on-grass.jpg'));
  });

  it('remembers the checkpoint, and shows it in the status bar', async () => {
    await workbench.pickFromContextMenu('images/sailboat-at-sunset.jpg', 'Classify Image');
    assert.deepEqual(await readGuesses(workbench), expectedGuesses('sailboat-at-sunset.jpg'));
    const items = await workbench.statusBar();
    assert.ok(
      items.some((text) => text.includes(model)),
      items.join(' | '),
    );
  });

  it('tells in the log what was opened, as what, and how the image was run', async () => {
    await workbench.pickFromContextMenu('images/cat-on-grass.jpg', 'Classify Image');
    await readGuesses(workbench);
    const log = await workbench.logged(/cat-on-grass\.jpg: cat [\d.]+ % by/);
    assert.match(log, /vitrine-sample: opened in \d+ ms as ViT-160\/8 \(timm names\)/);
    assert.match(log, /on CPU in [\d.]+ ms \(decoded in [\d.]+ ms, prepared in [\d.]+ ms/);
  });

  it('makes a table of several images, with what each is', async () => {
    const names = ['rocket-in-space.png', 'umbrella-in-the-rain.jpg', 'elephant-in-savanna.webp'];
    await workbench.selectFiles(names.map((name) => `images/${name}`));
    await workbench.pickFromContextMenu(`images/${names[2]}`, 'Classify Image');
    const frame = await workbench.webview(`text=${names[0]}`);
    for (const name of names) {
      const row = frame.getByRole('row').filter({ hasText: name });
      const answer = row.getByText(percent(expectedOf(name).top5[0]?.[1] ?? 0));
      await answer.waitFor().catch(async (error: Error) => {
        throw new Error(`${error.message}\nthe page: ${await frame.locator('body').innerText()}`);
      });
      assert.match(await row.innerText(), new RegExp(`\\b${expectedOf(name).top5[0]?.[0]}\\b`));
    }
  });

  it('says why a file that is no image cannot be classified', async () => {
    await workbench.runCommand('File: New Untitled Text File');
    const titles = await workbench.openContextMenu('README.md');
    await workbench.page.keyboard.press('Escape');
    assert.ok(!titles.includes('Classify Image'), titles.join(', '));
  });
});

describe('a memory limit that is too low', () => {
  let workbench: Workbench;
  before(async () => {
    workbench = await openWorkbench({ settings: { 'vitrine.memoryLimit': 0.005 } });
  });
  after(() => workbench?.close());

  it('is named beside the way to the settings, and the image is answered when it is raised', async () => {
    await workbench.pickFromContextMenu('images/dog-on-a-path.jpg', 'Classify Image');
    await workbench.pick(model);
    const frame = await workbench.webview('.failure');
    const text = await frame.locator('.failure').innerText();
    assert.match(text, /needs about \d+ MB of memory, and 5 MB are allowed/);
    await workbench.logged(/\[error\] run: .* needs about \d+ MB of memory/);
    await frame.getByRole('button', { name: 'Open Settings' }).click();
    await workbench.page.locator('.settings-editor').getByText('Memory Limit').first().waitFor();
    await workbench.page.keyboard.press('Escape');
    await workbench.setSettings({ 'vitrine.memoryLimit': 0 });
    assert.deepEqual(await readGuesses(workbench), expectedGuesses('dog-on-a-path.jpg'));
  });
});

describe('the attention over an image whose EXIF tag turns it', () => {
  const image = 'frog-exif-rotated.jpg';
  let workbench: Workbench;
  let frame: Frame;
  before(async () => {
    workbench = await openWorkbench({ size: { width: 1400, height: 900 } });
    await workbench.pickFromContextMenu(`images/${image}`, 'Show Attention');
    await workbench.pick(model);
    frame = await workbench.webview('.image-stack canvas');
    await frame.locator('.guesses').waitFor();
  });
  after(() => workbench?.close());

  it('shows the image upright, as the browser itself turns it', async () => {
    await setOpacity(frame, 0);
    const source = readFileSync(join('media/sample/images', image)).toString('base64');
    const { drawn, own } = await frame.evaluate(compareWithBrowser, `data:image/jpeg;base64,${source}`);
    const [width, height] = expectedOf(image).size;
    assert.ok(Math.abs(drawn.width / drawn.height - width / height) < 0.01, JSON.stringify(drawn));
    assert.ok(own.difference < 8, `mean difference ${own.difference} of 255 levels`);
    assert.ok(own.turned > 3 * own.difference, 'an image turned by half a circle would be told apart');
  });

  it('is hottest on the frog', async () => {
    await setOpacity(frame, 100);
    await chooseScale(frame, 'all alike, to the largest');
    const [x, y] = await frame.evaluate(findBrightest);
    const mask = readFileSync('media/sample/make/masks/frog-exif-rotated.png').toString('base64');
    const covered = await frame.evaluate(isInMask, { mask: `data:image/png;base64,${mask}`, x, y });
    assert.ok(
      covered,
      `the hottest place, ${percent(x)} from the left and ${percent(y)} from the top, is on the frog`,
    );
  });

  it('gives the answer for the image as stored in one click', async () => {
    await frame.getByRole('button', { name: 'Show as Stored' }).click();
    const [label = '', probability = 0] = expectedOf(image).as_stored?.[0] ?? [];
    const first = frame.locator('.guesses li').first();
    await first.getByText(label).waitFor();
    assert.deepEqual(splitGuess(await first.innerText()), [label, percent(probability)]);
  });
});

const expectedGuesses = (image: string): string[][] =>
  expectedOf(image).top5.map(([label, probability]) => [label, percent(probability)]);

async function readGuesses(workbench: Workbench): Promise<string[][]> {
  const frame = await workbench.webview('.guesses li');
  const rows = await frame.locator('.guesses li').allInnerTexts();
  return rows.map(splitGuess);
}

/** `cat\n90.9 %`: label and share. */
function splitGuess(text: string): string[] {
  const [, label = '', share = ''] = text.match(/^\s*(.*?)\s*([\d.]+ %)\s*$/s) ?? [];
  return [label, share];
}

async function setOpacity(frame: Frame, value: 0 | 100): Promise<void> {
  await frame.locator('vscode-button[aria-label="How it is drawn"]').click();
  await frame.getByLabel('Opacity').focus();
  await frame.page().keyboard.press(value === 0 ? 'Home' : 'End');
  await frame.page().keyboard.press('Escape');
  await frame.page().waitForTimeout(200); // the next frame draws it
}

/** On any other scale several patches may have the last colour. */
async function chooseScale(frame: Frame, name: string): Promise<void> {
  await frame.locator('vscode-button[aria-label="How it is drawn"]').click();
  await frame.getByRole('combobox', { name: 'Colour scale' }).click();
  await frame.getByRole('option', { name }).click();
  await frame.page().keyboard.press('Escape');
  await frame.page().waitForTimeout(200); // the next frame draws it
}

/**
 * In the page: how far the drawn image is from the browser's own decoding, and from that turned
 * by half a circle.
 */
async function compareWithBrowser(source: string): Promise<{
  drawn: { width: number; height: number };
  own: { difference: number; turned: number };
}> {
  const canvas = document.querySelector<HTMLCanvasElement>('.image-stack canvas');
  const image = new Image();
  image.src = source;
  await image.decode();
  const { width, height } = canvas ?? { width: 1, height: 1 };
  const own = document.createElement('canvas');
  Object.assign(own, { width, height });
  const context = own.getContext('2d');
  context?.drawImage(image, 0, 0, width, height);
  const expected = context?.getImageData(0, 0, width, height).data ?? new Uint8ClampedArray();
  const drawn = canvas?.getContext('2d')?.getImageData(0, 0, width, height).data ?? new Uint8ClampedArray();
  // Only what the model saw is drawn undimmed: the middle square of the image.
  const [side, pixels] = [Math.min(width, height) - 8, width * height];
  const [left, top] = [Math.floor((width - side) / 2), Math.floor((height - side) / 2)];
  let [difference, turned] = [0, 0];
  for (let row = top; row < top + side; row++) {
    for (let column = left; column < left + side; column++) {
      const at = row * width + column;
      for (const channel of [0, 1, 2]) {
        const value = drawn[4 * at + channel] ?? 0;
        difference += Math.abs(value - (expected[4 * at + channel] ?? 0));
        turned += Math.abs(value - (expected[4 * (pixels - 1 - at) + channel] ?? 0));
      }
    }
  }
  const count = 3 * side * side;
  return { drawn: { width, height }, own: { difference: difference / count, turned: turned / count } };
}

/**
 * In the page: where the drawing is brightest, as fractions of its width and height; colour maps
 * run from dark to bright. The outline of what the model saw, the middle square, is brighter still
 * and left out.
 */
function findBrightest(): [number, number] {
  const canvas = document.querySelector<HTMLCanvasElement>('.image-stack canvas');
  const { width, height } = canvas ?? { width: 0, height: 0 };
  const data = canvas?.getContext('2d')?.getImageData(0, 0, width, height).data ?? new Uint8ClampedArray();
  const half = Math.min(width, height) / 2 - 4;
  const isInside = (at: number): boolean =>
    Math.abs((at % width) - width / 2) < half && Math.abs(Math.floor(at / width) - height / 2) < half;
  let [best, highest] = [0, -1];
  for (let at = 0; at < width * height; at++) {
    if (!isInside(at)) continue;
    const [red = 0, green = 0, blue = 0] = data.subarray(4 * at, 4 * at + 3);
    const light = 0.299 * red + 0.587 * green + 0.114 * blue;
    if (light > highest) [best, highest] = [at, light];
  }
  return [((best % width) + 0.5) / width, (Math.floor(best / width) + 0.5) / height];
}

/** In the page: whether a place lies within a patch of the object that a mask shows white. */
async function isInMask({ mask, x, y }: { mask: string; x: number; y: number }): Promise<boolean> {
  const image = new Image();
  image.src = mask;
  await image.decode();
  const canvas = document.createElement('canvas');
  Object.assign(canvas, { width: image.width, height: image.height });
  const context = canvas.getContext('2d');
  context?.drawImage(image, 0, 0);
  const patch = Math.round(Math.min(image.width, image.height) / 16);
  const [left, top] = [x * image.width - patch / 2, y * image.height - patch / 2];
  const data = context?.getImageData(left, top, patch, patch).data ?? new Uint8ClampedArray();
  return data.some((value, index) => index % 4 === 0 && value > 127);
}
