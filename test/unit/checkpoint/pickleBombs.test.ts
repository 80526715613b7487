// Pickles that cost far more than they weigh. Numbers are written out, as in limits.test.ts.
import assert from 'node:assert/strict';
import { unpickle } from '../../../src/checkpoint/pickle/pickle';

const named = (count: number): Uint8Array =>
  Buffer.from(
    `\x80\x02(${Array.from({ length: count }, (_, index) => `cm${index}\nn\n`).join('')}l.`,
    'latin1',
  );

describe('limits of a pickle', () => {
  it('allow 10,000 different names of classes and functions', () => {
    unpickle(named(10_000));
    assert.throws(() => unpickle(named(10_001)), /more than 10000 names of classes and functions/);
  });

  it('allow the same name again and again', () => {
    unpickle(Buffer.from(`\x80\x02(${'ccollections\nOrderedDict\n'.repeat(50_000)}l.`, 'latin1'));
  });

  it('allow a text of a million characters with escapes, in either opcode', () => {
    for (const quote of ['V', "S'"]) {
      const text = (length: number): Uint8Array =>
        Buffer.from(`${quote}${'a'.repeat(length)}${quote === 'V' ? '' : "'"}\n.`, 'latin1');
      const quotes = quote === 'V' ? 0 : 2;
      unpickle(text(1_000_000 - quotes));
      assert.throws(() => unpickle(text(1_000_001 - quotes)), /a text of 1000001 characters with escapes/);
    }
  });
});
