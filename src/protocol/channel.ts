/** One packet between two processes: a call, its reply, or an event that wants none. */
export type Packet =
  | {
      readonly kind: 'call';
      readonly id: number;
      readonly method: string;
      readonly values: readonly unknown[];
    }
  | { readonly kind: 'reply'; readonly id: number; readonly value?: unknown; readonly error?: RemoteFailure }
  | { readonly kind: 'event'; readonly method: string; readonly values: readonly unknown[] };

/** An error as it crosses a process border. */
export interface RemoteFailure {
  readonly name: string;
  readonly message: string;
  /** Further plain fields of the error (`kind`, `path`). */
  readonly data: Readonly<Record<string, unknown>>;
}

/** A call that failed on the other side, or whose other side went away. */
export class RemoteError extends Error {
  constructor(
    readonly failure: RemoteFailure,
    options?: ErrorOptions,
  ) {
    super(failure.message, options);
    this.name = failure.name;
  }
}

/** Methods by name; every one ends in a reply or an error. */
export type Api<T> = { readonly [K in keyof T]: (...values: never[]) => unknown };

type Calls<T> = {
  readonly [K in keyof T]: T[K] extends (...values: infer V) => infer R
    ? (...values: V) => Promise<Awaited<R>>
    : never;
};
type Events<T> = {
  readonly [K in keyof T]: T[K] extends (...values: infer V) => void ? (...values: V) => void : never;
};

/** The local end of a connection. */
export interface Channel<Remote, RemoteEvents> {
  /** Methods of the other side; calling one sends a packet and waits for its reply. */
  readonly remote: Calls<Remote>;
  /** Tells the other side something; nothing comes back. */
  readonly tell: Events<RemoteEvents>;
  /** Hands a received packet in. */
  receive(packet: Packet): void;
  /** Fails every call that still waits, with the reason; later calls fail at once. */
  close(reason: string): void;
}

/**
 * Connects two processes by a `post` function. `local` answers the other side's calls, `events` hears what it tells.
 * Every call ends: reply, error, or the reason given to `close`.
 */
export function createChannel<Remote, RemoteEvents = object>(
  post: (packet: Packet) => void,
  local: object = {},
  events: object = {},
): Channel<Remote, RemoteEvents> {
  const waiting = new Map<number, { resolve: (value: unknown) => void; reject: (reason: Error) => void }>();
  let next = 1;
  let closed: string | undefined;

  const call = (method: string, values: readonly unknown[]): Promise<unknown> =>
    new Promise((resolve, reject) => {
      if (closed !== undefined) return reject(ended(closed));
      const id = next++;
      waiting.set(id, { resolve, reject });
      try {
        post({ kind: 'call', id, method, values });
      } catch (error) {
        waiting.delete(id);
        reject(error instanceof Error ? error : new Error(String(error)));
      }
    });

  const answer = async (id: number, method: string, values: readonly unknown[]): Promise<void> => {
    try {
      const value = await methodOf(local, method)(...values);
      if (closed === undefined) post({ kind: 'reply', id, value });
    } catch (error) {
      if (closed === undefined) post({ kind: 'reply', id, error: failureOf(error) });
    }
  };

  return {
    remote: proxy(
      (method) =>
        (...values: unknown[]) =>
          call(method, values),
    ) as Calls<Remote>,
    tell: proxy((method) => (...values: unknown[]) => {
      if (closed === undefined) post({ kind: 'event', method, values });
    }) as Events<RemoteEvents>,
    receive(packet) {
      if (packet.kind === 'call') return void answer(packet.id, packet.method, packet.values);
      if (packet.kind === 'event')
        return void methodOf(events, packet.method, () => undefined)(...packet.values);
      const waiter = waiting.get(packet.id);
      waiting.delete(packet.id);
      if (packet.error) waiter?.reject(new RemoteError(packet.error));
      else waiter?.resolve(packet.value);
    },
    close(reason) {
      closed ??= reason;
      for (const waiter of waiting.values()) waiter.reject(ended(reason));
      waiting.clear();
    },
  };
}

/** An error's name, message and plain fields. */
export function failureOf(error: unknown): RemoteFailure {
  if (!(error instanceof Error)) return { name: 'Error', message: String(error), data: {} };
  const data = Object.fromEntries(
    Object.entries(error).filter(([, value]) => ['string', 'number', 'boolean'].includes(typeof value)),
  );
  return { name: error.name, message: error.message, data };
}

const ended = (reason: string): RemoteError =>
  new RemoteError({ name: 'ChannelClosed', message: reason, data: {} });

function methodOf(
  target: object,
  method: string,
  otherwise?: () => unknown,
): (...values: unknown[]) => unknown {
  // Only the object's own methods: a packet must not reach `constructor` or anything inherited.
  const found: unknown = Object.hasOwn(target, method)
    ? (target as Record<string, unknown>)[method]
    : otherwise;
  if (typeof found !== 'function') throw new Error(`no method ${method} on this side`);
  return (...values) => (found as (...values: unknown[]) => unknown).apply(target, values);
}

function proxy(method: (name: string) => unknown): object {
  // `then` must stay undefined: an object with it would be taken for a promise when it is awaited.
  return new Proxy(
    {},
    { get: (_, name) => (typeof name === 'string' && name !== 'then' ? method(name) : undefined) },
  );
}
