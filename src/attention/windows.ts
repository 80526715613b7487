import type { Query } from '../domain/query';
import type { Grid } from '../domain/size';
import { bothSides, originOf, type Probe, type TokenLayout, type WindowLayout } from '../domain/probes';
import { imageGrid, sameCell, tokenIndex } from './tokenLayout';

/** Where the tokens of a windowed map's queries or keys lie. */
export interface WindowSide {
  /** The whole map that the windows cover, without padding. */
  readonly map: Grid;
  /** Special tokens at the beginning of each window. */
  readonly special: number;
  /** Tokens of one window, special ones included. */
  readonly tokens: number;
  /**
   * `[windows, tokens − special]`: the cell of the whole map, row-major; -1 for a zero of the
   * padding.
   */
  readonly cells: Int32Array;
}

/** How the windows of a map `[windows, heads, queries, keys]` lie on the image. */
export interface WindowPlaces {
  readonly windows: number;
  readonly queries: WindowSide;
  readonly keys: WindowSide;
}

/**
 * The places of one axis: `at(window, inside)` is a row (or column) of the whole map, -1 for
 * padding.
 */
interface Axis {
  readonly windows: number;
  readonly side: number;
  readonly map: number;
  readonly at: (window: number, inside: number) => number;
}

/**
 * How windows of one form are cut along an axis; undefined for a record of another form. `grid` is
 * the side of the layout that the record names: of a window, or of the whole map.
 */
type Form = (window: WindowLayout) => ((grid: number, axis: 0 | 1) => Axis) | undefined;

/** The forms of windows, the telling key of the record first. */
const forms: readonly Form[] = [
  // MobileViT (Mehta & Rastegari 2022, §3.1): position (i, j) of every patch attends to position
  // (i, j) of the others.
  ({ phases, stride }) => {
    const steps = phases ?? stride;
    if (steps === undefined) return undefined;
    return (grid, axis) => {
      const windows = bothSides(steps)[axis];
      return {
        windows,
        side: grid,
        map: grid * windows,
        at: (window, inside) => inside * windows + window,
      };
    };
  },
  // Hiera (Ryali et al. 2023): each mask unit attends within itself, whatever queries and keys are
  // pooled to.
  ({ units }) =>
    units &&
    ((grid, axis) => {
      const windows = units[axis];
      const side = grid / windows;
      return { windows, side, map: grid, at: (window, inside) => window * side + inside };
    }),
  // MaxViT (Tu et al. 2022, §3.3): grid attention, a window's tokens lie as far apart as there are
  // windows.
  ({ dilated, size, map }) => {
    if (dilated !== true || size === undefined) return undefined;
    return (grid, axis) => {
      const side = bothSides(size)[axis];
      const whole = map?.[axis] ?? grid;
      const windows = whole / side;
      return { windows, side, map: whole, at: (window, inside) => inside * windows + window };
    };
  },
  // Swin (Liu et al. 2021, §3.2): the map is rolled towards its first token, then cut. Queries
  // pooled inside their windows (SAM 2's Hiera) have a smaller grid than the window, and a map as
  // much smaller.
  ({ size: sides, ...window }) => {
    if (sides === undefined) return undefined;
    return (grid, axis) => {
      const size = bothSides(sides)[axis];
      const side = window.map ? grid : size;
      const pooled = (length: number): number => Math.floor((length * side) / size);
      const whole = window.map?.[axis] ?? grid;
      const map = pooled(whole);
      const padded = pooled(window.padded?.[axis] ?? Math.ceil(whole / size) * size);
      const rolled = {
        map,
        padded,
        shift: bothSides(window.shift ?? 0)[axis],
        rolls: window.rolls ?? 'padded',
      };
      return {
        windows: padded / side,
        side,
        map,
        at: (row, inside) => originOf(row * side + inside, rolled),
      };
    };
  },
];

type Windowed = Pick<Probe, 'queries' | 'keys' | 'window'>;

type Axes = readonly [rows: Axis, columns: Axis];

function windowAxes({
  window,
  queries,
  keys,
}: Windowed): { readonly queries: Axes; readonly keys: Axes } | undefined {
  const cut = window && forms.map((form) => form(window)).find((found) => found !== undefined);
  const keyAxes = cut && axesOf(cut, keys);
  // A pooling query has no grid of its own: there is one in each window of the keys.
  return keyAxes && { queries: axesOf(cut, queries) ?? keyAxes, keys: keyAxes };
}

/** The whole maps of queries and keys that the windows cover; undefined as for the places. */
export function windowMaps(probe: Windowed): { readonly queries: Grid; readonly keys: Grid } | undefined {
  const axes = windowAxes(probe);
  return axes && { queries: mapOf(axes.queries), keys: mapOf(axes.keys) };
}

/**
 * Where the windows of a probe lie; undefined for a probe without windows, or with windows that are
 * no part of an image.
 */
export function windowPlaces(probe: Windowed): WindowPlaces | undefined {
  if (probe.window?.per) return clipPlaces(probe, probe.window);
  const axes = windowAxes(probe);
  if (!axes) return undefined;
  const [rows, columns] = axes.keys;
  return {
    windows: rows.windows * columns.windows,
    queries: imageGrid(probe.queries)
      ? sideOf(axes.queries, probe.queries)
      : specialSide(axes.queries, probe.queries),
    keys: sideOf(axes.keys, probe.keys),
  };
}

/**
 * Frames of a clip, one below the other, whose windows are frames or positions (Bertasius et al.
 * 2021, divided space–time attention).
 */
