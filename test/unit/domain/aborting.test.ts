import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { unlessAborted, withAnySignal } from '../../../src/domain/aborting';

const listeners = (signal: AbortSignal): number => getEventListeners(signal, 'abort').length;

describe('signals that live longer than the work', () => {
  const reason = (): Error => new Error('stopped');

  it('abort the work by any of them, and keep nobody who listened', async () => {
    const [long, other] = [new AbortController(), new AbortController()];
    for (let call = 0; call < 100; call++) {
      await withAnySignal([long.signal, undefined, other.signal], async (signal) => {
        assert.equal(signal.aborted, false);
        assert.equal(listeners(long.signal), 1);
      });
      await assert.rejects(
        withAnySignal([long.signal], () => Promise.reject(new Error('failed'))),
        /failed/,
      );
    }
    assert.equal(listeners(long.signal) + listeners(other.signal), 0);
    const work = withAnySignal([long.signal, other.signal], (signal) =>
      unlessAborted(new Promise(() => undefined), signal, reason),
    );
    other.abort();
    await assert.rejects(work, /stopped/);
    assert.equal(listeners(long.signal), 0);
  });

  it('abort at once what begins after they were aborted', async () => {
    const ended = AbortSignal.abort();
    await withAnySignal([new AbortController().signal, ended], async (signal) => assert(signal.aborted));
    await assert.rejects(unlessAborted(Promise.resolve(1), ended, reason), /stopped/);
  });

  it('let work that ends first have its answer, and are left alone after it', async () => {
    const { signal } = new AbortController();
    assert.equal(await unlessAborted(Promise.resolve(7), signal, reason), 7);
    await assert.rejects(unlessAborted(Promise.reject(new Error('failed')), signal, reason), /failed/);
    await new Promise(setImmediate);
    assert.equal(listeners(signal), 0);
  });
});
