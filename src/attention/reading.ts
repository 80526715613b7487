import type { Query } from '../domain/query';
import { percentOf, type Share } from '../domain/share';
import type { Grid } from '../domain/size';
import { firstPlace, isChannelMatrix, tokenCount, type Probe } from '../domain/probes';
import { sum } from '../domain/lists';
import { weightedRows } from './heads';
import { imageGrid, queryWeights, sameCell, tokenIndex } from './tokenLayout';
import { clipMap, clipTimes, stitch, windowMaps, windowPlaces, windowWeights } from './windows';

/** Weights that lie on the image: `[rows, columns]`, row-major. */
export interface ImageMap {
  readonly rows: number;
  readonly columns: number;
  readonly values: Float32Array;
}

/** One query's weights over the keys, taken apart by what the keys are. */
export interface KeyMap {
  readonly special: readonly { readonly name: string; readonly value: number }[];
  readonly image?: ImageMap;
  /**
   * Keys without a place on the image: channels (for each channel, or as a gate), a sequence,
   * object queries.
   */
  readonly matrix?: ImageMap;
}

/** What is known of a model that has no layer whose map could be drawn. */
interface Mapless {
  readonly modelTitle: string;
  /** Absent if all of the model runs. */
  readonly share?: Share;
}

/** Why a model has no layer whose map could be drawn; of a part of one, that it is a part. */
export function noMapText({ modelTitle, share }: Mapless): string {
  if (!share)
    return 'no attention to show: the model has none, or one that never makes a map (linear attention), and no linear head that tells what each position adds to a class';
  const crossed =
    share.crossAttention > 0
      ? `, among them ${share.crossAttention} cross-attention module${share.crossAttention === 1 ? '' : 's'}`
      : '';
  return `no attention to show: ${modelTitle} is all that runs (${percentOf(share)} of the parameters), and it has no attention that makes a map; the layers of the rest are not run yet${crossed}`;
}

type Side = Pick<Probe, 'keys' | 'queries' | 'window'>;

/**
 * Rows and columns of the patches that can ask: of the whole map, for windows; undefined if none
 * lie on the image.
 */
export const queryGrid = (probe: Side): Grid | undefined =>
  imageGrid(probe.queries) && (windowMaps(probe)?.queries ?? imageGrid(probe.queries));

/** Rows and columns of the keys that lie on the image: of the whole map, for windows. */
export const keyGrid = (probe: Side): Grid | undefined => windowMaps(probe)?.keys ?? imageGrid(probe.keys);

/** Whether the probe has the queries that are asked for; every probe has a mean of them. */
export function hasQuery(probe: Probe, query: Query): boolean {
  if (query.kind === 'special') return (probe.queries.special ?? []).includes(query.name);
  if (query.kind === 'mean') return true;
  if (query.kind === 'query' || query.kind === 'token') return tokenIndex(probe.queries, query) !== undefined;
  const [rows, columns] = queryGrid(probe) ?? [0, 0];
  return query.grid !== undefined ? rows > 0 : query.row < rows && query.column < columns;
}

/**
 * A query as weights of the map's rows, `[windows, queries]` (one window if there are none). A
 * probe with one query alone, such as a gate or a pooling query, answers any. Undefined if the
 * probe has no such query.
 */
export function readingWeights(probe: Probe, query: Query): Float32Array | undefined {
  const lacks = query.kind === 'special' && query.others === 'mean' && !hasQuery(probe, query);
  const asked: Query = lacks || tokenCount(probe.queries) === 1 ? { kind: 'mean' } : query;
  if (!probe.window) return queryWeights(probe.queries, asked);
  const places = windowPlaces(probe);
  return places && windowWeights(places, probe.queries, asked);
}

/**
 * Reads weighted rows out of a whole map `[windows, heads, queries, keys]`: `[heads, keys]`,
 * windows stitched; of channels the whole map.
 *
 * @throws if the map is not of the size that the probe's record says
 */
export function readMap(map: Float32Array, probe: Probe, weights: Float32Array): Float32Array {
  if (isChannelMatrix(probe)) return map;
  const places = windowPlaces(probe);
  const windows = places?.windows ?? 1;
  const [size, queries] = [map.length / windows, weights.length / windows];
  const expected = probe.heads * weights.length * (places?.keys.tokens ?? tokenCount(probe.keys));
  if (map.length !== expected)
    throw new Error(
      `${probe.layer}: the attention map has ${map.length} weights, its record says ${expected}; please report this model`,
    );
  const rows = Array.from({ length: windows }, (_, window) =>
    weightedRows(
      map.subarray(window * size, (window + 1) * size),
      probe.heads,
      weights.subarray(window * queries, (window + 1) * queries),
    ),
  );
  return placeRows(joined(rows), probe, weights);
}

