/**
 * One packet between two processes: a call, what belongs to it, or an event that wants no answer.
 */
export type Packet =
  | {
      readonly kind: 'call';
      readonly id: number;
      readonly method: string;
      readonly values: readonly unknown[];
    }
  | { readonly kind: 'reply'; readonly id: number; readonly value?: unknown; readonly error?: RemoteFailure }
  /** From the caller: the call's result is no longer wanted. */
  | { readonly kind: 'cancel'; readonly id: number }
  /** To the caller: how far the call is. */
  | { readonly kind: 'progress'; readonly id: number; readonly value: unknown }
  | { readonly kind: 'event'; readonly method: string; readonly values: readonly unknown[] };

/** An error as it crosses a process border. */
export interface RemoteFailure {
  readonly name: string;
  readonly message: string;
  /** Further plain fields of the error (`kind`, `path`). */
  readonly data: Readonly<Record<string, unknown>>;
}

/** A call that failed on the other side, that was cancelled, or whose other side went away. */
export class RemoteError extends Error {
  constructor(
    readonly failure: RemoteFailure,
    options?: ErrorOptions,
  ) {
    super(failure.message, options);
    this.name = failure.name;
  }
}

/**
 * What a method gets behind its values. An API names it in the signatures of those methods that
 * listen to it or report; the caller does not pass it. Values in front of it are never optional, or
 * it would stand in the wrong place.
 */
export interface CallContext<Progress = string> {
  /** Aborted when the caller cancels the call or goes away. */
  readonly signal: AbortSignal;
  /** Reports to the caller of this call alone. */
  progress(value: Progress): void;
}

/** What a caller may say about a call. */
export interface CallOptions<Progress = string> {
  /**
   * Ends the call at once with the kind `cancelled`, and its method on the other side by the
   * method's own signal.
   */
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((value: Progress) => void) | undefined;
}

type Method = (...values: never[]) => unknown;
type Context = CallContext<never>;

/** What a caller passes: everything in front of the context. */
export type ValuesOf<M> = M extends (...values: infer V) => unknown
  ? V extends [...infer Own, Context]
    ? Own
    : V
  : never;
/** What a method reports while it works; `never` if its signature names no context. */
export type ProgressOf<M> = M extends (...values: infer V) => unknown
  ? V extends [...unknown[], CallContext<infer Progress>]
    ? Progress
    : never
  : never;
export type ResultOf<M> = M extends Method ? Awaited<ReturnType<M>> : never;

/** Methods of the other side as functions that end in a reply or an error. */
export type Calls<Api> = {
  readonly [K in keyof Api]: (...values: ValuesOf<Api[K]>) => Promise<ResultOf<Api[K]>>;
};
type Events<Api> = {
  readonly [K in keyof Api]: Api[K] extends (...values: infer V) => void ? (...values: V) => void : never;
};

/** The local end of a connection. */
export interface Channel<Remote, RemoteEvents> {
  /** Methods of the other side; calling one sends a packet and waits for its reply. */
  readonly remote: Calls<Remote>;
  /**
   * Calls a method of the other side, with a signal that cancels the call and a listener for its
   * progress.
   */
  call<K extends keyof Remote & string>(
    method: K,
    values: ValuesOf<Remote[K]>,
    options?: CallOptions<ProgressOf<Remote[K]>>,
  ): Promise<ResultOf<Remote[K]>>;
  /**
   * The remote methods, each call with these options: for a row of calls that belong to one
   * request.
   */
  remoteWith(options: CallOptions<ProgressOf<Remote[keyof Remote]>>): Calls<Remote>;
  /** Tells the other side something; nothing comes back. */
  readonly tell: Events<RemoteEvents>;
  /** Hands a received packet in. */
  receive(packet: Packet): void;
  /**
   * Fails every call that still waits, aborts those that are answered here; later calls fail at
   * once.
   */
  close(reason: string): void;
}

