/** Order of the tokens along one side of an attention map: special tokens first, then the grid in row-major order. */
export interface TokenLayout {
  /** `cls`, `dist`, `reg0` … or `probe` for a pooling query; empty or absent where there is none. */
  readonly special?: readonly string[];
  /** `[rows, columns]` of patches; `[frames, rows, columns]` for video. */
  readonly grid?: readonly number[];
  /** Text tokens, or a sequence without a place on the picture. */
  readonly sequence?: number;
  /** Channel attention. */
  readonly channels?: number;
  /** Learned object queries. */
  readonly queries?: number;
}

export type ProbeKind =
  'self' | 'causal' | 'cross' | 'class' | 'pool' | 'window' | 'reduced' | 'channel' | 'spatial';

/** Windows of a (shifted) map, in row-major order. */
export interface WindowLayout {
  readonly size: number | readonly [number, number];
  readonly shift?: number | readonly [number, number];
  /** Map before and after zero padding at the bottom and right. */
  readonly map?: readonly [number, number];
  readonly padded?: readonly [number, number];
  readonly [detail: string]: unknown;
}

/**
 * One attention map of the graph: the matrix that multiplies the values, after softmax and whatever follows it.
 * Its value has shape `[batch, heads, queries, keys]`, or `[batch · windows, heads, n, n]` for windows.
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
  /** Keys are a map reduced by this factor (PVT, Twins, MViT). */
  readonly reduction?: number;
  /** Queries are every n-th row and column of the keys' map (LeViT's downsampling). */
  readonly query_stride?: number;
}

/** Number of tokens of a layout. */
export function tokenCount(layout: TokenLayout): number {
  const grid = layout.grid ? layout.grid.reduce((product, size) => product * size, 1) : 0;
  return (layout.special?.length ?? 0) + grid + (layout.sequence ?? layout.channels ?? layout.queries ?? 0);
}
