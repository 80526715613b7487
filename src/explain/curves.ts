import { at, increase } from '../domain/lists';
import type { Grid } from '../domain/size';
import type { Explained, Values } from './explained';
import { shuffled } from './random';

/** Which images a curve goes from and to, and in which order of cells. */
export interface CurveKind {
  readonly name: string;
  readonly from: 'image' | 'mean' | 'blurred';
  readonly to: 'image' | 'mean' | 'blurred';
  readonly order: 'saliency' | 'random';
}

/** Deletion and insertion (Petsiuk et al. 2018, §4.2), beside a random order and the other fill. */
export const curveKinds: readonly CurveKind[] = [
  { name: 'deletion', from: 'image', to: 'mean', order: 'saliency' },
  { name: 'insertion', from: 'blurred', to: 'image', order: 'saliency' },
  { name: 'deletion.random', from: 'image', to: 'mean', order: 'random' },
  { name: 'insertion.random', from: 'blurred', to: 'image', order: 'random' },
  { name: 'deletion.blur', from: 'image', to: 'blurred', order: 'saliency' },
  { name: 'insertion.mean', from: 'mean', to: 'image', order: 'saliency' },
];

/** Steps of a curve at most: more cells than that are changed several at a time. */
export const mostSteps = 64;
const randomSeed = 7;

/** Cells by falling saliency; of equal ones those of a lower place first. */
export const byFalling = (saliency: ArrayLike<number>): readonly number[] =>
  Array.from({ length: saliency.length }, (_, cell) => cell).sort(
    (a, b) => at(saliency, b) - at(saliency, a) || a - b,
  );

/** Cells of a grid in the order in which they are changed; one that is given goes one by one. */
export interface CellOrder {
  readonly grid: Grid;
  readonly order: readonly number[];
  readonly isGiven?: boolean;
}

/** The score after 0, 1 … all cells of an image became those of another. */
export async function curve(
  explained: Explained,
  { name, from, to, order }: CurveKind,
  { grid, order: saliency, isGiven = false }: CellOrder,
): Promise<Float32Array> {
  const { pixels, progress } = explained.question;
  const images = {
    image: pixels,
    mean: { ...pixels, data: pixels.data.map(() => 0) },
    blurred: blurred(pixels),
  };
  const [, channels = 1, height = 1, width = 1] = pixels.shape;
  const cells = order === 'random' ? Array.from(shuffled(saliency.length, randomSeed)) : saliency;
  const each = isGiven ? 1 : Math.ceil(cells.length / mostSteps);
  const rank = new Int32Array(cells.length);
  cells.forEach((cell, place) => (rank[cell] = place));
  const ranks = Int32Array.from({ length: height * width }, (_, place) => {
    const row = Math.floor((Math.floor(place / width) * grid[0]) / height);
    return rank[row * grid[1] + Math.floor(((place % width) * grid[1]) / width)] ?? 0;
  });
  const scores: number[] = [];
  for (let changed = 0; ; changed = Math.min(cells.length, changed + each)) {
    progress?.(`${name}, ${changed} of ${cells.length} cells`);
    const data = images[from].data.slice();
    for (let place = 0; place < ranks.length; place++)
      if (at(ranks, place) < changed)
        for (let channel = 0; channel < channels; channel++) {
          const pixel = channel * height * width + place;
          data[pixel] = at(images[to].data, pixel);
        }
    scores.push(await explained.scoreAt({ shape: pixels.shape, data }));
    if (changed === cells.length) return Float32Array.from(scores);
  }
}

/** Area under a curve, the ends counting half. */
export const area = (scores: Float32Array): number =>
  (scores.reduce((sum, score) => sum + score, 0) - at(scores, 0) / 2 - at(scores, scores.length - 1) / 2) /
  Math.max(1, scores.length - 1);

/** Pixels on each side of the centre, and the deviation, of RISE's blur. */
const blurReach = 5;
const blurSigma = 5;

/**
 * A Gaussian of 11 pixels, cut off and reflected at its own border as scipy filters a single point,
 * and zeros around the image: RISE's baseline (Petsiuk et al. 2018).
 */
function blurWeights(): Float64Array {
  const length = 2 * blurReach + 1;
  // scipy cuts at four deviations; what reaches beyond the window comes back in from its border.
  const reach = Math.floor(4 * blurSigma + 0.5);
  const weights = Array.from({ length: 2 * reach + 1 }, (_, place) =>
    Math.exp(-((place - reach) ** 2) / (2 * blurSigma ** 2)),
  );
  const sum = weights.reduce((total, weight) => total + weight, 0);
  const result = new Float64Array(length);
  for (let place = 0; place < length; place++)
    weights.forEach((weight, step) => {
      const from = place + step - reach;
      const period = 2 * length;
      const inside = ((from % period) + period) % period;
      if ((inside < length ? inside : period - 1 - inside) === blurReach)
        increase(result, place, weight / sum);
    });
  return result;
}

export function blurred({ shape, data }: Values): Values {
  const [, , height = 1, width = 1] = shape;
  const weights = blurWeights();
  const along = (values: Float64Array, size: number, step: number): Float64Array => {
    const result = new Float64Array(values.length);
    for (let place = 0; place < values.length; place++) {
      const position = Math.floor(place / step) % size;
      for (let reach = -blurReach; reach <= blurReach; reach++)
        if (position + reach >= 0 && position + reach < size)
          increase(result, place, at(weights, reach + blurReach) * at(values, place + reach * step));
    }
    return result;
  };
  const columns = along(along(Float64Array.from(data), height, width), width, 1);
  return { shape, data: Float32Array.from(columns) };
}
