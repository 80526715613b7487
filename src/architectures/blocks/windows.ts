import { at } from '../../domain/lists';
import type { Grid } from '../../domain/size';
import type { GraphBuilder } from '../../graph/builder';
import { int, type ValueInfo } from '../../graph/graph';
import { bothSides, originOf, type Probe, type Sides, type WindowLayout } from '../../domain/probes';
import { byHead } from './byHead';
import { cosineScale, isCosine, unitVectors } from './cosine';
import { withValue, type Tokens } from './layers';
import { gridOfLayout, gridTokens, sequence } from './maps';
import { mergeHeads } from './transformer';
import { placesRoom, room } from '../../graph/limits';

/** Where the windows of one attention lie on its map. */
export interface Windows {
  readonly map: Grid;
  readonly size: Grid;
  /** Rows and columns by which the map is rolled towards its first before it is cut. */
  readonly shift: Grid;
  /** The map with zeros at the bottom and right, so that windows cover it. */
  readonly padded: Grid;
  /**
   * Whether the zeros are rolled with the map (transformers, torchvision) or lie behind the rolled
   * map (timm).
   */
  readonly rolls: 'map' | 'padded';
  /** Added to the scores of tokens that the shift brought into one window. */
  readonly mask: number;
}

interface WindowOptions {
  readonly shift?: Sides;
  readonly rolls?: Windows['rolls'];
  readonly mask?: number;
}

/** Windows of `size` over the whole map, padded if they do not fit. */
export function windowsOf(
  map: Grid,
  size: Sides,
  { shift = 0, rolls = 'map', mask = -100 }: WindowOptions = {},
): Windows {
  const sides = bothSides(size);
  const padded = (axis: 0 | 1): number => Math.ceil(map[axis] / sides[axis]) * sides[axis];
  return { map, size: sides, shift: bothSides(shift), padded: [padded(0), padded(1)], rolls, mask };
}

/** Rows and columns of windows. */
export const windowGrid = ({ padded, size }: Windows): Grid => [padded[0] / size[0], padded[1] / size[1]];

const area = (grid: Grid): number => grid[0] * grid[1];

/** One number if both are equal, as a probe's record writes a window. */
const sidesOf = (grid: Grid): Sides => (grid[0] === grid[1] ? grid[0] : grid);

/**
 * Where the windows of a map `[batch · windows, heads, n, n]` lie, for whoever puts them back on
 * the image.
 */
export function windowLayout(windows: Windows): WindowLayout {
  const { map, size, shift, padded, rolls } = windows;
  const moved = area(padded) > area(map) && shift.some((by) => by > 0);
  return {
    size: sidesOf(size),
    shift: sidesOf(shift),
    map,
    padded,
    windows: windowGrid(windows),
    // Without zeros, or without a shift, both orders are the same.
    ...(moved && { rolls }),
  };
}

/** What a map of windowed tokens onto themselves is. */
export function windowProbe(
  windows: Windows,
  layer: string,
): Omit<Probe, 'value' | 'heads'> & { readonly window: WindowLayout } {
  const layout = { special: [], grid: windows.size };
  return { layer, kind: 'window', queries: layout, keys: layout, window: windowLayout(windows) };
}

/**
 * Where the token at a place of the rolled and padded map comes from, by one axis; -1 for a zero.
 */
const origin = (place: number, axis: 0 | 1, { map, padded, shift, rolls }: Windows): number =>
  originOf(place, { map: map[axis], padded: padded[axis], shift: shift[axis], rolls });

/**
 * For every token of every window, row by row, the index on the map it comes from; as many as the
 * map has tokens stands for a zero.
 */
export function windowIndex(windows: Windows): Int32Array {
  const { map, size, padded } = windows;
  const [gridRows, gridColumns] = windowGrid(windows);
  const along = (axis: 0 | 1): readonly number[] =>
    Array.from({ length: placesRoom(padded[axis]) }, (_, place) => origin(place, axis, windows));
  const [rows, columns] = [along(0), along(1)];
  const index = new Int32Array(room(area(padded)));
  let next = 0;
  for (let windowRow = 0; windowRow < gridRows; windowRow++)
    for (let windowColumn = 0; windowColumn < gridColumns; windowColumn++)
      for (let row = 0; row < size[0]; row++)
        for (let column = 0; column < size[1]; column++) {
          const down = rows[windowRow * size[0] + row] ?? -1;
          const across = columns[windowColumn * size[1] + column] ?? -1;
          index[next++] = down < 0 || across < 0 ? area(map) : down * map[1] + across;
        }
  return index;
}

/**
 * Tokens `[batch · count, dim]` in the order of `index`: `[batch · index.length, dim]`, in which
 * the index `count` is a zero token. One Gather, whatever shift, padding and cut stand behind it.
 * Orders of one `key` are written once.
 */
export function rearranged(
  b: GraphBuilder,
  tokens: Tokens,
  key: string,
  indexOf: () => Int32Array,
): ValueInfo {
  const { order, count, padded } = b.shared(`order ${key}`, () => {
    const index = indexOf();
    const written = b.constant('/order', 'I32', [index.length], index);
    return { order: written, count: index.length, padded: index.includes(tokens.count) };
  });
  const rows = sequence(b, tokens);
  const source = padded ? b.add('Pad', [rows, b.indices([0, 0, 0, 0, 1, 0])]) : rows;
  const moved = b.add('Gather', [source, order], { axis: int(1) });
  return b.reshape(moved, [tokens.batch * count, at(tokens.value.shape, 1)]);
}

