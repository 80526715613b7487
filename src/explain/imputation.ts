import { at, increase } from '../domain/lists';
import type { Size } from '../domain/size';

/** Neighbours of a pixel, and how much each counts: together 1 (Rong et al. 2022, §4.2). */
const neighbours: readonly (readonly [down: number, across: number, weight: number])[] = [
  [0, 1, 1 / 6],
  [0, -1, 1 / 6],
  [1, 0, 1 / 6],
  [-1, 0, 1 / 6],
  [1, 1, 1 / 12],
  [1, -1, 1 / 12],
  [-1, 1, 1 / 12],
  [-1, -1, 1 / 12],
];

/** Rounds at most: as many as an image of 1,000 pixels across needs. */
const mostRounds = 5000;
/** Length of what is left to be solved, as a share of what was there. */
const settled = 1e-12;

/** Pixels that are missing, and how they hang together with their neighbours. */
interface System {
  readonly pixels: Int32Array;
  /** Diagonal: the weights of all neighbours that lie on the image. */
  readonly weight: Float64Array;
  /** For each missing pixel its neighbours: places among the missing ones, -1 otherwise. */
  readonly links: Int32Array;
  /** The same as pixels of the image, -1 outside of it. */
  readonly near: Int32Array;
}

function systemOf(isKept: Uint8Array, [height, width]: Size): System {
  const pixels = Int32Array.from(Array.from(isKept.keys()).filter((pixel) => isKept[pixel] === 0));
  const place = new Int32Array(isKept.length).fill(-1);
  pixels.forEach((pixel, index) => (place[pixel] = index));
  const count = neighbours.length;
  const weight = new Float64Array(pixels.length);
  const [links, near] = [
    new Int32Array(pixels.length * count).fill(-1),
    new Int32Array(pixels.length * count).fill(-1),
  ];
  pixels.forEach((pixel, index) =>
    neighbours.forEach(([down, across, own], side) => {
      const [row, column] = [Math.floor(pixel / width) + down, (pixel % width) + across];
      if (row < 0 || column < 0 || row >= height || column >= width) return;
      increase(weight, index, own);
      near[index * count + side] = row * width + column;
      links[index * count + side] = place[row * width + column] ?? -1;
    }),
  );
  return { pixels, weight, links, near };
}

function dot(left: Float64Array, right: Float64Array): number {
  let sum = 0;
  for (let index = 0; index < left.length; index++) sum += (left[index] ?? 0) * (right[index] ?? 0);
  return sum;
}

/** Each missing pixel's own weight times it, less its missing neighbours. */
function applied({ weight, links }: System, values: Float64Array): Float64Array {
  const count = neighbours.length;
  return values.map((value, index) => {
    let sum = (weight[index] ?? 0) * value;
    for (let side = 0; side < count; side++) {
      const other = links[index * count + side] ?? -1;
      if (other >= 0) sum -= at(neighbours, side)[2] * (values[other] ?? 0);
    }
    return sum;
  });
}

/** Conjugate gradients (Golub & Van Loan 2013, §11.3): the system is symmetric and positive. */
function solved(system: System, wanted: Float64Array): Float64Array {
  const result = new Float64Array(wanted.length);
  let rest = wanted.slice();
  let step = rest.slice();
  let left = dot(rest, rest);
  const enough = settled ** 2 * left;
  for (let round = 0; round < mostRounds && left > enough; round++) {
    const image = applied(system, step);
    const length = left / dot(step, image);
    step.forEach((value, index) => increase(result, index, length * value));
    rest = rest.map((value, index) => value - length * (image[index] ?? 0));
    const next = dot(rest, rest);
    step = rest.map((value, index) => value + (next / left) * (step[index] ?? 0));
    left = next;
  }
  return result;
}

/**
 * An image `[channels, height, width]` whose missing pixels are each the weighted mean of their
 * neighbours, missing ones as well (noisy linear imputation of Rong et al. 2022 without its noise).
 * If nothing is kept, pixels become 0.
 */
export function imputed(image: Float32Array, isKept: Uint8Array, size: Size): Float32Array {
  const places = isKept.length;
  const system = systemOf(isKept, size);
  const result = image.slice();
  const count = neighbours.length;
  for (let first = 0; first < image.length; first += places) {
    const wanted = Float64Array.from(system.pixels, (_, index) => {
      let sum = 0;
      for (let side = 0; side < count; side++) {
        const pixel = system.near[index * count + side] ?? -1;
        if (pixel >= 0 && isKept[pixel] === 1) sum += at(neighbours, side)[2] * (image[first + pixel] ?? 0);
      }
      return sum;
    });
    solved(system, wanted).forEach((value, index) => (result[first + at(system.pixels, index)] = value));
  }
  return result;
}
