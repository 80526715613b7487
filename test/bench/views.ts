// The views in a real workbench: what a person waits for, from the click to the picture.
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import type { Frame, Page } from 'playwright-core';
import { openWorkbench, type Workbench } from '../browser/workbench';
import { writeSparseVit, type VitSize } from '../inference/support';
import { provideFolder } from '../run/cache.mjs';
import { processTime, vitrine } from './processes';
import { spreadOf } from './statistics';
import { formatTime, type Row } from './table';
import { image, provideMostTensors } from './workload';

interface Model {
  readonly title: string;
  readonly size: VitSize;
  /** Milliseconds that a click may take until the maps of its patch are drawn. */
  readonly click: number;
}

/** By name of the file; values are zero, which costs the same as any. */
const models: Readonly<Record<string, Model>> = {
  'vit-b-16-224': {
    title: '197 tokens × 144 heads',
    size: { dim: 768, depth: 12, patch: 16, image: 224, classes: 1000 },
    click: 60,
  },
  'vit-s-14-518': {
    title: '1,370 tokens × 72 heads',
    size: { dim: 384, depth: 12, patch: 14, image: 518, classes: 1000 },
    click: 300,
  },
  'vit-b-16-1024': {
    title: '4,097 tokens × 144 heads',
    size: { dim: 768, depth: 12, patch: 16, image: 1024, classes: 1000 },
    click: 1000,
  },
};

const clicks = 9;
/** Images after the first one, and processes of the command line. */
const later = 3;
/** Milliseconds that the slowest of them may take. */
const patience = 240_000;
/** Times that its file is opened; the first time loads the extension's readers as well. */
const openings = 5;

/**
 * Image, labels, maps, clicks and hovering in the panel; tree, heap and slider of reports.
 * VITRINE_VIEWS names some of the models above, and `tree`, separated by commas.
 */
export async function measureViews(): Promise<readonly Row[]> {
  const wanted = process.env.VITRINE_VIEWS?.split(',');
  const rows: Row[] = [];
  for (const [name, model] of Object.entries(models)) {
    if (wanted && !wanted.includes(name)) continue;
    console.log(`  ${name} …`);
    const workspace = await provideFolder(`bench-views-${name}-${later}`, async (folder) => {
      writeSparseVit(join(folder, `${name}.safetensors`), model.size);
      for (let copy = 0; copy <= later; copy++) cpSync(image, join(folder, `cat-${copy}.jpg`));
    });
    const weights = join(workspace, `${name}.safetensors`);
    await inWorkbench(workspace, async (workbench) => {
      rows.push(...(await measurePanel(workbench, model, weights)));
      rows.push(...(await measureSlider(workbench, `${name}.safetensors`, model.title)));
    });
  }
  return wanted && !wanted.includes('tree') ? rows : [...rows, ...(await measureTree())];
}

async function inWorkbench(workspace: string, work: (workbench: Workbench) => Promise<void>): Promise<void> {
  const workbench = await openWorkbench({ workspace, size: { width: 1440, height: 900 } });
  try {
    await workbench.page.evaluate(notePresses);
    await work(workbench);
  } finally {
    await workbench.close();
  }
}

/** What is waited for, by what names it in a page. */
const firsts = {
  shell: '.image-head',
  painted: '.first-paint canvas, .image-stack canvas',
  labels: '.guesses li',
  maps: '.multiples canvas',
  tree: '[role=treegrid] [role=row] [role=gridcell]',
} as const;
type First = keyof typeof firsts;

/** What the functions below leave in the window that they run in. */
interface Noted {
  /** Of the last click: when its button went down and up, in milliseconds since 1970. */
  pressed?: { down: number; up: number };
  /** When each of the firsts was on the screen. */
  seen?: Partial<Record<First, number>>;
  /** Milliseconds of the last run that was answered. */
  times?: { decode: number; preprocess: number; run: number; load: number };
}

/** In the workbench: notes when a person presses; of a double click the first press counts. */
function notePresses(): void {
  const noted = window as unknown as Noted;
  const add = (name: string, note: (event: MouseEvent) => void): void =>
    window.addEventListener(name, (event) => note(event as MouseEvent), true);
  add('mousedown', ({ detail }) => {
    if (detail < 2) noted.pressed = { down: Date.now(), up: Date.now() };
  });
  add('mouseup', () => {
    if (noted.pressed) noted.pressed.up = Date.now();
  });
}

/** In a page, from its beginning: notes when each of the firsts was drawn, and says what was. */
function noteFirsts(wanted: Record<string, string>): Partial<Record<First, number>> {
  const noted = window as unknown as Noted;
  // The page is written into its frame, which takes away who listened before.
  const { dataset } = document.documentElement;
  if (!('noted' in dataset))
    window.addEventListener('message', ({ data }) => {
      const times = (data as { value?: { times?: Noted['times'] } } | null)?.value?.times;
      if (times) noted.times = times;
    });
  dataset['noted'] = '';
  if (noted.seen) return noted.seen;
  const seen: Record<string, number> = (noted.seen = {});
  const look = (): void => {
    for (const [name, selector] of Object.entries(wanted)) {
      if (name in seen || !document.querySelector(selector)) continue;
      seen[name] = 0;
      requestAnimationFrame(() => (seen[name] = Date.now()));
    }
    requestAnimationFrame(look);
  };
  look();
  return seen;
}