const keyOf = (windows: Windows): string => JSON.stringify(windows);

/** One window that covers the map is the map itself. */
const isWhole = ({ map, size, shift }: Windows): boolean =>
  size.every((side, axis) => side === map[axis]) && shift.every((by) => by === 0);

/**
 * Tokens of a map cut into windows: each is a batch of its own, `[batch · windows · n, dim]`,
 * windows in row-major order of the rolled map.
 */
export function windowPartition(b: GraphBuilder, tokens: Tokens, windows: Windows): Tokens {
  const { map, padded, size } = windows;
  if (tokens.count !== area(map) || gridOfLayout(tokens.layout).some((side, axis) => side !== map[axis]))
    throw new Error(`windows of a map of ${map.join(' × ')}, ${JSON.stringify(tokens.layout)} found`);
  if (isWhole(windows)) return tokens;
  const value = rearranged(b, tokens, `windows ${keyOf(windows)}`, () => windowIndex(windows));
  return gridTokens(value, (tokens.batch * area(padded)) / area(size), size);
}

/**
 * Windows `[batch · windows · n, dim]` put back: the tokens of the map, rolled back and without the
 * zeros.
 */
export function windowReverse(b: GraphBuilder, windowed: Tokens, windows: Windows): Tokens {
  const { map, padded } = windows;
  if (isWhole(windows)) return windowed;
  const batch = (windowed.batch * windowed.count) / area(padded);
  const whole = gridTokens(windowed.value, batch, padded);
  return gridTokens(
    rearranged(b, whole, `map ${keyOf(windows)}`, () => mapIndex(windows)),
    batch,
    map,
  );
}

/** For every token of the map its place among the tokens of all windows. */
function mapIndex(windows: Windows): Int32Array {
  const places = new Int32Array(room(area(windows.map)));
  windowIndex(windows).forEach((from, place) => {
    if (from < places.length) places[from] = place;
  });
  return places;
}

/**
 * Part of the map a place belongs to, by one axis: before the last window, in it, and what was
 * rolled in from the other end.
 */
function regionOf(place: number, axis: 0 | 1, { padded, size, shift }: Windows): number {
  if (shift[axis] === 0) return 0;
  return Number(place >= padded[axis] - size[axis]) + Number(place >= padded[axis] - shift[axis]);
}

/**
 * Mask of shifted windows (Liu et al. 2021, §3.2): −100 between tokens of a window that are not
 * neighbours on the map, else 0; `[batch · windows, 1, n, n]`. Zeros of the padding are not masked.
 * Undefined if no window is shifted.
 */
function shiftMask(b: GraphBuilder, windows: Windows, batch: number): ValueInfo | undefined {
  const { size, shift } = windows;
  if (shift.every((by) => by === 0)) return undefined;
  return b.shared(`mask ${batch} ${keyOf(windows)}`, () => {
    const unmoved = { ...windows, map: windows.padded, shift: [0, 0] } as const;
    const regions = Array.from(windowIndex(unmoved), (place) => {
      const [row, column] = [Math.floor(place / windows.padded[1]), place % windows.padded[1]];
      return 3 * regionOf(row, 0, windows) + regionOf(column, 1, windows);
    });
    const all = Int32Array.from(new Array<typeof regions>(batch).fill(regions).flat());
    const count = all.length / area(size);
    const region = (...shape: number[]): ValueInfo => b.constant('/regions', 'I32', shape, all);
    const same = b.add('Equal', [region(count, 1, area(size), 1), region(count, 1, 1, area(size))]);
    return b.add('Where', [same, b.scalar(0), b.scalar(windows.mask)]);
  });
}

interface WindowAttentionOptions {
  readonly heads: number;
  /** Path of the block, as the record of its map names it. */
  readonly layer: string;
  /** Added to the scores of every window, `[heads, n, n]`: a relative position bias. */
  readonly bias?: ValueInfo;
}

/**
 * Self-attention inside the windows of a map (Liu et al. 2021, §3.2), with linear layers `qkv` and
 * `proj` of the current scope: scaled products, or cosines if a temperature is stored
 * (Liu et al. 2022, §3.2). Padding takes part as zero tokens.
 */
export function windowAttention(
  b: GraphBuilder,
  tokens: Tokens,
  windows: Windows,
  { heads, layer, bias }: WindowAttentionOptions,
): Tokens {
  const windowed = windowPartition(b, tokens, windows);
  const [q, k, v] = byHead(b, windowed, heads);
  const added = [bias, shiftMask(b, windows, tokens.batch)].filter((each) => each !== undefined);
  const options = { bias: added, probe: windowProbe(windows, layer) };
  const mixed = isCosine(b)
    ? b.attention(unitVectors(b, q), unitVectors(b, k), v, {
        scale: cosineScale(b),
        ...options,
      })
    : b.attention(q, k, v, options);
  return windowReverse(b, withValue(windowed, b.linear(mergeHeads(b, mixed), 'proj')), windows);
}
