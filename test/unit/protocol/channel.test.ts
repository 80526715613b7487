import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import {
  createChannel,
  RemoteError,
  type CallContext,
  type Channel,
  type Packet,
} from '../../../src/protocol/channel';

interface TestApi {
  add(left: number, right: number): Promise<number>;
  /** Works until it is told to end. */
  work(name: string, call: CallContext<number>): Promise<string>;
  fail(): Promise<never>;
}

/** Methods that stay open until the test ends them. */
function worker() {
  const open = new Map<
    string,
    { readonly call: CallContext<number>; readonly end: (value: string) => void }
  >();
  const api: TestApi = {
    add: async (left, right) => left + right,
    work: (name, call) => new Promise((end) => open.set(name, { call, end })),
    fail: async () => {
      throw Object.assign(new Error('no such file'), { kind: 'missing' });
    },
  };
  const of = (name: string) => {
    const found = open.get(name);
    assert.ok(found, `${name} was not called`);
    return found;
  };
  return { api, of, isCalled: (name: string) => open.has(name) };
}

/** Both ends in one process; `packets` is what crossed. */
function connected(api: object) {
  const packets: Packet[] = [];
  const near: Channel<TestApi, object> = createChannel<TestApi>((packet) => {
    packets.push(packet);
    far.receive(structuredClone(packet));
  });
  const far: Channel<object, object> = createChannel<object>((packet) => {
    packets.push(packet);
    near.receive(structuredClone(packet));
  }, api);
  return { near, far, packets };
}

const isCancelled = (error: unknown): boolean =>
  error instanceof RemoteError && error.name === 'cancelled' && error.failure.data['kind'] === 'cancelled';

describe('channel', () => {
  it('answers calls, and hands errors on with their fields', async () => {
    const { near } = connected(worker().api);
    assert.equal(await near.remote.add(1, 2), 3);
    assert.equal(await near.call('add', [3, 4]), 7);
    await assert.rejects(
      near.remote.fail(),
      (error) => error instanceof RemoteError && error.failure.data['kind'] === 'missing',
    );
  });

  it('ends a cancelled call at once and its method on the other side', async () => {
    const { api, of } = worker();
    const { near, packets } = connected(api);
    const abort = new AbortController();
    const call = near.call('work', ['long'], { signal: abort.signal });
    assert.equal(of('long').call.signal.aborted, false);
    abort.abort();
    await assert.rejects(call, isCancelled);
    assert.equal(of('long').call.signal.aborted, true);
    of('long').end('late');
    await new Promise(setImmediate);
    assert.deepEqual(
      packets.map(({ kind }) => kind),
      ['call', 'cancel'],
    );
  });

  it('never sends a call that was cancelled before', async () => {
    const { api, isCalled } = worker();
    const { near, packets } = connected(api);
    await assert.rejects(near.call('work', ['never'], { signal: AbortSignal.abort() }), isCancelled);
    assert.equal(isCalled('never'), false);
    assert.deepEqual(packets, []);
  });

  it('cancels one of several calls alone', async () => {
    const { api, of } = worker();
    const { near } = connected(api);
    const abort = new AbortController();
    const first = near.call('work', ['first'], { signal: abort.signal });
    const second = near.remote.work('second');
    abort.abort();
    await assert.rejects(first, isCancelled);
    assert.equal(of('second').call.signal.aborted, false);
    of('second').end('done');
    assert.equal(await second, 'done');
  });

  it('reports progress to its own call, and no longer than that lasts', async () => {
    const { api, of } = worker();
    const { near } = connected(api);
    const heard: (readonly [string, number])[] = [];
    const listen = (name: string) =>
      near.call('work', [name], { onProgress: (value) => heard.push([name, value]) });
    const calls = [listen('one'), listen('two'), near.remote.work('deaf')];
    of('two').call.progress(2);
    of('one').call.progress(1);
    of('deaf').call.progress(3);
    for (const name of ['one', 'two', 'deaf']) of(name).end(name);
    await Promise.all(calls);
    of('one').call.progress(4);
    assert.deepEqual(heard, [
      ['two', 2],
      ['one', 1],
    ]);
  });

  it('takes one set of options for a row of calls', async () => {
    const { api, of } = worker();
    const { near } = connected(api);
    const heard: number[] = [];
    const abort = new AbortController();
    const remote = near.remoteWith({ signal: abort.signal, onProgress: (value) => heard.push(value) });
    assert.equal(await remote.add(1, 1), 2);
    const call = remote.work('long');
    of('long').call.progress(7);
    abort.abort();
    await assert.rejects(call, isCancelled);
    assert.deepEqual(heard, [7]);
  });

  it('leaves no listener on a signal', async () => {
    const { api, of } = worker();
    const { near, far } = connected(api);
    const abort = new AbortController();
    const options = { signal: abort.signal };
    await near.call('add', [1, 2], options);
    await assert.rejects(near.call('fail', [], options));
    const open = near.call('work', ['open'], options);
    assert.equal(getEventListeners(abort.signal, 'abort').length, 1);
    of('open').end('');
    await open;
    assert.equal(getEventListeners(abort.signal, 'abort').length, 0);
    const closed = near.call('work', ['closed'], options);
    near.close('gone');
    far.close('gone');
    await assert.rejects(closed, { name: 'ChannelClosed', message: 'gone' });
    assert.equal(getEventListeners(abort.signal, 'abort').length, 0);
  });

  it('closing ends what waits and aborts what is answered', async () => {
    const { api, of } = worker();
    const { near, far, packets } = connected(api);
    const call = near.remote.work('long');
    far.close('the view was closed');
    assert.equal(of('long').call.signal.aborted, true);
    of('long').end('late');
    near.close('the process ended');
    await assert.rejects(call, { name: 'ChannelClosed', message: 'the process ended' });
    await assert.rejects(near.remote.add(1, 2), { name: 'ChannelClosed' });
    await new Promise(setImmediate);
    assert.deepEqual(
      packets.map(({ kind }) => kind),
      ['call'],
    );
  });

  it('gives calls of a new page other names than those of the page before', async () => {
    const ids = [1, 2].map(() => {
      const { near, packets } = connected(worker().api);
      void near.remote.add(1, 2);
      const [first] = packets;
      return first?.kind === 'call' ? first.id : undefined;
    });
    assert.notEqual(ids[0], ids[1]);
  });

  it('reaches no inherited method, and ignores what belongs to no call', async () => {
    const { near, far } = connected(worker().api);
    const reach = near as unknown as Channel<{ toString(): string }, object>;
    await assert.rejects(reach.call('toString', []), /no method toString/);
    for (const packet of [
      { kind: 'cancel', id: 1 },
      { kind: 'progress', id: 1, value: 'x' },
      { kind: 'reply', id: 1 },
    ] as const)
      far.receive(packet);
  });
});
