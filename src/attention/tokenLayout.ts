import type { Query } from '../protocol/imagePanel';
import { tokenCount, type Probe, type TokenLayout } from '../protocol/probes';

/** Rows and columns of a layout's patches (of one frame of a video); undefined where none lie on the picture. */
export function pictureGrid({ grid }: TokenLayout): readonly [rows: number, columns: number] | undefined {
  const [rows, columns] = (grid ?? []).slice(-2);
  return rows === undefined || columns === undefined ? undefined : [rows, columns];
}

/** Place of a token in its sequence; undefined where the layout has no such token, or for the mean, which is many. */
export function tokenIndex(layout: TokenLayout, query: Query): number | undefined {
  const special = layout.special ?? [];
  if (query.kind === 'mean') return undefined;
  if (query.kind === 'special') {
    const at = special.indexOf(query.name);
    return at < 0 ? undefined : at;
  }
  const [rows, columns] = pictureGrid(layout) ?? [0, 0];
  const inside = query.row >= 0 && query.row < rows && query.column >= 0 && query.column < columns;
  return inside ? special.length + query.row * columns + query.column : undefined;
}

/**
 * A query as weights of the map's rows (they sum to 1), so that one product answers any of them: one row, or equal parts of all
 * patches (of all tokens, where none lie on the picture). Undefined where the layout has no such token.
 */
export function queryWeights(layout: TokenLayout, query: Query): Float32Array | undefined {
  const weights = new Float32Array(tokenCount(layout));
  if (query.kind === 'mean') {
    const first = pictureGrid(layout) ? (layout.special?.length ?? 0) : 0;
    return weights.length > first ? weights.fill(1 / (weights.length - first), first) : undefined;
  }
  const at = tokenIndex(layout, query);
  if (at === undefined) return undefined;
  weights[at] = 1;
  return weights;
}

/** The query that a model is first asked: its class token (or first special token), without one the mean over patches. */
export function defaultQuery(probes: readonly Probe[]): Query {
  const name = probes.at(-1)?.queries.special?.[0];
  return name === undefined ? { kind: 'mean' } : { kind: 'special', name };
}

/** Weights that lie on the picture: `[rows, columns]`, row-major. */
export interface PictureMap {
  readonly rows: number;
  readonly columns: number;
  readonly values: Float32Array;
}

/** One query's weights over the keys, taken apart by what the keys are. */
export interface KeyMap {
  readonly special: readonly { readonly name: string; readonly value: number }[];
  readonly picture?: PictureMap;
  /** Keys without a place on the picture: channels, a sequence, object queries. */
  readonly rest?: Float32Array;
}

/** Rows and columns of the keys that lie on the picture: of the whole map, for windows. */
export const keyGrid = ({ keys, window }: Pick<Probe, 'keys' | 'window'>): ReturnType<typeof pictureGrid> =>
  window?.map ?? pictureGrid(keys);

/** Takes one row of weights apart by the probe's layout of keys. Keys of windows come stitched to the whole map. */
export function splitKeys(probe: Pick<Probe, 'keys' | 'window'>, weights: Float32Array): KeyMap {
  const names = probe.window?.map ? [] : (probe.keys.special ?? []);
  const special = names.map((name, index) => ({ name, value: weights[index] ?? 0 }));
  const others = weights.subarray(names.length);
  const grid = keyGrid(probe);
  if (!grid) return { special, rest: others };
  const [rows, columns] = grid;
  return { special, picture: { rows, columns, values: others.subarray(0, rows * columns) } };
}
