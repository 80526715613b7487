import assert from 'node:assert/strict';
import { sizeChoices, sizeError } from '../../../webview/image/imageSize';

describe('image sizes', () => {
  it('are steps around the native one, then half as large again and twice', () =>
    assert.deepEqual(sizeChoices({ current: [256, 256], native: [224, 224], step: [16, 16] }), [
      '192×192',
      '208×208',
      '224×224',
      '240×240',
      '256×256',
      '336×336',
      '448×448',
    ]));

  it('keep to the step of each side, and to sizes of at least one step', () =>
    assert.deepEqual(sizeChoices({ current: [16, 48], native: [16, 48], step: [16, 16] }), [
      '16×48',
      '32×64',
      '32×80',
      '32×96',
      '48×80',
    ]));

  it('are the native one alone where no other fits', () =>
    assert.deepEqual(sizeChoices({ current: [224, 224], native: [224, 224], step: [0, 0] }), ['224×224']));

  it('are refused only where they are none', () => {
    for (const text of ['224', '160x320', ' 160 × 320 ']) assert.equal(sizeError(text), '');
    for (const text of ['', 'large', '0', '16x', '1.5']) assert.notEqual(sizeError(text), '', text);
  });
});