/**
 * Waits until a page shows something. A page is told to note what it draws as soon as its frame is
 * there, long before it has anything to draw.
 */
async function untilSeen(
  page: Page,
  until: First,
): Promise<{ readonly frame: Frame; readonly seen: Readonly<Partial<Record<First, number>>> }> {
  const deadline = Date.now() + patience;
  while (Date.now() < deadline) {
    for (const frame of page.frames()) {
      if (!frame.url().includes('fake.html')) continue;
      // A frame may go away while it is asked.
      const seen = await frame.evaluate(noteFirsts, firsts).catch(() => undefined);
      if (seen?.[until]) return { frame, seen };
    }
    await page.waitForTimeout(10);
  }
  throw new Error(`no page shows ${firsts[until]}`);
}

/** Milliseconds from the last click, from its first press or its end, to what a page shows. */
async function sinceClick(
  workbench: Workbench,
  from: 'down' | 'up',
  until: First,
): Promise<{ readonly frame: Frame; readonly since: (what: First) => number }> {
  const { frame, seen } = await untilSeen(workbench.page, until);
  const pressed = await workbench.page.evaluate(() => (window as unknown as Noted).pressed);
  return { frame, since: (what) => (seen[what] ?? 0) - (pressed?.[from] ?? 0) };
}

async function measurePanel(workbench: Workbench, model: Model, weights: string): Promise<readonly Row[]> {
  const commands: number[] = [];
  const command = async (): Promise<void> => {
    commands.push(await processTime(vitrine('classify', weights, image, '--json')));
  };
  // The first process reads the files into memory, for both sides.
  await processTime(vitrine('classify', weights, image, '--json'));
  await command();
  await workbench.pickFromContextMenu('cat-0.jpg', 'Classify Image');
  const { frame, since } = await sinceClick(workbench, 'up', 'maps');
  const redraws: number[] = [];
  for (let click = 0; click < clicks; click++)
    redraws.push(await frame.evaluate(clickToRedraw, { share: 0.3 + 0.05 * click, aim: aiming }));
  const hovers = await frame.evaluate(hoverToRedraw);
  const next = await measureLater(workbench);
  for (let turn = 1; turn < later; turn++) await command();
  const row = (what: string, values: readonly number[], target?: number): Row => ({
    what: `views, ${model.title}: ${what}`,
    value: spreadOf(values),
    unit: 'ms',
    target,
    detail: `${values.length} times`,
  });
  const ratio = (what: string, values: readonly number[], target: number, detail: string): Row => ({
    ...row(what, values, target),
    unit: '×',
    detail,
  });
  await workbench.closeEditors();
  const { median } = spreadOf(commands);
  return [
    row('from the menu to the panel', [since('shell')]),
    row('to the image', [since('painted')]),
    row('to its labels', [since('labels')]),
    ratio(
      'to its labels, against the command line',
      [since('labels') / median],
      1.3,
      `${formatTime(since('labels'))} against ${formatTime(median)}, vitrine classify`,
    ),
    row('to all maps', [since('maps')]),
    row(
      'from the menu to the panel, a later image',
      next.map(({ shell }) => shell),
    ),
    ratio(
      'to its labels, a later image, against what the model needs',
      next.map(({ labels, needed, shell }) => labels / Math.max(needed, shell)),
      1.1,
      next
        .map(({ labels, needed, shell }) => [labels, needed, shell].map(formatTime))
        .map(([labels, needed, shell]) => `${labels} against ${needed}, the panel ${shell}`)
        .join('; '),
    ),
    row('click to redraw', redraws.slice(1), model.click),
    row('hover to redraw', hovers, 16),
  ];
}

/** Images after the first: their labels, and what decoding, preparing and running them took. */
async function measureLater(
  workbench: Workbench,
): Promise<readonly { readonly shell: number; readonly labels: number; readonly needed: number }[]> {
  const found = [];
  for (let copy = 1; copy <= later; copy++) {
    await workbench.closeEditors();
    await workbench.pickFromContextMenu(`cat-${copy}.jpg`, 'Classify Image');
    const { frame, since } = await sinceClick(workbench, 'up', 'labels');
    const times = await frame.evaluate(() => (window as unknown as Noted).times);
    if (!times) throw new Error('the panel was told no times');
    const needed = times.decode + times.preprocess + times.run;
    found.push({ shell: since('shell'), labels: since('labels'), needed });
  }
  return found;
}

/** Milliseconds between a hand's last move and its click; people take longer. */
const aiming = 150;

/**
 * In the page: moves to a patch and clicks it as a hand does, and waits until its maps are drawn
 * under its name.
 */
