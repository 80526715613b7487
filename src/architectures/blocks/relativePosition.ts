import { at } from '../../domain/lists';
import type { Grid } from '../../domain/size';
import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { activate } from './layers';
import { resizedMap } from './maps';
import { parameterSide } from './parts';
import { placesRoom, room } from '../../graph/limits';

/** Rows of a table of relative positions: one for each distance of two tokens of the window. */
export const distances = (window: Grid): number => (2 * window[0] - 1) * (2 * window[1] - 1);

/**
 * Row of the table for every pair of tokens of a window, query by query (Liu et al. 2021, eq. 4):
 * distances in row-major order. With a class token (Bao et al. 2022, BEiT) the table has three more
 * rows: from the class token, to it, and to itself.
 */
export function relativeIndex(window: Grid, classToken = false): Int32Array {
  const [rows, columns] = window;
  const area = rows * columns;
  const first = classToken ? 1 : 0;
  const count = area + first;
  const index = new Int32Array(room(count * count));
  for (let query = 0; query < area; query++)
    for (let key = 0; key < area; key++) {
      const down = Math.floor(query / columns) - Math.floor(key / columns) + rows - 1;
      const right = (query % columns) - (key % columns) + columns - 1;
      index[(query + first) * count + key + first] = down * (2 * columns - 1) + right;
    }
  if (classToken) {
    index.fill(distances(window), 0, count);
    for (let query = 1; query < count; query++) index[query * count] = distances(window) + 1;
    index[0] = distances(window) + 2;
  }
  return index;
}

/** Bias `[heads, n, n]` for every pair of tokens, out of a table `[distances, heads]`. */
export function gatheredBias(b: GraphBuilder, table: ValueInfo, window: Grid, classToken = false): ValueInfo {
  const count = window[0] * window[1] + (classToken ? 1 : 0);
  const index = b.shared(`relative positions ${window.join('x')} ${classToken}`, () =>
    b.constant('/relative_position_index', 'I32', [count, count], relativeIndex(window, classToken)),
  );
  return b.transpose(b.add('Gather', [table, index]), [2, 0, 1]);
}

export interface TableOptions {
  /** Window that the stored table was made for; the window itself if nothing is given. */
  readonly native?: Grid;
  /** The table has three rows for a class token behind those of the distances. */
  readonly classToken?: boolean;
  /** How a table for another window is made: as timm does if nothing is given. */
  readonly resizing?: keyof typeof resizings;
}

/**
 * Relative position bias `[heads, n, n]` of a stored table `[distances (+ 3), heads]`, resampled if
 * it was made for another window.
 */
export function tableBias(
  b: GraphBuilder,
  name: string,
  window: Grid,
  { native = window, classToken = false, resizing = 'geometric' }: TableOptions = {},
): ValueInfo {
  const heads = parameterSide(b, name, -1);
  const extra = classToken ? 3 : 0;
  const table = b.parameter(name, [distances(native) + extra, heads]);
  if (native[0] === window[0] && native[1] === window[1]) return gatheredBias(b, table, window, classToken);
  const resized = resizings[resizing](b, table, native, window);
  const rest = b.slice(table, 0, distances(native), distances(native) + extra);
  return gatheredBias(b, classToken ? b.concat([resized, rest], 0) : resized, window, classToken);
}

/**
 * Places of the distances along one axis: a geometric progression whose last is the last distance
 * of the new window.
 */
function progression(from: number, to: number): readonly number[] {
  const [half, target] = [from - 1, to - 1];
  let [left, right] = [1.01, 1.5];
  let ratio = left;
  while (right - left > 1e-6) {
    ratio = (left + right) / 2;
    if ((1 - ratio ** half) / (1 - ratio) > target) right = ratio;
    else left = ratio;
  }
  const places = Array.from(
    { length: placesRoom(half) },
    (_, index) => (1 - ratio ** (index + 1)) / (1 - ratio),
  );
  return [...places.map((place) => -place).reverse(), 0, ...places];
}

/**
 * Between which two rows of the old table a distance of the new one lies, and how much of the
 * second it takes.
 */
interface Between {
  readonly left: number;
  readonly right: number;
  readonly share: number;
}

function between(places: readonly number[], distance: number): Between {
  const after = places.findIndex((place) => place >= distance);
  const right = after < 0 ? places.length - 1 : after;
  const left = Math.max(right - 1, 0);
  const low = Math.max(distance - at(places, left), 0);
  const high = Math.max(at(places, right) - distance, 0);
  return { left, right, share: low === 0 && high === 0 ? 0.5 : low / (low + high) };
}

