import type { Disposable, Webview } from 'vscode';
import { createChannel, type Packet } from '../../protocol/channel';
import { Cancelled, messageOf } from '../dialogue/errors';
import type { Log } from '../log';

/** The host's end of a page: tells it events; the page's calls go to `api`. */
export interface Connection<Events> extends Disposable {
  readonly tell: { readonly [K in keyof Events]: Events[K] };
}

/**
 * Serves `api` to the page of a webview. A call that fails is logged here once and shown by the
 * page, which has the place to say what to do about it.
 */
export function serve<Api extends object, Events extends object>(
  webview: Webview,
  api: Api,
  log: Log,
): Connection<Events> {
  const channel = createChannel<object, Events>(
    (packet) => void webview.postMessage(packet),
    logFailures(api, log),
  );
  const listening = webview.onDidReceiveMessage((packet: Packet) => channel.receive(packet));
  return {
    tell: channel.tell as Connection<Events>['tell'],
    dispose() {
      listening.dispose();
      channel.close('the view was closed');
    },
  };
}

/** The user's own: by the editor, or by the inference process. */
const isCancelled = (error: unknown): boolean =>
  error instanceof Cancelled || (error instanceof Error && error.name === 'cancelled');

function logFailures(api: object, log: Log): object {
  const logged = Object.entries(api).map(([name, method]: [string, (...values: unknown[]) => unknown]) => [
    name,
    async (...values: unknown[]) => {
      try {
        return await method(...values);
      } catch (error) {
        if (!isCancelled(error)) log.error(`${name}: ${messageOf(error)}`);
        throw error;
      }
    },
  ]);
  return Object.fromEntries(logged) as object;
}
