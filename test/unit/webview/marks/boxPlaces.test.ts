import assert from 'node:assert/strict';
import type { Masks, Segment } from '../../../../src/tasks/answer';
import { segmentColours } from '../../../../webview/answers/segmentColours';
import { boxAt, boxRectangle, placeBoxes, type NamedBox } from '../../../../webview/marks/boxPlaces';
import { apart, classColour } from '../../../../webview/marks/classColours';
import { overlayOf } from '../../../../webview/marks/overlay';

const size = [200, 100] as const;
/** Half the image's size, with what the model saw reaching 50 pixels above it. */
const place = overlayOf(size, { x: 0, y: -50, width: 200, height: 200 }, 100, 1000);
const widthOf = (name: string): number => 8 * name.length;
const box = (name: string, corners: NamedBox['corners']): NamedBox => ({ name, corners });

describe('boxes on an image', () => {
  it('lie in its own pixels, beside padding, cut at its edges', () => {
    assert.deepEqual(boxRectangle(place, size, [20, 10, 60, 50]), { x: 10, y: 30, width: 20, height: 20 });
    assert.deepEqual(boxRectangle(place, size, [180, -40, 400, 20]), { x: 90, y: 25, width: 10, height: 10 });
    assert.equal(boxRectangle(place, size, [210, 0, 300, 50]), undefined);
    assert.equal(boxRectangle(place, size, [20, 10, 20, 50]), undefined);
  });

  it('have names beside them that stand on no other and inside of the drawing', () => {
    const same = [20, 20, 150, 90] as const;
    const placed = placeBoxes(
      ['one', 'two', 'three'].map((name) => box(name, same)),
      place,
      size,
      widthOf,
    );
    assert.equal(placed.length, 3);
    assert.equal(placed[0]!.name.y + placed[0]!.name.height, placed[0]!.rectangle.y);
    for (const [index, { name }] of placed.entries()) {
      assert.ok(name.x >= 0 && name.y >= 0);
      assert.ok(name.x + name.width <= place.width && name.y + name.height <= place.height);
      for (const { name: other } of placed.slice(index + 1))
        assert.ok(
          name.x + name.width <= other.x ||
            other.x + other.width <= name.x ||
            name.y + name.height <= other.y ||
            other.y + other.height <= name.y,
          `${index} has another on it`,
        );
    }
  });

  it('are found by name and line before what holds the point, the smallest first', () => {
    const [large, small] = [box('large', [0, 0, 200, 100]), box('small', [40, 20, 120, 80])];
    const placed = placeBoxes([large, small], place, size, widthOf);
    assert.deepEqual(boxAt(placed, 40, 58), { box: small, part: 'inside' });
    assert.deepEqual(boxAt(placed, 80, 50), { box: large, part: 'inside' });
    assert.deepEqual(boxAt(placed, 58, 58), { box: small, part: 'line' });
    assert.deepEqual(boxAt(placed, 63, 58), { box: small, part: 'line' });
    const { name } = placed[0]!;
    assert.deepEqual(boxAt(placed, name.x + 1, name.y + 1), { box: large, part: 'line' });
    assert.equal(boxAt(placed, 80, 2), undefined);
  });

  it('have the colour of their class in every image', () => {
    assert.equal(classColour(17), classColour(17));
    assert.notEqual(classColour(0), classColour(1));
    assert.equal(new Set(Array.from({ length: 24 }, (_, label) => classColour(label))).size, 24);
    assert.equal(classColour(24), classColour(0));
    assert.match(classColour(-1), /^#[0-9a-f]{6}$/);
  });

  it('have colours of their own among those that are seen together', () => {
    assert.deepEqual(apart([1, 2, 25, 26]), [1, 2, 3, 4]);
    assert.deepEqual(apart([23, 47]), [23, 0]);
    const many = apart(Array.from({ length: 30 }, (_, index) => 24 * index));
    assert.equal(new Set(many).size, 24);
    const segment = (id: number, label: number, name: string): Segment => ({ id, label, name, area: 9 });
    const segments = [segment(0, 0, 'background'), segment(7, 1, 'apple'), segment(9, 25, 'train')];
    const answer = { kind: 'masks', of: 'classes', segments } as unknown as Masks;
    assert.deepEqual(
      [...segmentColours(answer)],
      [
        [7, 1],
        [9, 2],
      ],
    );
    assert.deepEqual(
      [...segmentColours({ ...answer, of: 'panoptic' })],
      [
        [0, 0],
        [7, 7],
        [9, 9],
      ],
    );
  });

  it('have colours that are told from the black around them', () => {
    // WCAG 2.2, relative luminance; 3 to 1 is asked of graphics, 4.5 to 1 of names.
    const channel = (value: number): number =>
      value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
    for (let label = 0; label < 24; label++) {
      const [red, green, blue] = [1, 3, 5].map((at) =>
        channel(parseInt(classColour(label).slice(at, at + 2), 16) / 255),
      ) as [number, number, number];
      const contrast = (0.2126 * red + 0.7152 * green + 0.0722 * blue + 0.05) / 0.05;
      assert.ok(contrast >= 4.5, `${classColour(label)}: ${contrast}`);
    }
  });
});
