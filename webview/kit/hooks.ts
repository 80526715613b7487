import type { RefObject } from 'preact';
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { kindOf, messageOf } from '../host';

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

export interface Answer<T> {
  readonly value: T | undefined;
  readonly waiting: boolean;
  readonly error?: { readonly message: string; readonly kind: string };
}

/**
 * Asks again whenever `keys` change; only the newest question's answer counts. The last value stays while a new one is on its
 * way, so that nothing jumps.
 */
export function useAnswer<T>(ask: () => Promise<T> | undefined, keys: readonly unknown[]): Answer<T> {
  const [answer, setAnswer] = useState<Answer<T>>({ value: undefined, waiting: true });
  useEffect(() => {
    let current = true;
    const question = ask();
    if (!question) return undefined;
    setAnswer((before) => ({ value: before.value, waiting: true }));
    question.then(
      (value) => current && setAnswer({ value, waiting: false }),
      (error: unknown) =>
        current &&
        setAnswer({
          value: undefined,
          waiting: false,
          error: { message: messageOf(error), kind: kindOf(error) },
        }),
    );
    return () => {
      current = false;
    };
  }, keys);
  return answer;
}

/** A value that follows `value` once it has stood still for `delay` milliseconds. */
export function useSettled<T>(value: T, delay: number): T {
  const [settled, setSettled] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(() => value), delay);
    return () => clearTimeout(timer);
  }, [value, delay]);
  return settled;
}

/** Counts how often VS Code changed its theme: a dependency for what is drawn on a canvas. */
export function useTheme(): number {
  const [changes, setChanges] = useState(0);
  useEffect(() => {
    const observer = new MutationObserver(() => setChanges((count) => count + 1));
    observer.observe(document.body, { attributes: true, attributeFilter: ['class', 'data-vscode-theme-id'] });
    return () => observer.disconnect();
  }, []);
  return changes;
}

/** The newest value, for listeners that were registered once. */
export function useNewest<T>(value: T): RefObject<T> {
  const reference = useRef<T>(value);
  reference.current = value;
  return reference;
}
