import type { RefObject } from 'preact';
import { useLayoutEffect, useState } from 'preact/hooks';

export interface RowWindow {
  readonly first: number;
  /** One past the last row to draw. */
  readonly end: number;
}

/**
 * Rows of a list that are to be in the document: those on the screen and `spare` on either side.
 * `top` is the list's top edge relative to the viewport's (negative once scrolled past), all
 * lengths in pixels.
 */
export function rowWindow(
  count: number,
  rowHeight: number,
  top: number,
  viewport: number,
  spare = 20,
): RowWindow {
  const first = Math.floor(-top / rowHeight) - spare;
  const end = Math.ceil((viewport - top) / rowHeight) + spare;
  const clamp = (row: number): number => Math.min(count, Math.max(0, row));
  return { first: clamp(first), end: clamp(end) };
}

/**
 * The window of a list that scrolls with the page; `body` is the element whose height is `count`
 * rows.
 */
export function useRowWindow(
  body: RefObject<HTMLElement | null>,
  count: number,
  rowHeight: number,
): RowWindow & { readonly scrollTo: (row: number) => void } {
  const [range, setRange] = useState<RowWindow>(() => rowWindow(count, rowHeight, 0, 800));
  useLayoutEffect(() => {
    const measure = (): void => {
      const top = body.current?.getBoundingClientRect().top ?? 0;
      const next = rowWindow(count, rowHeight, top, window.innerHeight);
      setRange((before) => (before.first === next.first && before.end === next.end ? before : next));
    };
    measure();
    document.addEventListener('scroll', measure, { passive: true, capture: true });
    window.addEventListener('resize', measure);
    return () => {
      document.removeEventListener('scroll', measure, { capture: true });
      window.removeEventListener('resize', measure);
    };
  }, [count, rowHeight]);
  return {
    first: range.first,
    end: Math.min(range.end, count),
    scrollTo: (row) => scrollTo(body, row, rowHeight),
  };
}

/**
 * Brings a row into view, clear of the heads that stick to the top and the pane that may stick to
 * the bottom.
 */
function scrollTo(body: RefObject<HTMLElement | null>, row: number, rowHeight: number): void {
  const list = body.current?.getBoundingClientRect();
  if (!list) return;
  const y = list.top + row * rowHeight;
  const head = 80;
  const foot = window.innerHeight - coveredFrom(list.left);
  if (y < head) window.scrollBy(0, y - head);
  else if (y + rowHeight > window.innerHeight - foot)
    window.scrollBy(0, y + rowHeight - window.innerHeight + foot);
}

/**
 * Top edge of the details where they lie over the list (a narrow page), else the bottom of the
 * window.
 */
function coveredFrom(left: number): number {
  const pane = document.querySelector('.detail')?.getBoundingClientRect();
  if (!pane || pane.left > left) return window.innerHeight;
  // The pane grows up to this share once its values have arrived (inspector.css).
  return window.innerHeight - Math.max(pane.height, 0.42 * window.innerHeight);
}
