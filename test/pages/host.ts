// The extension host's end of the channel, inside the page: what `acquireVsCodeApi` returns answers
// by itself.
import { createChannel, type Packet } from '../../src/protocol/channel';
import { applyTheme, themes, type ThemeName } from './themes';

const options = new URLSearchParams(location.search);

/** Which of a page's cases to show: `?case=unknown`. */
export const shownCase = options.get('case') ?? '';

const STATE = `vitrine-demo:${location.pathname}:${shownCase}`;

/** Everything the page asked for that leaves it: the tests look at it. */
export interface DemoRecord {
  readonly calls: { readonly method: string; readonly values: readonly unknown[] }[];
  /** Answers that take long and wait for a test to let them go, if it asks for that. */
  held?: (() => void)[];
}

declare global {
  interface Window {
    demo: DemoRecord;
    acquireVsCodeApi(): unknown;
  }
}

/** Answers the page's calls with `api`; the result tells the page events. */
export function serveDemo<Events>(api: object): Events {
  const theme = options.get('theme') ?? '';
  applyTheme(theme in themes ? (theme as ThemeName) : 'dark');
  window.demo = { calls: [] };
  const recorded = Object.fromEntries(
    Object.entries(api).map(([method, answer]: [string, (...values: unknown[]) => unknown]) => [
      method,
      (...values: unknown[]) => {
        // The last one is about the call itself.
        window.demo.calls.push({ method, values: values.slice(0, -1) });
        return answer(...values);
      },
    ]),
  );
  const channel = createChannel<object, Events>(
    (packet) => queueMicrotask(() => window.postMessage(structuredClone(packet), '*')),
    recorded,
  );
  window.acquireVsCodeApi = () => ({
    postMessage: (packet: Packet) => channel.receive(structuredClone(packet)),
    getState: () => JSON.parse(sessionStorage.getItem(STATE) ?? 'null') as unknown,
    setState: (state: unknown) => sessionStorage.setItem(STATE, JSON.stringify(state)),
  });
  return channel.tell as Events;
}

/** An error as the host's own cross the channel, with a `kind`. */
export const failure = (message: string, kind: string): Error => Object.assign(new Error(message), { kind });

/** A question that stays open, so that waiting states can be looked at. */
export const never = <T>(): Promise<T> => new Promise(() => undefined);