/** Distances of the new window along one axis in the old table. */
function sampling(from: number, to: number): readonly Between[] {
  const places = progression(from, to);
  return Array.from({ length: placesRoom(2 * to - 1) }, (_, index) => between(places, index - to + 1));
}

/**
 * Table `[distances, heads]` for another window, as timm resizes it (layers/pos_embed_rel.py
 * resize_rel_pos_bias_table, after BEiT's run_class_finetuning.py): the old distances are spread
 * geometrically, so that near ones stay dense, and read off linearly. Written as a weighted sum of
 * four Gathers: a product would count as one of the model's.
 */
export function geometricTable(b: GraphBuilder, table: ValueInfo, from: Grid, to: Grid): ValueInfo {
  const [down, right] = [sampling(from[0], to[0]), sampling(from[1], to[1])];
  const columns = 2 * from[1] - 1;
  const corner = (side: 'left' | 'right', other: 'left' | 'right'): ValueInfo => {
    const share = (place: Between, which: 'left' | 'right'): number =>
      which === 'right' ? place.share : 1 - place.share;
    placesRoom(down.length * right.length);
    const pairs = down.flatMap((row) => right.map((column) => [row, column] as const));
    const index = Int32Array.from(pairs, ([row, column]) => row[side] * columns + column[other]);
    const weights = Float32Array.from(pairs, ([row, column]) => share(row, side) * share(column, other));
    const rows = b.add('Gather', [table, b.constant('/corner', 'I32', [index.length], index)]);
    return b.add('Mul', [rows, b.constant('/weights', 'F32', [weights.length, 1], weights)]);
  };
  const corners = [
    corner('left', 'left'),
    corner('left', 'right'),
    corner('right', 'left'),
    corner('right', 'right'),
  ];
  return corners.reduce((sum, each) => b.add('Add', [sum, each]));
}

/** sign(d) · ln(1 + |d|), timm's scale of distances. */
export const logarithm = (distance: number): number => Math.sign(distance) * Math.log1p(Math.abs(distance));

/**
 * A distance as Swin v2 scales it (Liu et al. 2022, §3.3): log₂ of ±8 at the greatest distance
 * `reach` of the window of the training.
 */
const scaledLogarithm = (distance: number, reach: number): number =>
  logarithm((8 * distance) / Math.max(reach, 1)) / Math.log(8);

/**
 * Table `[distances, heads]` for another window, read off linearly between the old distances
 * (transformers, BeitRelativePositionBias).
 */
function bilinearTable(b: GraphBuilder, table: ValueInfo, from: Grid, to: Grid): ValueInfo {
  const heads = at(table.shape, 1);
  const rows = b.reshape(b.slice(table, 0, 0, distances(from)), [1, 2 * from[0] - 1, 2 * from[1] - 1, heads]);
  const map = resizedMap(b, b.transpose(rows, [0, 3, 1, 2]), [2 * to[0] - 1, 2 * to[1] - 1]);
  return b.reshape(b.transpose(map, [0, 2, 3, 1]), [distances(to), heads]);
}

const resizings = { geometric: geometricTable, bilinear: bilinearTable } as const;

/**
 * How distances become inputs of a small network: as Swin v2 scales them, or by their plain
 * logarithm (timm's `cr`).
 */
type LogScale = 'swin' | 'cr';

/**
 * Coordinates `[distances, 2]` of all distances of a window. `trained` is the window of the
 * training if it was another one.
 */
export function logCoordinates(window: Grid, scale: LogScale, trained: Grid = window): Float32Array {
  const [rows, columns] = window;
  const coordinate = (distance: number, axis: 0 | 1): number =>
    scale === 'swin' ? scaledLogarithm(distance, trained[axis] - 1) : logarithm(distance);
  const table = new Float32Array(room(2 * distances(window)));
  let next = 0;
  for (let down = 1 - rows; down < rows; down++)
    for (let right = 1 - columns; right < columns; right++) {
      table[next++] = coordinate(down, 0);
      table[next++] = coordinate(right, 1);
    }
  return table;
}

/**
 * What a small network with the two `layers` makes of log-spaced coordinates `[n, 2]`: a table
 * `[n, heads]` (Liu et al. 2022, §3.3).
 */
export function continuousTable(
  b: GraphBuilder,
  layers: readonly [first: string, second: string],
  coordinates: ValueInfo,
): ValueInfo {
  return b.linear(activate(b, b.linear(coordinates, layers[0]), 'relu'), layers[1]);
}

/** 16 · σ(bias): keeps Swin v2's continuous bias bounded. */
export const boundedBias = (b: GraphBuilder, bias: ValueInfo): ValueInfo =>
  b.add('Mul', [b.add('Sigmoid', [bias]), b.scalar(16)]);
