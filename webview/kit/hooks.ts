import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import type { CallOptions } from '../../src/protocol/channel';
import { failedWith, type Failed } from '../host';
import { answered, asked, failedWithError, givenUp, nothingAsked, type Asked, type Newest } from './newest';

export interface Answer<T> {
  readonly value: T | undefined;
  readonly waiting: boolean;
  readonly error?: Failed;
}

/**
 * Asks again whenever `keys` change; only the newest question's answer counts, and those before it
 * are cancelled. The last value stays while a new one is on its way, so that nothing jumps.
 */
export function useAnswer<T>(
  ask: (call: CallOptions) => Promise<T> | undefined,
  keys: readonly unknown[],
): Answer<T> {
  const [answer, setAnswer] = useState<Answer<T>>({ value: undefined, waiting: true });
  useEffect(() => {
    const abort = new AbortController();
    const { signal } = abort;
    const question = ask({ signal });
    if (!question) return undefined;
    setAnswer((before) => ({ value: before.value, waiting: true }));
    question.then(
      (value) => {
        if (!signal.aborted) setAnswer({ value, waiting: false });
      },
      (error: unknown) => {
        if (!signal.aborted) setAnswer({ value: undefined, waiting: false, error: failedWith(error) });
      },
    );
    return () => abort.abort();
  }, keys);
  return answer;
}

/** What a page asked its host for, as it stands. */
export interface Question<T> {
  /** The newest answer; it stays while another is on its way and if that fails. */
  readonly value: T | undefined;
  readonly busy: boolean;
  /** What is going on: `loading 346 MB`. */
  readonly progress: string;
  readonly error?: Failed | undefined;
}

/** A question and what can be done about it. */
export interface Asking<T> extends Question<T> {
  /** Asks; an earlier question that still waits is cancelled and counts no more. */
  ask(ask: (call: CallOptions) => Promise<T>, onAnswer?: (value: T) => void): void;
  /**
   * Asks when what runs has ended, which counts no more: ending it would cost the process that
   * answers. Of several that wait the newest alone is asked.
   */
  askAfter(ask: (call: CallOptions) => Promise<T>, onAnswer?: (value: T) => void): void;
  /** Ends the question that waits, with the error kind `cancelled`. */
  cancel(): void;
  /** Takes what the host told by itself; a change of what stands, or something new. */
  take(change: (value: T | undefined) => T | undefined): void;
  /** Forgets an error that was read. */
  dismiss(): void;
}

/**
 * The one thing that a page is about: asked by events, where `useAnswer` asks by what it depends
 * on.
 */
export function useQuestion<T>(): Asking<T> {
  const [question, setQuestion] = useState<Question<T>>({ value: undefined, busy: true, progress: '' });
  const running = useRef<AbortController | null>(null);
  const waiting = useRef<(() => void) | null>(null);
  const start: Asking<T>['ask'] = (ask, onAnswer) => {
    const abort = new AbortController();
    running.current = abort;
    waiting.current = null;
    const isNewest = (): boolean => running.current === abort;
    const onProgress = (progress: string): void => {
      if (isNewest()) setQuestion((before) => ({ ...before, progress }));
    };
    const ended = (take: () => void): void => {
      if (!isNewest()) return;
      running.current = null;
      // Superseded while it ran: nobody is told of its end.
      if (waiting.current) waiting.current();
      else take();
    };
    setQuestion(({ value }) => ({ value, busy: true, progress: '' }));
    ask({ signal: abort.signal, onProgress }).then(
      (value) =>
        ended(() => {
          setQuestion({ value, busy: false, progress: '' });
          onAnswer?.(value);
        }),
      (error: unknown) =>
        ended(() => {
          const failed = failedWith(error);
          setQuestion(({ value }) => ({ value, busy: false, progress: '', error: failed }));
        }),
    );
  };
  return {
    ...question,
    ask(ask, onAnswer) {
      running.current?.abort();
      start(ask, onAnswer);
    },
    askAfter(ask, onAnswer) {
      if (running.current) waiting.current = () => start(ask, onAnswer);
      else start(ask, onAnswer);
    },
    cancel() {
      waiting.current = null;
      running.current?.abort();
    },
    take: (change) =>
      setQuestion(({ value, ...before }) => ({ ...before, value: change(value), error: undefined })),
    dismiss: () => setQuestion((before) => ({ ...before, error: undefined })),
  };
}

export interface NewestAnswer<Q, A> extends Newest<Q, A> {
  /** What is going on with the one that runs. */
  readonly progress: string;
  cancel(): void;
  /** Asks once more for what is wanted and failed. */
  retry(): void;
}

/**
 * Asks for the newest question alone; what runs is ended by `cancel`, by another scope and with the
 * page.
 */
export function useNewestAnswer<Q extends Asked, A>(
  question: Q | undefined,
  ask: (question: Q, call: CallOptions) => Promise<A>,
): NewestAnswer<Q, A> {
  const [state, setState] = useState<Newest<Q, A>>(nothingAsked);
  const [progress, setProgress] = useState('');
  // Before the page is drawn, and not a frame after it: that would be a frame for each step.
  useLayoutEffect(() => {
    if (question) setState((before) => asked(before, question));
  }, [JSON.stringify(question)]);
  const { running } = state;
  useLayoutEffect(() => {
    if (!running) return undefined;
    const abort = new AbortController();
    setProgress('');
    ask(running, { signal: abort.signal, onProgress: setProgress }).then(
      (answer) => setState((before) => answered(before, running, answer)),
      (error: unknown) => setState((before) => failedWithError(before, running, failedWith(error))),
    );
    return () => abort.abort();
  }, [running]);
  const isCurrent = ({ question: { scope } }: { question: Q }): boolean => scope === question?.scope;
  const { drawn, failed } = state;
  return {
    ...state,
    // Until the state follows, what is there may be about the thing before.
    drawn: drawn && isCurrent(drawn) ? drawn : undefined,
    failed: failed && isCurrent(failed) ? failed : undefined,
    progress,
    cancel: () => setState(givenUp),
    retry: () => setState((before) => (before.wanted ? asked(before, before.wanted) : before)),
  };
}

/**
 * Whether something has lasted for `delay` milliseconds: what is shorter than that would only
 * flicker.
 */
export function useLate(lasts: boolean, delay: number): boolean {
  const [late, setLate] = useState(false);
  useEffect(() => {
    setLate(false);
    if (!lasts) return undefined;
    const timer = setTimeout(() => setLate(true), delay);
    return () => clearTimeout(timer);
  }, [lasts, delay]);
  return lasts && late;
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
