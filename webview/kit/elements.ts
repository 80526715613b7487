import type { RefObject } from 'preact';
import { useLayoutEffect, useRef, useState } from 'preact/hooks';

/** Width of an element in pixels, followed as it changes; 0 until it is in the document. */
export function useWidth(element: RefObject<HTMLElement | null>): number {
  const [width, setWidth] = useState(0);
  useLayoutEffect(() => {
    const target = element.current;
    if (!target) return undefined;
    setWidth(target.clientWidth);
    const observer = new ResizeObserver(() => setWidth(target.clientWidth));
    observer.observe(target);
    return () => observer.disconnect();
  }, []);
  return width;
}

/** The newest value, for listeners that were registered once. */
export function useNewest<T>(value: T): RefObject<T> {
  const reference = useRef<T>(value);
  reference.current = value;
  return reference;
}

/** Width and height of the page's view in CSS pixels, without scroll bars. */
export interface ViewSize {
  readonly width: number;
  readonly height: number;
}

const viewSize = (): ViewSize => ({
  width: document.documentElement.clientWidth,
  height: window.innerHeight,
});

/** The page's view, followed as it changes. */
export function useViewSize(): ViewSize {
  const [size, setSize] = useState(viewSize);
  useLayoutEffect(() => {
    const onResize = (): void => setSize(viewSize());
    window.addEventListener('resize', onResize);
    return () => window.removeEventListener('resize', onResize);
  }, []);
  return size;
}
