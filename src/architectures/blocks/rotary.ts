import { at, last } from '../../domain/lists';
import type { Grid } from '../../domain/size';
import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import type { TokenLayout } from '../../domain/probes';
import { splitInTwo } from './parts';
import { placesRoom, room } from '../../graph/limits';

/**
 * Which channels of a head turn together: neighbours (x₀x₁, x₂x₃ …), or each with the one half a
 * head further.
 */
const pairings = {
  interleaved: { shape: (pairs: number, members: number) => [pairs, members], axis: -1 },
  half: { shape: (pairs: number, members: number) => [members, pairs], axis: -2 },
} as const;

export type Pairing = keyof typeof pairings;

/** Numbers of a Float32 table, row by row. */
interface AngleTables {
  readonly sin: Float32Array;
  readonly cos: Float32Array;
}

/**
 * Sine and cosine of the angle by which every pair of channels of every token turns:
 * `[…, tokens, pairs]` with an axis of one for the pair.
 */
export interface Rotation {
  readonly sin: ValueInfo;
  readonly cos: ValueInfo;
  /** `tiled`: neighbours turn, and each channel by an angle of its own; tables are a head wide. */
  readonly pairing: Pairing | 'tiled';
}

/** Where the patches of a grid lie. */
export interface Coordinates {
  /** Row and column counted from 0, or patch centres in [-1, 1] (Siméoni et al. 2025, DINOv3). */
  readonly kind: 'index' | 'centred';
  /** `ij`: the row turns the first half of the pairs; `xy`: the column does. */
  readonly indexing: 'ij' | 'xy';
  /** Added to row and column. */
  readonly offset: number;
  /**
   * Grid onto which rows and columns are rescaled: the one of the pretraining (Fang et al. 2023,
   * EVA-02).
   */
  readonly reference?: Grid;
}

/** One coordinate of the patch at `index` of `count`. */
const place: Readonly<
  Record<Coordinates['kind'], (index: number, count: number, reference: number) => number>
> = {
  index: (index, count, reference) => (index / count) * reference,
  centred: (index, count) => (2 * (index + 0.5)) / count - 1,
};

/** Both coordinates of every token, special tokens and queries at 0: nothing turns there. */
function placesOf(
  { special = [], grid = [], queries = 0 }: TokenLayout,
  { kind, indexing, offset, reference }: Coordinates,
): readonly (readonly [number, number])[] {
  const [rows, columns] = [at(grid, 0), at(grid, 1)];
  const [rowReference, columnReference] = reference ?? [rows, columns];
  const patches = Array.from({ length: placesRoom(rows * columns) }, (_, patch) => {
    const row = place[kind](Math.floor(patch / columns) + offset, rows, rowReference);
    const column = place[kind]((patch % columns) + offset, columns, columnReference);
    return indexing === 'ij' ? ([row, column] as const) : ([column, row] as const);
  });
  const still = (count: number): readonly (readonly [number, number])[] =>
    Array.from({ length: count }, () => [0, 0] as const);
  return [...still(special.length), ...patches, ...still(queries)];
}

/** Angles token by token: every band of the first coordinate, then of the second. */
function anglesOf(places: readonly (readonly [number, number])[], bands: readonly number[]): Float64Array {
  const angles = new Float64Array(room(places.length * 2 * bands.length));
  let next = 0;
  for (const place of places)
    for (const coordinate of place) for (const band of bands) angles[next++] = coordinate * band;
  return angles;
}

/**
 * Axial rotation (Heo et al. 2024, "Rotary Position Embedding for Vision Transformer", §3.2): the
 * first coordinate turns the first half of a head's pairs by angles coordinate ·
 * temperature^(-4k/width), the second the others; centred coordinates count in full turns. Throws
 * if a head's width is no multiple of 4.
 */
export function axialRotation(
  b: GraphBuilder,
  layout: TokenLayout,
  width: number,
  options: Coordinates & { readonly temperature: number; readonly pairing: Pairing },
): Rotation {
  if (width % 4 !== 0)
    throw new Error(`heads: ${width} channels per head found; rotary positions need a multiple of 4`);
  const turn = options.kind === 'centred' ? 2 * Math.PI : 1;
  const bands = Array.from(
    { length: width / 4 },
    (_, band) => turn * options.temperature ** ((-4 * band) / width),
  );
  const places = placesOf(layout, options);
  const angles = anglesOf(places, bands);
  const shape = [places.length, ...pairings[options.pairing].shape(width / 2, 1)];
  const constant = (name: string, of: (angle: number) => number): ValueInfo =>
    b.constant(`/rotation/${name}`, 'F32', shape, Float32Array.from(angles.map(of)));
  return { sin: constant('sin', Math.sin), cos: constant('cos', Math.cos), pairing: options.pairing };
}