async function clickToRedraw({ share, aim }: { share: number; aim: number }): Promise<number> {
  const stack = document.querySelector('.image-stack') as HTMLElement;
  const { left, top, width, height } = stack.getBoundingClientRect();
  const before = stack.getAttribute('aria-label');
  // Inside of a patch: a click has whole pixels, a move has not.
  const [clientX, clientY] = [Math.round(left + share * width), Math.round(top + 0.53 * height)];
  const at = { clientX, clientY, bubbles: true };
  stack.dispatchEvent(new PointerEvent('pointermove', at));
  await new Promise((resolve) => setTimeout(resolve, aim));
  return new Promise((resolve) => {
    const started = performance.now();
    const observer = new MutationObserver(() => {
      if (stack.getAttribute('aria-label') === before) return;
      observer.disconnect();
      requestAnimationFrame(() => resolve(performance.now() - started));
    });
    observer.observe(stack, { attributes: true });
    stack.dispatchEvent(new MouseEvent('click', at));
  });
}

/** In the page: moves over the image and waits for the weight under the pointer. */
async function hoverToRedraw(): Promise<number[]> {
  const stack = document.querySelector('.image-stack') as HTMLElement;
  const { left, top, width, height } = stack.getBoundingClientRect();
  const figures = document.querySelector('.map-figures') as HTMLElement;
  const times: number[] = [];
  for (let step = 0; step < 8; step++) {
    times.push(
      await new Promise<number>((resolve) => {
        const started = performance.now();
        const observer = new MutationObserver(() => {
          observer.disconnect();
          resolve(performance.now() - started);
        });
        observer.observe(figures, { childList: true, characterData: true, subtree: true });
        const at = {
          clientX: left + (0.3 + 0.05 * step) * width,
          clientY: top + 0.5 * height,
          bubbles: true,
        };
        stack.dispatchEvent(new PointerEvent('pointermove', at));
      }),
    );
  }
  return times.slice(1);
}

/** Steps of the image size in the complexity report, until its totals are those of the size. */
async function measureSlider(workbench: Workbench, file: string, title: string): Promise<readonly Row[]> {
  await workbench.openFile(file);
  const tabs = await workbench.webview('[role=tablist]');
  await tabs.getByRole('tab', { name: 'Complexity' }).click();
  const frame = await workbench.webview('.complexity .slider');
  const steps: number[] = [];
  for (let step = 0; step < clicks; step++)
    steps.push(await frame.evaluate(stepToTotals, step % 2 === 0 ? 1 : -1));
  await workbench.closeEditors();
  return [
    {
      what: `views, ${title}: slider step`,
      value: spreadOf(steps.slice(1)),
      unit: 'ms',
      detail: `${steps.length - 1} times, to the totals of the new size`,
    },
  ];
}

/** In the page: moves the slider by a step and waits until the totals are of the size it names. */
function stepToTotals(step: number): Promise<number> {
  const slider = document.querySelector('.complexity .slider') as HTMLInputElement;
  const totals = document.querySelector('.complexity .figures') as HTMLElement;
  const sizes = (): string => [...totals.querySelectorAll('dt')].map((term) => term.textContent).join();
  const before = sizes();
  return new Promise((resolve) => {
    const started = performance.now();
    const observer = new MutationObserver(() => {
      if (sizes() === before) return;
      observer.disconnect();
      requestAnimationFrame(() => resolve(performance.now() - started));
    });
    observer.observe(totals, { childList: true, characterData: true, subtree: true });
    slider.value = String(Number(slider.value) + step);
    slider.dispatchEvent(new Event('input', { bubbles: true }));
  });
}

/** The largest tree: from the first press of the double click until it is on the screen. */
async function measureTree(): Promise<readonly Row[]> {
  const { folder: workspace, file, tensors } = await provideMostTensors();
  const [trees, heaps]: [number[], number[]] = [[], []];
  await inWorkbench(workspace, async (workbench) => {
    for (let opening = 0; opening < openings; opening++) {
      const before = await heapOf(workbench);
      await workbench.openFile(file);
      const { since } = await sinceClick(workbench, 'down', 'tree');
      trees.push(since('tree'));
      heaps.push((await heapOf(workbench)) - before);
      await workbench.closeEditors();
    }
  });
  const [first, ...others] = trees;
  const tree = `views, ${tensors.toLocaleString('en')} tensors: double click to tree`;
  return [
    {
      what: `${tree}, the first file`,
      value: spreadOf([first ?? 0]),
      unit: 'ms',
      detail: 'loads the extension',
    },
    { what: tree, value: spreadOf(others), unit: 'ms', target: 1000, detail: `${others.length} times` },
    {
      what: `views, ${tensors.toLocaleString('en')} tensors: heap of the page`,
      value: spreadOf(heaps.slice(1)),
      unit: 'MB',
      target: 60,
      detail: 'what the window holds more with the page open than without',
    },
  ];
}

/**
 * Megabytes of JavaScript that the window and its pages hold, after a collection: they share one
 * heap, so that a page is what comes with it.
 */
async function heapOf(workbench: Workbench): Promise<number> {
  const session = await workbench.page.context().newCDPSession(workbench.page);
  await session.send('HeapProfiler.collectGarbage');
  const { usedSize } = await session.send('Runtime.getHeapUsage');
  await session.detach();
  return usedSize / 1e6;
}
