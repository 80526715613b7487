/** Places of keypoints on an image: the steps of transformers' post_process_pose_estimation. */
import { at } from '../../domain/lists';
import type { Size } from '../../domain/size';
import { repeated } from '../../preprocessing/interpolation';
import type { Region } from '../run';
import { argmax, itemOf, ofOneImage, type Values } from './values';

/** A keypoint's place in pixels of the image, counted from the first pixel's middle. */
export interface PlacedKeypoint {
  /** Its number among the model's keypoints. */
  readonly label: number;
  readonly x: number;
  readonly y: number;
  /** The largest value of its heatmap. */
  readonly score: number;
}

/** Where the input lies on the image. */
export interface KeypointFrame {
  /** What the whole input covers in the image's pixels. */
  readonly extent: Region;
  /** Rows and columns of the input. */
  readonly input: Size;
}

/** Deviation of the filter that heatmaps are smoothed with, in their own pixels. */
const deviation = 0.8;
/** Samples of the filter at each side: the library's kernel of 11. */
const radius = 5;

function gaussian(): readonly number[] {
  const weights = Array.from({ length: 2 * radius + 1 }, (_, i) =>
    Math.exp((-0.5 / deviation ** 2) * (i - radius) ** 2),
  );
  const sum = weights.reduce((total, weight) => total + weight, 0);
  return weights.map((weight) => weight / sum);
}

const kernel = gaussian();

/** Smoothed down the rows, then along them; edges repeat outwards (scipy's `reflect`). */
function smoothed(map: ArrayLike<number>, [rows, columns]: Size): Float64Array {
  const pass = (values: ArrayLike<number>, place: (y: number, x: number, by: number) => number) =>
    Float64Array.from({ length: rows * columns }, (_, index) => {
      const [y, x] = [Math.floor(index / columns), index % columns];
      return kernel.reduce((sum, weight, i) => sum + weight * (values[place(y, x, i - radius)] ?? 0), 0);
    });
  const down = pass(map, (y, x, by) => repeated(y + by, rows) * columns + x);
  return pass(down, (y, x, by) => y * columns + repeated(x + by, columns));
}

/** Between which bounds the library takes logarithms. */
const [least, most] = [0.001, 50];

/** Logarithms of all smoothed maps with their outermost values once more around each, in a row. */
function logarithms(maps: readonly Float32Array[], [rows, columns]: Size): Float64Array {
  const size = (rows + 2) * (columns + 2);
  const out = new Float64Array(maps.length * size);
  maps.forEach((map, label) => {
    const smooth = smoothed(map, [rows, columns]);
    for (let index = 0; index < size; index++) {
      const y = Math.min(Math.max(Math.floor(index / (columns + 2)) - 1, 0), rows - 1);
      const x = Math.min(Math.max((index % (columns + 2)) - 1, 0), columns - 1);
      out[label * size + index] = Math.log(Math.min(Math.max(smooth[y * columns + x] ?? 0, least), most));
    }
  });
  return out;
}

/** What keeps a flat map's second derivatives from being singular: epsilon of float32. */
const tiny = 2 ** -23;

/**
 * How far the peak lies off a place of the padded logarithms: a Newton step (Zhang et al. 2020,
 * DARK, eq. 8). Places before the first one count from the end, as NumPy's do.
 */
function offsetAt(logs: Float64Array, index: number, columns: number): readonly [x: number, y: number] {
  const value = (by: number): number => logs[(index + by + logs.length) % logs.length] ?? 0;
  const row = columns + 2;
  const here = value(0);
  const [right, left, below, above] = [value(1), value(-1), value(row), value(-row)];
  const [dx, dy] = [0.5 * (right - left), 0.5 * (below - above)];
  const dxx = right - 2 * here + left + tiny;
  const dyy = below - 2 * here + above + tiny;
  const corners = value(row + 1) + value(-row - 1);
  const dxy = 0.5 * (corners - right - below + here + here - left - above);
  const determinant = dxx * dyy - dxy * dxy;
  return [(dyy * dx - dxy * dy) / determinant, (dxx * dy - dxy * dx) / determinant];
}

/** Where a place of the heatmaps lies on an axis of the image: ends of both lie on one another. */
function onAxis(place: number, count: number, input: number, from: number, length: number): number {
  const pixel = (place * (input - 1)) / Math.max(1, count - 1);
  return from + ((pixel + 0.5) / input) * length - 0.5;
}

/**
 * Returns the place of every keypoint of heatmaps [keypoints, rows, columns], in their order: the
 * highest pixel, refined on the smoothed map's logarithm; −1 of a map without a value above 0, as
 * the library has it. Throws `OutputShapeError` for other sides.
 */
export function keypointsOf(heatmaps: Values, { extent, input }: KeypointFrame): readonly PlacedKeypoint[] {
  const found = ofOneImage(heatmaps, 3, 'heatmaps');
  const [count = 0, rows = 0, columns = 0] = found.shape;
  const maps = Array.from({ length: count }, (_, label) => itemOf(found, label).values);
  const logs = logarithms(maps, [rows, columns]);
  return maps.map((map, label): PlacedKeypoint => {
    const best = argmax(map);
    const score = at(map, best);
    const [column, row] = score > 0 ? [best % columns, Math.floor(best / columns)] : [-1, -1];
    const index = (label * (rows + 2) + row + 1) * (columns + 2) + column + 1;
    const [dx, dy] = offsetAt(logs, index, columns);
    return {
      label,
      x: onAxis(column - dx, columns, input[1], extent.x, extent.width),
      y: onAxis(row - dy, rows, input[0], extent.y, extent.height),
      score,
    };
  });
}
