import { useCallback, useState } from 'preact/hooks';
import { createChannel, RemoteError, type Channel, type Packet } from '../src/protocol/channel';
import type { SavedState } from '../src/protocol/page';

interface VsCodeApi {
  postMessage(message: unknown): void;
  getState(): unknown;
  setState(state: unknown): void;
}

declare function acquireVsCodeApi(): VsCodeApi;

const api = acquireVsCodeApi();
let saved = readState();
api.setState(saved);

/**
 * The extension host as a page sees it: methods, and `call` for those that are cancelled or report.
 */
export type Host<Remote> = Pick<Channel<Remote, object>, 'remote' | 'call'>;

/**
 * Connects the page; what the host tells it by itself reaches `hear`. A page is drawn after it is
 * connected, so that it sets what it hears with `listen` while it is mounted.
 */
export function connect<Remote, Events extends object>(
  names: readonly (keyof Events & string)[],
): Host<Remote> & { readonly listen: (events: Events) => void } {
  let heard: Partial<Events> = {};
  const hear = Object.fromEntries(
    names.map((name) => [
      name,
      (...values: unknown[]) => (heard[name] as ((...values: unknown[]) => void) | undefined)?.(...values),
    ]),
  );
  const channel = createChannel<Remote>((packet) => api.postMessage(packet), {}, hear);
  window.addEventListener('message', (event: MessageEvent<Packet>) => channel.receive(event.data));
  return { remote: channel.remote, call: channel.call, listen: (events) => void (heard = events) };
}

/**
 * State that survives a reload of the window and a hidden tab: as `useState`, under a name of its
 * page.
 */
export function useSaved<T>(name: string, initial: T): [T, (value: T) => void] {
  const [value, setValue] = useState<T>(() => (name in saved.view ? (saved.view[name] as T) : initial));
  const set = useCallback(
    (next: T) => {
      saved = { ...saved, view: { ...saved.view, [name]: next } };
      api.setState(saved);
      setValue(() => next);
    },
    [name],
  );
  return [value, set];
}

/** One sentence for people, whatever was thrown. */
export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** The `kind` field that the host put on an error: `cancelled`, `untrusted` … */
export const kindOf = (error: unknown): string =>
  error instanceof RemoteError ? String(error.failure.data['kind'] ?? '') : '';

/** An error as a page shows it. */
export interface Failed {
  readonly message: string;
  readonly kind: string;
}

export const failedWith = (error: unknown): Failed => ({ message: messageOf(error), kind: kindOf(error) });

/** State about another subject is none: a panel that turns to another checkpoint begins anew. */
function readState(): SavedState {
  const before = api.getState() as Partial<SavedState> | null | undefined;
  const text = document.body.dataset['subject'];
  const subject = text === undefined ? before?.subject : (JSON.parse(text) as unknown);
  const same = JSON.stringify(subject) === JSON.stringify(before?.subject);
  return { subject, view: (same && before?.view) || {} };
}
