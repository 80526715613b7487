import { at, increase } from '../domain/lists';
import type { Grid, Size } from '../domain/size';
import { tokenCount, type Probe, type TokenLayout } from '../domain/probes';
import type { ImageMap } from './reading';
import { imageGrid } from './tokenLayout';
import { windowPlaces, type WindowPlaces, type WindowSide } from './windows';

/**
 * Entropy in bits of each head's rows, mean over queries: 0 if each looks at one key, log₂(keys)
 * where at all alike. `map` is `[heads, queries, keys]`.
 */
export function headEntropies(map: Float32Array, heads: number, queries: number): Float64Array {
  const size = map.length / heads;
  return Float64Array.from({ length: heads }, (_, head) => {
    let sum = 0;
    for (const weight of map.subarray(head * size, (head + 1) * size))
      if (weight > 0) sum -= weight * Math.log2(weight);
    return sum / queries;
  });
}

/**
 * The same of windows, mean over the queries that lie on the map: those of the padding ask, but
 * nobody looks. Undefined if it is not known where windows lie. `map` is
 * `[windows, heads, queries, keys]`.
 */
export function placedEntropies(
  map: Float32Array,
  probe: Pick<Probe, 'heads' | 'queries' | 'keys' | 'window'>,
): Float64Array | undefined {
  const places = windowPlaces(probe);
  if (!places) return undefined;
  const { windows, queries, keys } = places;
  const asking = queries.tokens - queries.special;
  const sums = new Float64Array(probe.heads);
  let count = 0;
  for (let window = 0; window < windows; window++)
    for (let query = 0; query < asking; query++) {
      if ((queries.cells[window * asking + query] ?? -1) < 0) continue;
      count++;
      for (let head = 0; head < probe.heads; head++) {
        const first =
          ((window * probe.heads + head) * queries.tokens + queries.special + query) * keys.tokens;
        increase(sums, head, at(headEntropies(map.subarray(first, first + keys.tokens), 1, 1), 0));
      }
    }
  return sums.map((sum) => sum / Math.max(1, count));
}

type Point = readonly [y: number, x: number];

/** Centres of a grid's patches on an image of the given size, in pixels. */
interface Centres {
  readonly y: Float64Array;
  readonly x: Float64Array;
}

function centresOf([rows, columns]: Grid, [height, width]: Size): Centres {
  const length = rows * columns;
  return {
    y: Float64Array.from({ length }, (_, at) => ((Math.floor(at / columns) + 0.5) * height) / rows),
    x: Float64Array.from({ length }, (_, at) => (((at % columns) + 0.5) * width) / columns),
  };
}

/** Queries and keys of a map without windows, as those of one window that is the whole map. */
function wholePlaces({ queries, keys }: Pick<Probe, 'queries' | 'keys'>): WindowPlaces | undefined {
  const side = (layout: TokenLayout): WindowSide | undefined => {
    const [map, special] = [imageGrid(layout), layout.special?.length ?? 0];
    if (!map || layout.sequenceFirst) return undefined;
    const [patches, tokens] = [map[0] * map[1], tokenCount(layout)];
    // Object queries behind the patches have no place.
    const cells = Int32Array.from({ length: tokens - special }, (_, cell) => (cell < patches ? cell : -1));
    const isAll = tokens === special + patches + (layout.queries ?? 0);
    return isAll ? { map, special, tokens, cells } : undefined;
  };
  const [from, to] = [side(queries), side(keys)];
  return from && to && { windows: 1, queries: from, keys: to };
}

/**
 * Mean attention distance of each head in pixels (Dosovitskiy et al. 2021, figure 7; Raghu et al.
 * 2021): the distance between the centres of query and key patch, weighted by attention, mean over
 * query patches. Special tokens and padding have no place: their rows are left out, and the weights
 * of the patches are scaled to sum 1, if `isScaled`. Undefined if queries or keys do not lie on the
 * image. `map` is `[windows, heads, queries, keys]`.
 */
export function meanAttentionDistances(
  map: Float32Array,
  probe: Pick<Probe, 'heads' | 'queries' | 'keys' | 'window'>,
  image: Size,
  isScaled = true,
): Float64Array | undefined {
  const onImage = imageGrid(probe.queries) && imageGrid(probe.keys);
  const places = onImage && (probe.window ? windowPlaces(probe) : wholePlaces(probe));
  if (!places) return undefined;
  const { windows, queries, keys } = places;
  const [from, to] = [centresOf(queries.map, image), centresOf(keys.map, image)];
  const [asking, asked] = [queries.tokens - queries.special, keys.tokens - keys.special];
  const distances = new Float64Array(probe.heads);
  for (let window = 0; window < windows; window++) {
    const cells = keys.cells.subarray(window * asked, (window + 1) * asked);
    for (let query = 0; query < asking; query++) {
      const cell = queries.cells[window * asking + query] ?? -1;
      if (cell < 0) continue;
      const point: Point = [at(from.y, cell), at(from.x, cell)];
      for (let head = 0; head < probe.heads; head++) {
        const row = (window * probe.heads + head) * queries.tokens + queries.special + query;
        const first = row * keys.tokens + keys.special;
        distances[head]! += weightedDistance(point, to, map.subarray(first, first + asked), cells, isScaled);
      }
    }
  }
  const patches = queries.map[0] * queries.map[1];
  return distances.map((sum) => sum / patches);
}

/**
 * Attention distance of one query patch of one head in pixels: the distance between its centre and
 * the keys' on the image, weighted by attention. Keys outside of the query's window (NaN) do not
 * count. 0 if no weight lies on the image.
 */
export function attentionDistance(
  query: { readonly row: number; readonly column: number },
  queryGrid: Grid,
  { rows, columns, values }: ImageMap,
  image: Size,
): number {
  const from: Point = [
    ((query.row + 0.5) * image[0]) / queryGrid[0],
    ((query.column + 0.5) * image[1]) / queryGrid[1],
  ];
  return weightedDistance(from, centresOf([rows, columns], image), values);
}

/**
 * Distance to keys, weighted; `cells` says where each lies, -1 for none, if not each on its own
 * cell. What is not above 0 does not count.
 */
function weightedDistance(
  [y, x]: Point,
  centres: Centres,
  weights: Float32Array,
  cells?: Int32Array,
  isScaled = true,
): number {
  let [sum, total] = [0, 0];
  for (let key = 0; key < weights.length; key++) {
    const weight = weights[key] ?? 0;
    const cell = cells ? (cells[key] ?? -1) : key;
    if (!(weight > 0) || cell < 0) continue;
    const [down, across] = [at(centres.y, cell) - y, at(centres.x, cell) - x];
    sum += weight * Math.sqrt(down * down + across * across);
    total += weight;
  }
  if (!isScaled) return sum;
  return total > 0 ? sum / total : 0;
}
