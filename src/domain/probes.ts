import { product, sum } from './lists';
import type { Grid } from './size';

/**
 * Order of the tokens along one side of an attention map: special tokens first, then the grid in
 * row-major order, then what has no place on the image.
 */
export interface TokenLayout {
  /**
   * `cls`, `dist`, `reg0` … or `probe` for a pooling query; empty or absent if there is none.
   */
  readonly special?: readonly string[];
  /** `[rows, columns]` of patches; `[frames, rows, columns]` for video. */
  readonly grid?: readonly number[];
  /** Text tokens, or a sequence without a place on the image. */
  readonly sequence?: number;
  /** The sequence stands in front of all others. */
  readonly sequenceFirst?: true;
  /** Channel attention. */
  readonly channels?: number;
  /** Learned object queries. */
  readonly queries?: number;
  /** Rows and columns of several maps, whose tokens stand one map after another. */
  readonly grids?: readonly Grid[];
  /** Points that are sampled on each of several maps, those of one map after another's. */
  readonly levels?: number;
  readonly points?: number;
}

/**
 * `activation` is no attention: what each position adds to the likeliest classes (queries `top1`,
 * `top2` …), which may be negative.
 */
export type ProbeKind =
  | 'self'
  | 'causal'
  | 'cross'
  | 'class'
  | 'pool'
  | 'window'
  | 'reduced'
  | 'channel'
  | 'spatial'
  | 'deformable'
  | 'activation';

/** Rows and columns, or one number for both. */
export type Sides = number | Grid;

/**
 * Which tokens of a map attend to one another, if not all do: windows in row-major order of the
 * (shifted) map; a grid spread over it (`dilated`); interleaved pixels (`phases`, or `stride`);
 * mask units (`units`, how many of them down and across); frames or positions of a clip (`per`).
 */
export interface WindowLayout {
  readonly size?: Sides;
  readonly shift?: Sides;
  /**
   * Map before and after zero padding at the bottom and right; without it the grids of queries and
   * keys are the whole map.
   */
  readonly map?: Grid;
  readonly padded?: Grid;
  /** Rows and columns of windows that cover the padded map. */
  readonly windows?: Grid;
  /**
   * Whether the zeros are rolled with the map, or lie behind the rolled map. Only if that makes
   * a difference.
   */
  readonly rolls?: 'map' | 'padded';
  /** Tokens of a window lie as far apart as there are windows (MaxViT's grid attention). */
  readonly dilated?: boolean;
  readonly phases?: Grid;
  readonly stride?: number;
  readonly units?: Grid;
  /**
   * Of a clip: a window is one frame, or one position through all frames; `windows` says of how
   * many (of positions, their rows and columns).
   */
  readonly per?: 'frame' | 'position';
}

/**
 * One attention map of the graph: the matrix that multiplies the values, after softmax and whatever
 * follows it. Its value has shape `[batch, heads, queries, keys]`, or
 * `[batch · windows, heads, n, n]` for windows.
 */
export interface Probe {
  /** Name of the graph value that holds the map. */
  readonly value: string;
  /** Module path of the block: `blocks.3`. */
  readonly layer: string;
  readonly kind: ProbeKind;
  readonly heads: number;
  readonly queries: TokenLayout;
  readonly keys: TokenLayout;
  readonly window?: WindowLayout;
  /**
   * Of deformable attention the graph value that says where each key lies, `[batch, heads,
   * queries, levels · points, 2]`: x and y, 0 … 1 on the map of its level.
   */
  readonly places?: string;
  /** Keys are a map reduced by this factor (PVT, Twins, MViT). */
  readonly reduction?: number;
  /** Queries are every n-th row and column of the keys' map (LeViT's downsampling). */
  readonly query_stride?: number;
}

/** Rows and columns of one number for both, or of two. */
export const bothSides = (sides: Sides): Grid => (typeof sides === 'number' ? [sides, sides] : sides);

/**
 * Sides of a map by one axis, before and after padding, and how it is rolled before windows are
 * cut.
 */
export interface RolledAxis {
  readonly map: number;
  readonly padded: number;
  readonly shift: number;
  readonly rolls: 'map' | 'padded';
}

/** Where the token at a place of the rolled and padded map comes from; -1 for a zero. */
export function originOf(place: number, { map, padded, shift, rolls }: RolledAxis): number {
  const side = rolls === 'map' ? map : padded;
  if (place >= side) return -1;
  const from = (place + shift) % side;
  return from < map ? from : -1;
}

/** Number of tokens of a layout. */
export function tokenCount(layout: TokenLayout): number {
  const grid = layout.grid ? product(layout.grid) : 0;
  const grids = sum((layout.grids ?? []).map(product));
  const points = (layout.levels ?? 0) * (layout.points ?? 0);
  const rest = layout.sequence ?? layout.channels ?? layout.queries ?? 0;
  return (layout.special?.length ?? 0) + grid + grids + points + rest;
}

/** Place of the first special token, of the first patch without one. */
export const firstPlace = ({ sequence = 0, sequenceFirst }: TokenLayout): number =>
  sequenceFirst ? sequence : 0;

/** Channels attend to channels: no token asks, the map is shown as it is. */
export const isChannelMatrix = ({ queries }: Pick<Probe, 'queries'>): boolean =>
  queries.channels !== undefined;

/** One weight for each channel or position, by which it is multiplied: no token asks. */
export const isGate = ({ queries }: Pick<Probe, 'queries'>): boolean =>
  (queries.special ?? []).includes('gate');

/** Same tokens in the same order. */
const sameLayout = (left: TokenLayout, right: TokenLayout): boolean =>
  tokenCount(left) === tokenCount(right) &&
  (left.special ?? []).join() === (right.special ?? []).join() &&
  (left.grid ?? []).join() === (right.grid ?? []).join() &&
  (left.grids ?? []).join() === (right.grids ?? []).join();

/**
 * Number of layers from the first on in which all tokens attend to the same tokens: only these
 * multiply to a rollout.
 */
export function chainLength(probes: readonly Probe[]): number {
  const [first] = probes;
  const broken = probes.findIndex(
    ({ kind, queries, keys, window }) =>
      kind !== 'self' ||
      window !== undefined ||
      !sameLayout(queries, keys) ||
      (first !== undefined && !sameLayout(queries, first.queries)),
  );
  return broken < 0 ? probes.length : broken;
}
