import { at, product } from '../../domain/lists';

/**
 * A place along an axis, counted out of one that is given when the graph runs: element
 * `⌊given / divisor⌋ mod size`, or the block of `width` elements that begins at `width` times that.
 * An axis of 14 × 14 tokens that is reshaped to rows and columns has a place with divisor 14 and
 * one with divisor 1.
 */
export interface Place {
  /** Which of the given places: the token's, or its window's. */
  readonly of: string;
  readonly divisor: number;
  readonly size: number;
  readonly width: number;
}

/** What is asked of a value: a place of an axis, or (undefined) all of it. */
export type Selection = readonly (Place | undefined)[];

/** All of a value. */
export const everything: Selection = [];

export const isEverything = (selection: Selection): boolean => selection.every((axis) => !axis);

/** Shape of what is asked. */
export const selectedShape = (shape: readonly number[], selection: Selection): readonly number[] =>
  shape.map((size, axis) => selection[axis]?.width ?? size);

/**
 * A selection of a value under another shape of the same elements: `[heads, 196, keys]` as `[heads,
 * 14, 14, keys]`. Undefined where what is chosen does not lie together there.
 */
export function regroup(
  shape: readonly number[],
  asked: Selection,
  other: readonly number[],
): Selection | undefined {
  const own: (Place | undefined)[] = Array<undefined>(other.length).fill(undefined);
  for (const { left, right } of alignedGroups(shape, other)) {
    const place = merged(left.flatMap((axis) => parts(at(shape, axis), asked[axis])));
    if (place === 'none') return undefined;
    if (place === 'all') continue;
    let { divisor, width } = place;
    for (const axis of right.toReversed()) {
      const size = at(other, axis);
      if (width % size === 0) {
        width /= size;
        continue;
      }
      if (size % width !== 0) return undefined;
      own[axis] = { of: place.of, divisor, size: size / width, width };
      divisor *= size / width;
      width = 1;
    }
  }
  return own;
}

interface AxisGroup {
  readonly left: number[];
  readonly right: number[];
}

/** Axes of two shapes in groups of the same number of elements, as small as they can be. */
function alignedGroups(left: readonly number[], right: readonly number[]): readonly AxisGroup[] {
  const groups: AxisGroup[] = [];
  let [l, r] = [0, 0];
  while (l < left.length || r < right.length) {
    const group: AxisGroup = { left: [], right: [] };
    let [here, there] = [1, 1];
    do {
      if (r >= right.length || (l < left.length && here <= there)) {
        here *= at(left, l);
        group.left.push(l++);
      } else {
        there *= at(right, r);
        group.right.push(r++);
      }
    } while (here !== there && (l < left.length || r < right.length));
    groups.push(group);
  }
  return groups;
}

/** Size of a part of an axis, and the place that is chosen of it. */
type Part = readonly [size: number, place: Place | undefined];

/** An axis with a chosen block is two: one with a place, and one that is whole. */
const parts = (size: number, place: Place | undefined): readonly Part[] =>
  place
    ? [
        [place.size, { ...place, width: 1 }],
        [place.width, undefined],
      ]
    : [[size, undefined]];

/** Neighbouring axes as one, if what is chosen of it is a block: places first, then whole axes. */
function merged(axes: readonly Part[]): Place | 'all' | 'none' {
  const wide = axes.filter(([size]) => size > 1);
  const count = wide.findLastIndex(([, place]) => place) + 1;
  const [chosen, whole] = [wide.slice(0, count), wide.slice(count)];
  const [, last] = chosen.at(-1) ?? [];
  if (!last) return 'all';
  let { divisor } = last;
  for (const [size, place] of chosen.toReversed()) {
    if (place?.of !== last.of || place.divisor !== divisor || place.size !== size) return 'none';
    divisor *= size;
  }
  const sizes = (list: readonly Part[]): number => product(list.map(([size]) => size));
  return { of: last.of, divisor: last.divisor, size: sizes(chosen), width: sizes(whole) };
}
