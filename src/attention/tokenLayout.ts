import type { Query } from '../domain/query';
import type { Grid } from '../domain/size';
import { firstPlace, tokenCount, type Probe, type TokenLayout } from '../domain/probes';

export interface Cell {
  readonly row: number;
  readonly column: number;
}

/** The same place of the image on another grid: the cell under the first one's centre. */
export function sameCell({ row, column }: Cell, [rows, columns]: Grid, [toRows, toColumns]: Grid): Cell {
  return {
    row: Math.min(toRows - 1, Math.floor(((row + 0.5) / rows) * toRows)),
    column: Math.min(toColumns - 1, Math.floor(((column + 0.5) / columns) * toColumns)),
  };
}

/**
 * Rows and columns of a layout's patches (of the finest of several maps); undefined if none lie on
 * the image, or on several frames of a clip.
 */
export function imageGrid({ grid, grids = [] }: TokenLayout): Grid | undefined {
  const [rows, columns, ...more] = grid ?? finest(grids);
  return rows === undefined || columns === undefined || more.length > 0 ? undefined : [rows, columns];
}

const cells = ([rows, columns]: Grid): number => rows * columns;

const finest = (grids: readonly Grid[]): readonly number[] =>
  grids.reduce<Grid | undefined>(
    (best, grid) => (best && cells(best) >= cells(grid) ? best : grid),
    undefined,
  ) ?? [];

/** Place in the sequence of the first patch of `imageGrid`. */
function imageStart(layout: TokenLayout): number {
  const { special = [], grids = [] } = layout;
  const before = grids.slice(
    0,
    Math.max(
      0,
      grids.findIndex((grid) => grid === finest(grids)),
    ),
  );
  return firstPlace(layout) + special.length + before.reduce((total, grid) => total + cells(grid), 0);
}

/**
 * Place of a token in its sequence; undefined if the layout has no such token, or for the mean,
 * which is many.
 */
export function tokenIndex(layout: TokenLayout, query: Query): number | undefined {
  const special = layout.special ?? [];
  if (query.kind === 'mean') return undefined;
  if (query.kind === 'special') {
    const at = special.indexOf(query.name);
    return at < 0 ? undefined : firstPlace(layout) + at;
  }
  if (query.kind === 'query') return objectIndex(layout, query.index);
  if (query.kind === 'token') return textIndex(layout, query.index);
  const [rows, columns] = imageGrid(layout) ?? [0, 0];
  const { row, column } = query.grid ? sameCell(query, query.grid, [rows, columns]) : query;
  const inside = row >= 0 && row < rows && column >= 0 && column < columns;
  return inside ? imageStart(layout) + row * columns + column : undefined;
}

/** Place of a token of a text: in front of all others, or behind them. */
function textIndex(layout: TokenLayout, index: number): number | undefined {
  const { sequence = 0, sequenceFirst } = layout;
  if (index < 0 || index >= sequence) return undefined;
  return sequenceFirst ? index : tokenCount(layout) - sequence + index;
}

/** Place of an object query: they stand behind special tokens and patches. */
function objectIndex(layout: TokenLayout, index: number): number | undefined {
  const queries = layout.queries ?? 0;
  return index >= 0 && index < queries ? tokenCount(layout) - queries + index : undefined;
}

/**
 * A query as weights of the map's rows (they sum to 1), so that one product answers any of them:
 * one row, or equal parts of all patches (of all tokens, if none lie on the image). Undefined
 * where the layout has no such token.
 */
export function queryWeights(layout: TokenLayout, query: Query): Float32Array | undefined {
  const weights = new Float32Array(tokenCount(layout));
  if (query.kind === 'mean') {
    const first = layout.grid ? firstPlace(layout) + (layout.special?.length ?? 0) : 0;
    const behind = (layout.queries ?? 0) + (layout.sequenceFirst ? 0 : (layout.sequence ?? 0));
    const end = layout.grid ? weights.length - behind : weights.length;
    return end > first ? weights.fill(1 / (end - first), first, end) : undefined;
  }
  const at = tokenIndex(layout, query);
  if (at === undefined) return undefined;
  weights[at] = 1;
  return weights;
}

/**
 * The query that a model is first asked: its class token (or first special token), without one the
 * mean over patches. A last layer with one query alone (class attention, a pooling head) answers
 * whatever is asked, so that the layers below, which lack that query, answer too.
 */
export function defaultQuery(probes: readonly Probe[]): Query {
  const last = probes.at(-1);
  const name = last?.queries.special?.[0];
  const alone = last && tokenCount(last.queries) === 1 && !probes.every((probe) => hasSpecial(probe, name));
  return name === undefined || alone ? { kind: 'mean' } : orMean(probes, { kind: 'special', name });
}

/**
 * A special token that some layers lack asks them for the mean of their patches; one query alone
 * answers anyway.
 */
export function orMean(probes: readonly Probe[], query: Query): Query {
  if (query.kind !== 'special') return query;
  const lacks = (probe: Probe): boolean => tokenCount(probe.queries) !== 1 && !hasSpecial(probe, query.name);
  return probes.some(lacks) ? { ...query, others: 'mean' } : query;
}

const hasSpecial = ({ queries }: Probe, name: string | undefined): boolean =>
  name !== undefined && (queries.special ?? []).includes(name);
