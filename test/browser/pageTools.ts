// What tests of pages have in common: what was asked of the host, when a page is at rest, and what
// is drawn.
import assert from 'node:assert/strict';
import type { Locator, Page } from 'playwright-core';

/** What the page asked its host for by this method, as lists of arguments. */
export const callsOf = (page: Page, method: string): Promise<readonly (readonly unknown[])[]> =>
  page.evaluate(
    (wanted) => window.demo.calls.filter((call) => call.method === wanted).map(({ values }) => values),
    method,
  );

/** Repeats a check until it holds: a page answers when it can, not when it was asked. */
export async function holds(check: () => Promise<void>): Promise<void> {
  const end = Date.now() + 10_000;
  for (;;) {
    try {
      return await check();
    } catch (error) {
      if (Date.now() > end) throw error;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

/** The page asked its host exactly this by this method. */
export const called = (
  page: Page,
  method: string,
  expected: readonly (readonly unknown[])[],
): Promise<void> => holds(async () => assert.deepEqual(await callsOf(page, method), expected));

/** What the page asked by this method once it did. */
export async function firstCall(page: Page, method: string): Promise<readonly (readonly unknown[])[]> {
  await holds(async () =>
    assert.notEqual((await callsOf(page, method)).length, 0, `${method} was not asked`),
  );
  return callsOf(page, method);
}

/** Nothing was drawn anew for a tenth of a second. */
export const settled = (page: Page): Promise<void> =>
  page.evaluate(
    () =>
      new Promise<void>((resolve) => {
        const rest = (): number => window.setTimeout(done, 100);
        const observer = new MutationObserver(() => {
          clearTimeout(timer);
          timer = rest();
        });
        const done = (): void => {
          observer.disconnect();
          requestAnimationFrame(() => resolve());
        };
        let timer = rest();
        observer.observe(document.body, { subtree: true, childList: true, attributes: true });
      }),
  );

/** How far a pixel's colour is from grey. */
export const saturation = ([red = 0, green = 0, blue = 0]: readonly number[]): number =>
  Math.max(red, green, blue) - Math.min(red, green, blue);

/** The pixel at a share of the height and width of a drawing. */
export const colourAt = (drawing: Locator, row: number, column: number): Promise<readonly number[]> =>
  pixelOf(drawing.locator('canvas').first(), row, column);

/** The same of a canvas. */
export const pixelOf = (canvas: Locator, row: number, column: number): Promise<readonly number[]> =>
  canvas.evaluate(
    (drawn, [y, x]) => {
      const { width, height } = drawn as HTMLCanvasElement;
      const pixel = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true });
      pixel?.drawImage(drawn as HTMLCanvasElement, -Math.floor(width * x), -Math.floor(height * y));
      return Array.from(pixel?.getImageData(0, 0, 1, 1).data ?? []);
    },
    [row, column] as const,
  );

/**
 * Controls that a screen reader could not name, or could name only as the component kit does: "Text
 * field".
 */
export const namelessControls = (page: Page): Promise<readonly string[]> =>
  page.evaluate(() =>
    [
      ...document.querySelectorAll(
        'button, input, [role=button], vscode-button, vscode-dropdown, vscode-text-field, vscode-progress-ring',
      ),
    ]
      .filter((element) => {
        const label = element.getAttribute('aria-label') ?? element.getAttribute('title') ?? '';
        if (['Text field', 'Loading'].includes(label)) return true;
        return label.trim() === '' && (element.textContent ?? '').trim() === '';
      })
      .map((element) => element.outerHTML.slice(0, 200)),
  );
