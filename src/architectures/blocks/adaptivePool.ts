import { at, largest } from '../../domain/lists';
import type { GraphBuilder } from '../../graph/builder';
import { int, type ValueInfo } from '../../graph/graph';
import { placesRoom } from '../../graph/limits';

/**
 * First and last + 1 position of each of `bins` parts of `size` positions, which overlap if they
 * do not divide it.
 */
const binsOf = (size: number, bins: number): readonly (readonly [number, number])[] =>
  Array.from({ length: placesRoom(bins) }, (_, bin) => [
    Math.floor((bin * size) / bins),
    Math.ceil(((bin + 1) * size) / bins),
  ]);

/**
 * Means of `bins` parts along one axis: the positions of each part are gathered, a shorter one's
 * last place weighs nothing.
 */
function binMeans(b: GraphBuilder, x: ValueInfo, axis: number, bins: number): ValueInfo {
  const size = at(x.shape, axis);
  if (size === bins) return x;
  const parts = binsOf(size, bins);
  const longest = largest(parts.map(([first, end]) => end - first));
  const places = parts.flatMap(([first, end]) =>
    Array.from({ length: placesRoom(longest) }, (_, place) => ({
      index: Math.min(first + place, end - 1),
      weight: first + place < end ? 1 / (end - first) : 0,
    })),
  );
  const [before, after] = [x.shape.slice(0, axis), x.shape.slice(axis + 1)];
  const gathered = b.add('Gather', [x, b.indices(places.map(({ index }) => index))], { axis: int(axis) });
  const weights = Float32Array.from(places, ({ weight }) => weight);
  const shape = [bins, longest, ...after.map(() => 1)];
  const weighted = b.add('Mul', [
    b.reshape(gathered, [...before, bins, longest, ...after]),
    b.constant('/bin_weights', 'F32', shape, weights),
  ]);
  return b.add('ReduceSum', [weighted, b.indices([axis + 1])], { keepdims: int(0) });
}

/**
 * Mean of the parts of a map `[batch, channels, rows, columns]` that a grid of `side` × `side`
 * cuts, as PyTorch's AdaptiveAvgPool2d.
 */
export function adaptiveAveragePool(b: GraphBuilder, map: ValueInfo, side: number): ValueInfo {
  return binMeans(b, binMeans(b, map, 2, side), 3, side);
}
