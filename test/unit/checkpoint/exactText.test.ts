import assert from 'node:assert/strict';
import { exactText } from '../../../src/checkpoint/values';

describe('a single number as it is stored', () => {
  it('keeps integers that 32-bit floats round', () => {
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setBigInt64(0, 16_777_217n, true);
    assert.equal(Math.fround(16_777_217), 16_777_216);
    assert.equal(exactText(bytes, 'I64'), '16777217');
    assert.equal(exactText(bytes.subarray(0, 4), 'I32'), '16777217');
  });

  it('keeps doubles, and leaves the rest to floats', () => {
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setFloat64(0, 0.1, true);
    assert.equal(exactText(bytes, 'F64'), '0.1');
    assert.equal(exactText(bytes, 'F32'), undefined);
    assert.equal(exactText(new Uint8Array(2), 'I64'), undefined);
  });
});
