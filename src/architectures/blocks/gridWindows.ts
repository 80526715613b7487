import type { Grid } from '../../domain/size';
import type { GraphBuilder } from '../../graph/builder';
import type { Probe } from '../../domain/probes';
import type { Tokens } from './layers';
import { gridTokens } from './maps';
import { rearranged, windowProbe, windowsOf } from './windows';
import { room } from '../../graph/limits';

/**
 * A grid of `size` tokens spread evenly over the map: as many windows as there are places between
 * two of its tokens.
 */
interface GridWindows {
  readonly map: Grid;
  readonly size: Grid;
}

/** Distance of two neighbours of a grid on the map. */
const strideOf = ({ map, size }: GridWindows): Grid => [map[0] / size[0], map[1] / size[1]];

/**
 * For every token of every window, row by row, the index on the map it comes from (Tu et al. 2022,
 * MaxViT §3.2, grid attention).
 */
export function gridIndex(windows: GridWindows): Int32Array {
  const { map, size } = windows;
  const [down, right] = strideOf(windows);
  const index = new Int32Array(room(map[0] * map[1]));
  let next = 0;
  for (let top = 0; top < down; top++)
    for (let left = 0; left < right; left++)
      for (let row = 0; row < size[0]; row++)
        for (let column = 0; column < size[1]; column++)
          index[next++] = (top + row * down) * map[1] + left + column * right;
  return index;
}

const isWhole = ({ map, size }: GridWindows): boolean => map[0] === size[0] && map[1] === size[1];

/**
 * Tokens of a map as windows of a spread grid, each a batch of its own:
 * `[batch · windows · n, dim]`.
 */
export function gridPartition(b: GraphBuilder, tokens: Tokens, windows: GridWindows): Tokens {
  if (isWhole(windows)) return tokens;
  const [down, right] = strideOf(windows);
  const value = rearranged(b, tokens, `grid ${JSON.stringify(windows)}`, () => gridIndex(windows));
  return gridTokens(value, tokens.batch * down * right, windows.size);
}

/** The tokens of the map that `gridPartition` spread. */
export function gridReverse(b: GraphBuilder, spread: Tokens, windows: GridWindows): Tokens {
  if (isWhole(windows)) return spread;
  const { map } = windows;
  const [down, right] = strideOf(windows);
  const batch = spread.batch / (down * right);
  const whole = gridTokens(spread.value, batch, map);
  const key = `spread ${JSON.stringify(windows)}`;
  return gridTokens(
    rearranged(b, whole, key, () => inverse(gridIndex(windows))),
    batch,
    map,
  );
}

/** Where each element of a permutation stands. */
function inverse(permutation: Int32Array): Int32Array {
  const places = new Int32Array(permutation.length);
  permutation.forEach((from, place) => (places[from] = place));
  return places;
}

/** What a map of such tokens onto themselves is. */
export function gridProbe({ map, size }: GridWindows, layer: string): Omit<Probe, 'value' | 'heads'> {
  const probe = windowProbe(windowsOf(map, size), layer);
  return { ...probe, window: { ...probe.window, dilated: true } };
}
