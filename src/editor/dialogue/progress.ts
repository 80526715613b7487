import { ProgressLocation, window } from 'vscode';
import { unlessAborted } from '../../domain/aborting';
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
      return unlessCancelled(work, abort.signal).finally(() => listening.dispose());
    },
  );
}

/** The work, or `Cancelled` as soon as the signal is aborted, even if the work does not listen. */
export const unlessCancelled = <T>(work: Promise<T>, signal: AbortSignal): Promise<T> =>
  unlessAborted(work, signal, () => new Cancelled());

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
