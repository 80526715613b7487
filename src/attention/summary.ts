import { at } from '../domain/lists';
import type { Grid, Size } from '../domain/size';
import { tokenCount, type Probe } from '../domain/probes';
import type { ImageMap } from './reading';
import { imageGrid } from './tokenLayout';

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

type Point = readonly [y: number, x: number];

/** Centres of a grid's patches on an image of the given size. */
function centres([rows, columns]: Grid, [height, width]: Point): readonly Point[] {
  return Array.from({ length: rows * columns }, (_, at) => [
    ((Math.floor(at / columns) + 0.5) * height) / rows,
    (((at % columns) + 0.5) * width) / columns,
  ]);
}

/**
 * Mean attention distance of each head in pixels (Dosovitskiy et al. 2021, figure 7; Raghu et al.
 * 2021): the distance between the centres of query and key patch, weighted by attention, mean over
 * query patches. Special tokens have no place: their rows are left out, and the weights of the
 * patches are scaled to sum 1. Undefined if queries or keys do not lie on the image. `map` is
 * `[heads, queries, keys]`.
 */
export function meanAttentionDistances(
  map: Float32Array,
  probe: Pick<Probe, 'heads' | 'queries' | 'keys'>,
  image: Size,
): Float64Array | undefined {
  const [from, to] = [imageGrid(probe.queries), imageGrid(probe.keys)];
  if (!from || !to) return undefined;
  const [queryPoints, keyPoints] = [centres(from, image), centres(to, image)];
  const [queries, keys] = [tokenCount(probe.queries), tokenCount(probe.keys)];
  const [firstQuery, firstKey] = [probe.queries.special?.length ?? 0, probe.keys.special?.length ?? 0];
  return Float64Array.from({ length: probe.heads }, (_, head) => {
    let sum = 0;
    queryPoints.forEach((point, query) => {
      const row = (head * queries + firstQuery + query) * keys + firstKey;
      sum += weightedDistance(point, keyPoints, map.subarray(row, row + keyPoints.length));
    });
    return sum / queryPoints.length;
  });
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
  return weightedDistance(from, centres([rows, columns], image), values);
}

function weightedDistance([y, x]: Point, keys: readonly Point[], weights: Float32Array): number {
  let [sum, total] = [0, 0];
  weights.forEach((weight, key) => {
    if (!(weight > 0)) return;
    const [row, column] = at(keys, key);
    sum += weight * Math.hypot(row - y, column - x);
    total += weight;
  });
  return total > 0 ? sum / total : 0;
}
