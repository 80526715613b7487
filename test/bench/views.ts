// The views in a real workbench: what a person waits for, from the click to the picture.
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import type { Frame } from 'playwright-core';
import { openWorkbench, type Workbench } from '../browser/workbench';
import { writeSparseVit, type VitSize } from '../inference/support';
import { provideFolder } from '../run/cache.mjs';
import { spreadOf } from './statistics';
import type { Row } from './table';
import { image } from './workload';

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

/** Image, labels, maps, clicks and hovering in the image panel; tree and heap of the inspector. */
export async function measureViews(): Promise<readonly Row[]> {
  const rows: Row[] = [];
  for (const [name, model] of Object.entries(models)) {
    const workspace = await provideFolder(`bench-views-${name}`, async (folder) => {
      writeSparseVit(join(folder, `${name}.safetensors`), model.size);
      cpSync(image, join(folder, 'cat.jpg'));
    });
    const workbench = await openWorkbench({ workspace, size: { width: 1440, height: 900 } });
    try {
      rows.push(...(await measurePanel(workbench, model)));
      rows.push(...(await measureInspector(workbench, `${name}.safetensors`)));
    } finally {
      await workbench.close();
    }
  }
  return rows;
}

async function measurePanel(workbench: Workbench, model: Model): Promise<readonly Row[]> {
  await workbench.pickFromContextMenu('cat.jpg', 'Classify Image');
  // The only checkpoint of the workspace is not asked for.
  const picked = performance.now();
  const since = async (selector: string): Promise<number> => {
    await workbench.webview(selector, 240_000);
    return performance.now() - picked;
  };
  const [shell, painted] = [
    await since('.image-head'),
    await since('.first-paint canvas, .image-stack canvas'),
  ];
  const [labels, maps] = [await since('.guesses li'), await since('.multiples canvas')];
  const frame = await workbench.webview('.multiples canvas');
  const redraws: number[] = [];
  for (let click = 0; click < clicks; click++)
    redraws.push(await frame.evaluate(clickToRedraw, 0.3 + 0.05 * click));
  const hovers = await frame.evaluate(hoverToRedraw);
  const row = (what: string, values: readonly number[], target?: number): Row => ({
    what: `views, ${model.title}: ${what}`,
    value: spreadOf(values),
    unit: 'ms',
    target,
    detail: `${values.length} times`,
  });
  await workbench.closeEditors();
  return [
    row('from the menu to the panel', [shell]),
    row('to the image', [painted]),
    row('to its labels', [labels]),
    row('to all maps', [maps]),
    row('click to redraw', redraws.slice(1), model.click),
    row('hover to redraw', hovers, 16),
  ];
}

/** In the page: clicks a patch and waits until its maps are drawn under its name. */
function clickToRedraw(share: number): Promise<number> {
  const stack = document.querySelector('.image-stack') as HTMLElement;
  const { left, top, width, height } = stack.getBoundingClientRect();
  const before = stack.getAttribute('aria-label');
  return new Promise((resolve) => {
    const started = performance.now();
    const observer = new MutationObserver(() => {
      if (stack.getAttribute('aria-label') === before) return;
      observer.disconnect();
      requestAnimationFrame(() => resolve(performance.now() - started));
    });
    observer.observe(stack, { attributes: true });
    const at = { clientX: left + share * width, clientY: top + 0.5 * height, bubbles: true };
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

async function measureInspector(workbench: Workbench, file: string): Promise<readonly Row[]> {
  const started = performance.now();
  await workbench.openFile(file);
  const frame = await workbench.webview('[role=treegrid] [role=row]');
  const tree = performance.now() - started;
  const heap = await heapOf(frame);
  return [
    {
      what: `views, ${file}: to the tree of the inspector`,
      value: spreadOf([tree]),
      unit: 'ms',
      target: 1000,
      detail: file,
    },
    {
      what: `views, ${file}: heap of the inspector`,
      unit: 'ms',
      detail: `${heap.toFixed(0)} MB of JavaScript`,
    },
  ];
}

const heapOf = (frame: Frame): Promise<number> =>
  frame.evaluate(
    () => (performance as unknown as { memory: { usedJSHeapSize: number } }).memory.usedJSHeapSize / 1e6,
  );
