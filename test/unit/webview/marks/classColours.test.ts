import assert from 'node:assert/strict';
import { classColour, classRgb } from '../../../../webview/marks/classColours';

/** Relative luminance as WCAG 2.2 defines it, 0 to 1. */
function luminance(rgb: readonly [number, number, number]): number {
  const [red, green, blue] = rgb.map((value) => {
    const part = value / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * (red ?? 0) + 0.7152 * (green ?? 0) + 0.0722 * (blue ?? 0);
}

describe('colours of classes', () => {
  const labels = Array.from({ length: 24 }, (_, label) => label);

  it('24 classes in a row have colours of their own, and the next ones begin again', () => {
    assert.equal(new Set(labels.map(classColour)).size, labels.length);
    assert.equal(classColour(24), classColour(0));
  });

  it('each stands out from the black around it by 4.5 : 1 or more', () => {
    for (const label of labels)
      assert.ok((luminance(classRgb(label)) + 0.05) / 0.05 >= 4.5, `class ${label}: ${classColour(label)}`);
  });
});