interface Waiter {
  readonly resolve: (value: unknown) => void;
  readonly reject: (reason: Error) => void;
  readonly onProgress: ((value: never) => void) | undefined;
}

/**
 * Connects two processes by a `post` function. `local` answers the other side's calls, `events`
 * hears what it tells. Every call ends: reply, error, `cancelled`, or the reason given to `close`.
 */
export function createChannel<Remote, RemoteEvents = object>(
  post: (packet: Packet) => void,
  local: object = {},
  events: object = {},
): Channel<Remote, RemoteEvents> {
  const waiting = new Map<number, Waiter>();
  const answering = new Map<number, AbortController>();
  // A page that is loaded anew must not take the answers to the calls of the page before for its
  // own.
  let next = 1 + Math.floor(2 ** 40 * Math.random());
  let closed: string | undefined;

  const call = (
    method: string,
    values: readonly unknown[],
    { signal, onProgress }: CallOptions<never> = {},
  ): Promise<unknown> =>
    new Promise((resolve, reject) => {
      if (closed !== undefined) return reject(ended(closed));
      if (signal?.aborted) return reject(cancelled());
      const id = next++;
      const settled = (): void => {
        waiting.delete(id);
        signal?.removeEventListener('abort', abort);
      };
      const abort = (): void => {
        settled();
        reject(cancelled());
        post({ kind: 'cancel', id });
      };
      waiting.set(id, {
        resolve: (value) => (settled(), resolve(value)),
        reject: (reason) => (settled(), reject(reason)),
        onProgress,
      });
      signal?.addEventListener('abort', abort, { once: true });
      try {
        post({ kind: 'call', id, method, values });
      } catch (error) {
        settled();
        reject(error instanceof Error ? error : new Error(String(error)));
      }
    });

  const answer = async (id: number, method: string, values: readonly unknown[]): Promise<void> => {
    const abort = new AbortController();
    answering.set(id, abort);
    const { signal } = abort;
    const isWanted = (): boolean => closed === undefined && !signal.aborted;
    const context: CallContext<unknown> = {
      signal,
      progress: (value) => {
        if (isWanted() && answering.has(id)) post({ kind: 'progress', id, value });
      },
    };
    try {
      const value = await methodOf(local, method)(...values, context);
      if (isWanted()) post({ kind: 'reply', id, value });
    } catch (error) {
      if (isWanted()) post({ kind: 'reply', id, error: failureOf(error) });
    } finally {
      answering.delete(id);
    }
  };

  const remoteWith = (options: CallOptions<never>): Calls<Remote> =>
    proxy(
      (method) =>
        (...values: unknown[]) =>
          call(method, values, options),
    ) as Calls<Remote>;

  return {
    remote: remoteWith({}),
    call: call as Channel<Remote, RemoteEvents>['call'],
    remoteWith,
    tell: proxy((method) => (...values: unknown[]) => {
      if (closed === undefined) post({ kind: 'event', method, values });
    }) as Events<RemoteEvents>,
    receive(packet) {
      switch (packet.kind) {
        case 'call':
          return void answer(packet.id, packet.method, packet.values);
        case 'cancel':
          return answering.get(packet.id)?.abort();
        case 'progress':
          return waiting.get(packet.id)?.onProgress?.(packet.value as never);
        case 'event':
          return void methodOf(events, packet.method, () => undefined)(...packet.values);
        case 'reply':
          if (packet.error) waiting.get(packet.id)?.reject(new RemoteError(packet.error));
          else waiting.get(packet.id)?.resolve(packet.value);
      }
    },
    close(reason) {
      closed ??= reason;
      for (const waiter of [...waiting.values()]) waiter.reject(ended(reason));
      for (const abort of [...answering.values()]) abort.abort();
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

const cancelled = (): RemoteError =>
  new RemoteError({ name: 'cancelled', message: 'cancelled', data: { kind: 'cancelled' } });

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
