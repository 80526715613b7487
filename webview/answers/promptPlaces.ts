import type { Given } from '../../src/tasks/run';
import type { Gestures, ImagePoint } from './answerView';

/** A point that a prompt holds: on what is meant, or on what is not. */
export interface PromptPoint extends ImagePoint {
  readonly isInside: boolean;
}

/** Points and a box as they are given, in pixels of the image. */
export interface PromptPlaces {
  readonly points: readonly PromptPoint[];
  readonly box: readonly [x0: number, y0: number, x1: number, y1: number] | undefined;
}

const isNumbers = (value: unknown, count: number): value is readonly number[] =>
  Array.isArray(value) && value.length === count && value.every(Number.isFinite);

/** What a prompt holds; what is no place is left out. */
export function placesOf({ points, labels, box }: Given): PromptPlaces {
  const all: readonly unknown[] = Array.isArray(points) ? points : [];
  const told: readonly unknown[] = Array.isArray(labels) ? labels : [];
  return {
    points: all.flatMap((point, index) =>
      isNumbers(point, 2) ? [{ x: point[0] ?? 0, y: point[1] ?? 0, isInside: told[index] !== 0 }] : [],
    ),
    box: isNumbers(box, 4) ? [box[0] ?? 0, box[1] ?? 0, box[2] ?? 0, box[3] ?? 0] : undefined,
  };
}

/** The same in the words of `predict --spec`. */
function givenOf({ points, box }: PromptPlaces): Given {
  return {
    ...(points.length > 0 && {
      points: points.map(({ x, y }) => [x, y]),
      labels: points.map(({ isInside }) => (isInside ? 1 : 0)),
    }),
    ...(box && { box }),
  };
}

/** A tenth of a pixel is more than a pointer can mean. */
const rounded = ({ x, y }: ImagePoint): ImagePoint => ({
  x: Math.round(10 * x) / 10,
  y: Math.round(10 * y) / 10,
});

/**
 * A click on a point takes it away; elsewhere it adds one: of what is meant, with Shift of what is
 * not.
 */
export const afterClick: Gestures['onClick'] = (given, at, { isShift, reach }) => {
  const places = placesOf(given);
  const hit = places.points.findLastIndex(({ x, y }) => Math.hypot(x - at.x, y - at.y) <= reach);
  const points =
    hit < 0
      ? [...places.points, { ...rounded(at), isInside: !isShift }]
      : places.points.filter((_, index) => index !== hit);
  return givenOf({ ...places, points });
};

/** A drag draws the box around what is meant, in place of the one before. */
export const afterDrag: Gestures['onDrag'] = (given, from, to) => {
  const [one, other] = [rounded(from), rounded(to)];
  const box = [
    Math.min(one.x, other.x),
    Math.min(one.y, other.y),
    Math.max(one.x, other.x),
    Math.max(one.y, other.y),
  ] as const;
  return givenOf({ ...placesOf(given), box });
};
