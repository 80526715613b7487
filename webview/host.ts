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

/** Calls of the extension host; `events` hears what the host tells this page. */
export function connect<Remote>(events: object): Channel<Remote, object>['remote'] {
  const channel = createChannel<Remote>((packet) => api.postMessage(packet), {}, events);
  window.addEventListener('message', (event: MessageEvent<Packet>) => channel.receive(event.data));
  return channel.remote;
}

/** State that survives a reload of the window and a hidden tab: as `useState`, under a name of its page. */
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

/** State about another subject is none: a panel that turns to another checkpoint begins anew. */
function readState(): SavedState {
  const before = api.getState() as Partial<SavedState> | null | undefined;
  const text = document.body.dataset['subject'];
  const subject = text === undefined ? before?.subject : (JSON.parse(text) as unknown);
  const same = JSON.stringify(subject) === JSON.stringify(before?.subject);
  return { subject, view: (same && before?.view) || {} };
}
