/**
 * Signals that live longer than what listens to them. A listener that stays on such a signal keeps
 * its whole request alive, answer included; so does `AbortSignal.any`, whose sources remember every
 * signal that was made of them for as long as somebody listens to it (nodejs/node#54614). Here
 * whoever listens ends with the work.
 */

/**
 * Runs a task with a signal that aborts as soon as one of `sources` does; nothing listens to them
 * after it has ended.
 */
export async function withAnySignal<T>(
  sources: readonly (AbortSignal | undefined)[],
  task: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const controller = new AbortController();
  const abort = (): void => controller.abort();
  const signals = sources.filter((source) => source !== undefined);
  if (signals.some(({ aborted }) => aborted)) abort();
  for (const source of signals) source.addEventListener('abort', abort, { once: true });
  try {
    return await task(controller.signal);
  } finally {
    for (const source of signals) source.removeEventListener('abort', abort);
  }
}

/**
 * The work, or the error that `reason` makes as soon as the signal is aborted, even if the work
 * does not listen to it.
 */
export function unlessAborted<T>(work: Promise<T>, signal: AbortSignal, reason: () => Error): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = (): void => reject(reason());
    if (signal.aborted) stop();
    signal.addEventListener('abort', stop, { once: true });
    void work.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop));
  });
}
