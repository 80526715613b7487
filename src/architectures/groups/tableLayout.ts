import { at } from '../../domain/lists';
import type { Grid } from '../../domain/size';
import { divisorsOf } from '../divisors';
import type { Evidence } from '../family';
import { assumed, stored } from '../evidence';
import type { Measures } from './measure';

/** How the position table lies over the tokens. */
export interface TableLayout {
  /** Leading rows of the table that belong to special tokens. */
  readonly slots: Evidence<number>;
  /** `[rows, columns]` of the patches the table was made for. */
  readonly grid: Evidence<Grid>;
  readonly warnings: readonly string[];
}

/** What determines how a position table may be laid out. */
export type TableMeasures = Pick<Measures, 'positions' | 'classToken' | 'distillationToken' | 'registers'>;

/**
 * Numbers of leading rows that a table may spend on special tokens: on all of them, on those before
 * the registers, on none.
 */
function slotChoices({ classToken, distillationToken, registers }: TableMeasures): readonly number[] {
  const named = Number(classToken) + Number(distillationToken);
  return [...new Set([named + registers, named, 0])];
}

/** Grids of so many positions, the flattest first. */
export const gridsOf = (count: number): readonly Grid[] =>
  divisorsOf(Math.max(count, 0)).map((rows) => [rows, count / rows]);

/**
 * Finds which rows of the table are special tokens' and which grid the others are. `known` are
 * grids that the user's or the config's image size makes; one that fits decides, else the square
 * grid, else the grid nearest to a square with a warning that lists the others. Undefined if no row
 * is left.
 */
export function tableLayout(
  measures: TableMeasures,
  known: readonly { readonly grid: Grid; readonly source: string }[],
): TableLayout | undefined {
  const choices = slotChoices(measures);
  const fit = known
    .flatMap((size) => choices.map((slots) => ({ ...size, slots })))
    .find(({ grid, slots }) => measures.positions === grid[0] * grid[1] + slots);
  const told = (slots: number): Evidence<number> =>
    stored(slots, `pos_embed holds ${measures.positions} rows, ${slots} of them for special tokens`);
  if (fit)
    return { slots: told(fit.slots), grid: stored(fit.grid, `pos_embed and ${fit.source}`), warnings: [] };
  const square = choices.find((slots) => Number.isInteger(Math.sqrt(measures.positions - slots)));
  if (square !== undefined && measures.positions > square) {
    const side = Math.sqrt(measures.positions - square);
    return {
      slots: told(square),
      grid: stored([side, side], `pos_embed holds ${side} × ${side} patches`),
      warnings: [],
    };
  }
  return oblong(measures, at(choices, 0), told);
}

function oblong(
  measures: TableMeasures,
  slots: number,
  told: (slots: number) => Evidence<number>,
): TableLayout | undefined {
  const grids = gridsOf(measures.positions - slots);
  const nearest = grids.find(([rows, columns]) => rows >= columns);
  if (!nearest) return undefined;
  const others = grids.map((grid) => grid.join(' × ')).join(', ');
  return {
    slots: told(slots),
    grid: assumed(nearest, `the grid nearest to a square of those that fit (${others})`),
    warnings: [
      `The position table pos_embed fits several grids (${others}); ${nearest.join(' × ')} was taken. State the image size or the grid.`,
    ],
  };
}
