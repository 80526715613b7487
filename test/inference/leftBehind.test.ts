import assert from 'node:assert/strict';
import { leftBehind } from '../soak/memory';

describe('many requests', () => {
  // `npm run soak` is the same with 2,000 and 20,000; a listener or a map for each shows here, too.
  it('leave no listener behind, and no memory that grows with their number', async () => {
    const { host, child, listeners } = await leftBehind(60, 200);
    assert.equal(listeners, 0);
    // A map of the sample that was kept would be 0.4 MB a run.
    assert.ok(host < 4e6, `${host} bytes in the host`);
    assert.ok(child < 20e6, `${child} bytes in the child`);
  });
});