/**
 * Rotation with learned frequencies (Heo et al. 2024, §3.3, RoPE-Mixed): angle = f₁ · first
 * coordinate + f₂ · second, every head its own. `frequencies` is `[2, heads, pairs]`.
 */
export function mixedRotation(
  b: GraphBuilder,
  layout: TokenLayout,
  frequencies: ValueInfo,
  options: Coordinates & { readonly pairing: Pairing },
): Rotation {
  const places = placesOf(layout, options);
  const [, heads, pairs] = frequencies.shape as readonly [number, number, number];
  const turned = (part: ValueInfo, axis: 0 | 1): ValueInfo => {
    const along = Float32Array.from(places, (place) => place[axis]);
    const coordinates = b.constant('/rotation/places', 'F32', [places.length, 1], along);
    return b.add('Mul', [b.reshape(part, [heads, 1, pairs]), coordinates]);
  };
  const [first, second] = splitInTwo(b, frequencies, 0);
  const sum = b.add('Add', [turned(first, 0), turned(second, 1)]);
  const angles = b.reshape(sum, [heads, places.length, ...pairings[options.pairing].shape(pairs, 1)]);
  return { sin: b.add('Sin', [angles]), cos: b.add('Cos', [angles]), pairing: options.pairing };
}

/**
 * Sines, with their signs, and cosines of V-JEPA 2 (Assran et al. 2025, §2.1): a third of a head's
 * channels each turns by frame, row and column, what is left of them by nothing. Its code repeats
 * the frequencies of a third one after the other and turns neighbours all the same, so that both
 * channels of a pair turn by angles of their own.
 */
function clipTables([frames, rows, columns]: readonly [number, number, number], width: number): AngleTables {
  const third = 2 * Math.floor(Math.floor(width / 3) / 2);
  const count = frames * rows * columns;
  const [sin, cos] = [new Float32Array(room(count * width)), new Float32Array(count * width).fill(1)];
  for (let token = 0; token < count; token++) {
    const inFrame = token % (rows * columns);
    const places = [Math.floor(token / (rows * columns)), Math.floor(inFrame / columns), inFrame % columns];
    for (const [part, place] of places.entries())
      for (let channel = 0; channel < third; channel++) {
        const angle = place / 10000 ** ((channel % (third / 2)) / (third / 2));
        const at = token * width + part * third + channel;
        sin[at] = (channel % 2 === 0 ? -1 : 1) * Math.sin(angle);
        cos[at] = Math.cos(angle);
      }
  }
  return { sin, cos };
}

/** Turns tokens of a clip by their places; throws if a head's width is odd. */
export function clipRotation(
  b: GraphBuilder,
  grid: readonly [frames: number, rows: number, columns: number],
  width: number,
): Rotation {
  if (width % 2 !== 0)
    throw new Error(`heads: ${width} channels per head found; rotary positions need an even number`);
  const { sin, cos } = clipTables(grid, width);
  const shape = [grid[0] * grid[1] * grid[2], width];
  return {
    sin: b.constant('/rotation/sin', 'F32', shape, sin),
    cos: b.constant('/rotation/cos', 'F32', shape, cos),
    pairing: 'tiled',
  };
}

/** Queries or keys with neighbours in each other's place, for sines that have their signs. */
function swapped(b: GraphBuilder, values: ValueInfo): ValueInfo {
  const pairs = b.reshape(values, [...values.shape.slice(0, -1), last(values.shape) / 2, 2]);
  const [x, y] = splitInTwo(b, pairs, pairs.shape.length - 1);
  return b.reshape(b.concat([y, x], -1), values.shape);
}

/**
 * Queries or keys `[batch, heads, tokens, width]` with every pair (x, y) turned to
 * (x·cos − y·sin, x·sin + y·cos) (Su et al. 2021, RoFormer, eq. 13).
 */
export function rotate(b: GraphBuilder, values: ValueInfo, { sin, cos, pairing }: Rotation): ValueInfo {
  if (pairing === 'tiled')
    return b.add('Add', [b.add('Mul', [values, cos]), b.add('Mul', [swapped(b, values), sin])]);
  const { shape, axis } = pairings[pairing];
  const pairs = b.reshape(values, [...values.shape.slice(0, -1), ...shape(last(values.shape) / 2, 2)]);
  const [x, y] = splitInTwo(b, pairs, pairs.shape.length + axis);
  const times = (value: ValueInfo, factor: ValueInfo): ValueInfo => b.add('Mul', [value, factor]);
  const turned = b.concat(
    [b.add('Sub', [times(x, cos), times(y, sin)]), b.add('Add', [times(x, sin), times(y, cos)])],
    axis,
  );
  return b.reshape(turned, values.shape);
}
