import { ProgressLocation, window } from 'vscode';
import { Cancelled } from './errors';

/** Work below this time passes without a word. */
const patience = 500;

export type Report = (message: string, increment?: number) => void;

/**
 * Runs a task; if it takes longer than half a second, a notification with Cancel tells what is
 * going on. Cancelling aborts the signal, and the returned promise fails with `Cancelled` even
 * if the task does not listen.
 */
export async function withProgress<T>(
  title: string,
  task: (signal: AbortSignal, report: Report) => Promise<T>,
): Promise<T> {
  const abort = new AbortController();
  let latest = '';
  let show: Report = (message) => void (latest = message);
  const work = task(abort.signal, (message, increment) => show(message, increment));
  if (await endsWithin(work, patience)) return work;
  return window.withProgress(
    { location: ProgressLocation.Notification, title, cancellable: true },
    (progress, token) => {
      show = (message, increment) => progress.report({ message, increment });
      if (latest) show(latest);
      const listening = token.onCancellationRequested(() => abort.abort());
      return unlessAborted(work, abort.signal).finally(() => listening.dispose());
    },
  );
}

/**
 * The work, or `Cancelled` as soon as the signal is aborted, even if the work does not listen to
 * it.
 */
export function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = (): void => reject(new Cancelled());
    if (signal.aborted) stop();
    signal.addEventListener('abort', stop, { once: true });
    void work.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop));
  });
}

/** Whether the work ends, one way or the other, in time. */
async function endsWithin(work: Promise<unknown>, milliseconds: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<boolean>((resolve) => (timer = setTimeout(() => resolve(false), milliseconds)));
  const ended = work.then(
    () => true,
    () => true,
  );
  try {
    return await Promise.race([ended, late]);
  } finally {
    clearTimeout(timer);
  }
}