function clipPlaces({ queries, keys }: Windowed, window: WindowLayout): WindowPlaces {
  const [down, across] = window.windows ?? [1, 1];
  const windows = down * across;
  const [times = 1, rows = 1, columns = 1] = keys.grid ?? [];
  const byFrame = window.per === 'frame';
  const map: Grid = byFrame ? [down * rows, columns] : [times * down, across];
  const area = times * rows * columns;
  const cells = Int32Array.from({ length: windows * area }, (_, at) => {
    const [own, inside] = [Math.floor(at / area), at % area];
    return byFrame ? at : inside * windows + own;
  });
  const side = ({ special = [] }: TokenLayout): WindowSide => ({
    map,
    special: special.length,
    tokens: special.length + area,
    cells,
  });
  return { windows, queries: side(queries), keys: side(keys) };
}

/** Rows and columns of the frames of a clip, one below the other; undefined for an image. */
export function clipMap(probe: Pick<Windowed, 'keys' | 'window'>): Grid | undefined {
  const [times, rows, columns] = probe.keys.grid ?? [];
  if (times === undefined || rows === undefined || columns === undefined) return undefined;
  const { per, windows: [down, across] = [1, 1] } = probe.window ?? {};
  if (per === 'position') return [times * down, across];
  return per === 'frame' ? [down * rows, columns] : [times * rows, columns];
}

/** Times that the keys of a clip lie at; undefined for an image. */
export function clipTimes({ keys, window }: Pick<Windowed, 'keys' | 'window'>): number | undefined {
  const [times, , columns] = keys.grid ?? [];
  if (columns === undefined) return undefined;
  return window?.per === 'frame' ? window.windows?.[0] : times;
}

function axesOf(cut: NonNullable<ReturnType<Form>>, layout: TokenLayout): Axes | undefined {
  const grid = imageGrid(layout);
  return grid && [cut(grid[0], 0), cut(grid[1], 1)];
}

const mapOf = ([rows, columns]: Axes): Grid => [rows.map, columns.map];

function specialSide(axes: Axes, { special = [] }: TokenLayout): WindowSide {
  return { map: mapOf(axes), special: special.length, tokens: special.length, cells: new Int32Array() };
}

function sideOf(axes: Axes, { special = [] }: TokenLayout): WindowSide {
  const [rows, columns] = axes;
  const area = rows.side * columns.side;
  const cells = new Int32Array(rows.windows * columns.windows * area);
  for (let at = 0; at < cells.length; at++) {
    const [window, inside] = [Math.floor(at / area), at % area];
    const row = rows.at(Math.floor(window / columns.windows), Math.floor(inside / columns.side));
    const column = columns.at(window % columns.windows, inside % columns.side);
    cells[at] = row < 0 || column < 0 ? -1 : row * columns.map + column;
  }
  return { map: mapOf(axes), special: special.length, tokens: special.length + area, cells };
}

/**
 * A query as weights of the rows of all windows, `[windows, queries]`: a patch is one row of the
 * window it lies in, the mean equal parts of every patch of the map; a special token is asked in
 * each window, as each has its own. Undefined if there is no such token.
 */
export function windowWeights(
  { windows, queries: { map, special, tokens, cells } }: WindowPlaces,
  layout: TokenLayout,
  query: Query,
): Float32Array | undefined {
  const weights = new Float32Array(windows * tokens);
  const area = tokens - special;
  const place = (at: number): number => Math.floor(at / area) * tokens + special + (at % area);
  if (query.kind === 'special' || area === 0) {
    const at = query.kind === 'special' ? tokenIndex(layout, query) : 0;
    if (at === undefined) return undefined;
    for (let window = 0; window < windows; window++) weights[window * tokens + at] = 1;
    return weights;
  }
  if (query.kind === 'mean') {
    const share = 1 / (map[0] * map[1]);
    cells.forEach((cell, at) => (weights[place(at)] = cell < 0 ? 0 : share));
    return weights;
  }
  // Windows cut a map of patches: object queries and words stand in none.
  if (query.kind === 'query' || query.kind === 'token') return undefined;
  const { row, column } = query.grid ? sameCell(query, query.grid, map) : query;
  const inside = row >= 0 && row < map[0] && column >= 0 && column < map[1];
  const at = inside ? cells.indexOf(row * map[1] + column) : -1;
  if (at < 0) return undefined;
  weights[place(at)] = 1;
  return weights;
}

/**
 * Rows of all windows, `[windows, heads, keys]`, put where they lie:
 * `[heads, special tokens + cells of the whole map]`, NaN in windows in which nobody asked. Zeros
 * of the padding are left out; special tokens of several windows are added up.
 *
 * @param weights what the rows were weighted by, `[windows, queries]`
 */
export function stitch(
  rows: Float32Array,
  { windows, queries, keys }: WindowPlaces,
  weights: Float32Array,
  heads: number,
): Float32Array {
  const width = keys.special + keys.map[0] * keys.map[1];
  const area = keys.tokens - keys.special;
  const stitched = new Float32Array(heads * width).fill(NaN);
  for (let head = 0; head < heads; head++) stitched.fill(0, head * width, head * width + keys.special);
  for (let window = 0; window < windows; window++) {
    const asked = weights.subarray(window * queries.tokens, (window + 1) * queries.tokens);
    if (asked.every((weight) => weight === 0)) continue;
    for (let head = 0; head < heads; head++) {
      const row = rows.subarray(
        (window * heads + head) * keys.tokens,
        (window * heads + head + 1) * keys.tokens,
      );
      const to = stitched.subarray(head * width, (head + 1) * width);
      for (let key = 0; key < keys.special; key++) to[key] = (to[key] ?? 0) + (row[key] ?? 0);
      for (let key = 0; key < area; key++) {
        const cell = keys.cells[window * area + key] ?? -1;
        if (cell >= 0) to[keys.special + cell] = row[keys.special + key] ?? NaN;
      }
    }
  }
  return stitched;
}
