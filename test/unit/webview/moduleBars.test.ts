import assert from 'node:assert/strict';
import { moduleBars, totalMacs } from '../../../webview/complexity/moduleBars';
import { complexityReport, vitB16 } from '../../pages/vit';

describe('bars per part of the model', () => {
  const report = complexityReport(vitB16);
  const bars = moduleBars(report.modules);

  it('account for every MAC', () => {
    const sum = bars.reduce((whole, bar) => whole + totalMacs(bar.macs), 0);
    assert.equal(sum, totalMacs(report.macs));
    assert.equal(sum, 17_563_828_224);
  });

  it('split the blocks into what they are made of, over all repetitions', () => {
    const attention = bars.find(({ label }) => label === 'blocks.attn');
    assert.equal(attention?.times, 12);
    assert.equal(attention?.macs.attention, 12 * 2 * 197 ** 2 * 768);
  });

  it('are few', () => assert.ok(bars.length > 2 && bars.length <= 8));

  it('keep a part whose own work its children do not hold', () => {
    // attn multiplies queries and keys itself: qkv and proj alone would lose that.
    assert.ok(!bars.some(({ label }) => label.endsWith('qkv')));
  });
});
