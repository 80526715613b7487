/**
 * Names the token that asks: a special token (`others` is what layers without it answer; nothing if
 * it is absent), a patch, an object query or a token of a text by its index, or the mean over all
 * patches (over all tokens if none lie on the image). `grid` is what a patch's row and column count
 * on: a layer with another grid is asked for the patch at the same place of the image. Without it
 * they count on each layer's own.
 */
export type Query =
  | { readonly kind: 'special'; readonly name: string; readonly others?: 'mean' }
  | {
      readonly kind: 'patch';
      readonly row: number;
      readonly column: number;
      readonly grid?: readonly [rows: number, columns: number];
    }
  | { readonly kind: 'query'; readonly index: number }
  | { readonly kind: 'token'; readonly index: number }
  | { readonly kind: 'mean' };

/** What is asked of the maps: the weights of each head, or their rollout up to each layer. */
export type Method = 'raw' | 'rollout';

/** Attention of one query over all layers, and over all heads if they are told apart. */
export interface AttentionRows {
  readonly run: number;
  readonly query: Query;
  readonly method: Method;
  /**
   * Per probe: `rows[probe]` is `[heads, keys]` (of a rollout `[keys]`, empty if layers do not
   * chain), row-major; keys in the order of the probe's key layout. Empty if the probe has no such
   * query; one with a single query answers any. Windows come stitched: the keys are those of the
   * whole map, NaN outside of the query's window. Channels attend to channels whatever is asked:
   * `[heads, channels, channels]`.
   */
  readonly rows: readonly Float32Array[];
  /**
   * Per probe of deformable attention where the keys of the query lie, `[heads, keys, 2]`: x and y
   * in 0 … 1 of the input. Empty for other layers, and for means.
   */
  readonly places?: readonly Float32Array[];
}