/** Puts rows `[windows, heads, keys]` where they lie: `[heads, keys]` of the whole map. */
export function placeRows(rows: Float32Array, probe: Probe, weights: Float32Array): Float32Array {
  const places = windowPlaces(probe);
  return places ? stitch(rows, places, weights, probe.heads) : rows;
}

function joined(parts: readonly Float32Array[]): Float32Array {
  const [first] = parts;
  if (first && parts.length === 1) return first;
  const whole = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/**
 * Takes one row of weights (of channels: the matrix) apart by the probe's layout of keys. Keys of
 * windows come stitched to the whole map.
 */
export function splitKeys(probe: Side, weights: Float32Array): KeyMap {
  const names = probe.keys.special ?? [];
  const first = firstPlace(probe.keys);
  const special = names.map((name, index) => ({ name, value: weights[first + index] ?? 0 }));
  const values = weights.subarray(first + names.length);
  const grid = keyGrid(probe);
  if (grid && probe.keys.grids) return { special, image: onFinest(values, probe.keys.grids, grid) };
  if (grid) {
    const [rows, columns] = grid;
    const image = { rows, columns, values: values.subarray(0, rows * columns) };
    const objects = probe.keys.queries === undefined ? [] : [objectShare(values, image)];
    return { special: [...special, ...objects, ...wordShare(probe.keys, values, image)], image };
  }
  const rows = probe.queries.channels ?? clipMap(probe)?.[0] ?? probe.keys.levels ?? 1;
  return { special, matrix: { rows, columns: values.length / rows, values } };
}

/**
 * The map of a clip on one of the `frames` that the model read, as it lies on that frame; tokens of
 * several frames stand for each of them. Any other map as it is.
 */
export function mapOnFrame(probe: Side, map: KeyMap, frame: number, frames: number): KeyMap {
  const { matrix } = map;
  const times = clipTimes(probe);
  if (!matrix || times === undefined || matrix.rows % times !== 0) return map;
  const time = Math.min(times - 1, Math.floor((frame * times) / frames));
  const rows = matrix.rows / times;
  const first = time * rows * matrix.columns;
  const values = matrix.values.subarray(first, first + rows * matrix.columns);
  return { special: map.special, image: { rows, columns: matrix.columns, values } };
}

/** Weights of several maps on the finest one: each cell's weight, spread evenly over its area. */
function onFinest(weights: Float32Array, grids: readonly Grid[], [rows, columns]: Grid): ImageMap {
  const values = new Float32Array(rows * columns);
  let first = 0;
  for (const grid of grids) {
    const share = (grid[0] * grid[1]) / values.length;
    for (let cell = 0; cell < values.length; cell++) {
      const place = { row: Math.floor(cell / columns), column: cell % columns };
      const { row, column } = sameCell(place, [rows, columns], grid);
      values[cell] = (values[cell] ?? 0) + share * (weights[first + row * grid[1] + column] ?? 0);
    }
    first += grid[0] * grid[1];
  }
  return { rows, columns, values };
}

/** What goes to the object queries behind the patches, all together. */
const objectShare = (values: Float32Array, image: ImageMap): KeyMap['special'][number] => ({
  name: 'queries',
  value: sum([...values.subarray(image.values.length)]),
});

/** What goes to the words behind the patches, all together. */
const wordShare = (
  { sequence, sequenceFirst }: Probe['keys'],
  values: Float32Array,
  image: ImageMap,
): KeyMap['special'] =>
  sequence === undefined || sequenceFirst
    ? []
    : [{ name: 'words', value: sum([...values.subarray(image.values.length)]) }];

/**
 * What a small drawing shows of a map: on the image, or a matrix, whose single row fills a square
 * as well as it can.
 */
export function tileOf({ image, matrix }: KeyMap): ImageMap {
  const map = image ?? matrix ?? { rows: 1, columns: 0, values: new Float32Array(0) };
  if (image || map.rows > 1) return map;
  for (let rows = Math.floor(Math.sqrt(map.columns)); rows > 1; rows--)
    if (map.columns % rows === 0) return { ...map, rows, columns: map.columns / rows };
  return map;
}
