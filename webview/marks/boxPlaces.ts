import type { Rectangle } from '../../src/domain/size';
import { clippedBox } from '../../src/tasks/post/box';
import type { Overlay } from './overlay';

/** A box to draw, corners in pixels of the image. */
export interface NamedBox {
  readonly corners: readonly [x0: number, y0: number, x1: number, y1: number];
  readonly name: string;
}

/** A box with the place of its name, in CSS pixels of the drawing. */
export interface PlacedBox<B extends NamedBox> {
  readonly box: B;
  readonly rectangle: Rectangle;
  readonly name: Rectangle;
}

/** Height of a name, and pixels beside a line that still hit it. */
const sizes = { name: 18, reach: 5 } as const;

/** Where a box lies in the drawing, cut at the image's edges; undefined if it lies outside. */
export function boxRectangle(
  { image, scale }: Overlay,
  size: readonly [width: number, height: number],
  corners: NamedBox['corners'],
): Rectangle | undefined {
  const cut = clippedBox(corners, [size[1], size[0]]);
  if (!cut) return undefined;
  const [x0, y0, x1, y1] = cut.map((side) => side * scale) as [number, number, number, number];
  return { x: image.x + x0, y: image.y + y0, width: x1 - x0, height: y1 - y0 };
}

/**
 * Places boxes and their names, the first ones' first: over a box, inside of it or under it, where
 * no name stands yet; all inside of the drawing.
 *
 * @param widthOf width of a name in CSS pixels
 */
export function placeBoxes<B extends NamedBox>(
  boxes: readonly B[],
  place: Overlay,
  size: readonly [width: number, height: number],
  widthOf: (name: string) => number,
): readonly PlacedBox<B>[] {
  const taken: Rectangle[] = [];
  return boxes.flatMap((box) => {
    const rectangle = boxRectangle(place, size, box.corners);
    if (!rectangle) return [];
    const width = Math.min(widthOf(box.name), place.width);
    const places = namePlaces(rectangle, width).map((each) => keptInside(each, place));
    const name = places.find((each) => !taken.some((other) => meet(each, other))) ?? places[0];
    if (!name) return [];
    taken.push(name);
    return [{ box, rectangle, name }];
  });
}

function namePlaces({ x, y, width: wide, height }: Rectangle, width: number): readonly Rectangle[] {
  const [right, bottom] = [x + wide - width, y + height];
  const corners: readonly (readonly [number, number])[] = [
    [x, y - sizes.name],
    [x, y],
    [x, bottom],
    [right, y],
    [x, bottom - sizes.name],
    [right, bottom - sizes.name],
  ];
  return corners.map(([left, top]) => ({ x: left, y: top, width, height: sizes.name }));
}

const keptInside = (each: Rectangle, place: Pick<Overlay, 'width' | 'height'>): Rectangle => ({
  ...each,
  x: Math.max(0, Math.min(each.x, place.width - each.width)),
  y: Math.max(0, Math.min(each.y, place.height - each.height)),
});

const meet = (one: Rectangle, other: Rectangle): boolean =>
  one.x < other.x + other.width &&
  other.x < one.x + one.width &&
  one.y < other.y + other.height &&
  other.y < one.y + one.height;

const holds = ({ x, y, width, height }: Rectangle, left: number, top: number, reach = 0): boolean =>
  left >= x - reach && left <= x + width + reach && top >= y - reach && top <= y + height + reach;

/** What of a box is under a point. */
export interface BoxHit<B extends NamedBox> {
  readonly box: B;
  readonly part: 'line' | 'inside';
}

/**
 * The box under a point of the drawing: by its name or line before one that holds the point, and of
 * several the smallest, which no other can be reached through.
 */
export function boxAt<B extends NamedBox>(
  placed: readonly PlacedBox<B>[],
  x: number,
  y: number,
): BoxHit<B> | undefined {
  const area = ({ rectangle: { width, height } }: PlacedBox<B>): number => width * height;
  const bySize = [...placed].sort((one, other) => area(one) - area(other));
  const named = placed.find(({ name }) => holds(name, x, y));
  const lined = named ?? bySize.find(({ rectangle }) => isOnLine(rectangle, x, y));
  if (lined) return { box: lined.box, part: 'line' };
  const inside = bySize.find(({ rectangle }) => holds(rectangle, x, y));
  return inside && { box: inside.box, part: 'inside' };
}

function isOnLine(rectangle: Rectangle, left: number, top: number): boolean {
  const { reach } = sizes;
  const { x, y, width, height } = rectangle;
  const inner = { x: x + reach, y: y + reach, width: width - 2 * reach, height: height - 2 * reach };
  const isInner = inner.width > 0 && inner.height > 0 && holds(inner, left, top);
  return holds(rectangle, left, top, reach) && !isInner;
}
