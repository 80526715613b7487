import { at, largest, smallest } from '../../domain/lists';
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

/** A way to read a table: so many rows of special tokens, then a grid. */
interface Reading {
  readonly slots: number;
  readonly grid: Grid;
}

/**
 * Numbers of leading rows that a table may spend on special tokens, the likeliest first: on class
 * and distillation token (ViT, DeiT, DINOv2), on none (DeiT III, timm's models with registers), on
 * all. Published models with registers keep no positions for them (Darcet et al. 2023).
 */
function slotChoices({ classToken, distillationToken, registers }: TableMeasures): readonly number[] {
  const named = Number(classToken) + Number(distillationToken);
  return [...new Set([named, 0, named + registers])];
}

/** Grids of so many positions, the flattest first. */
export const gridsOf = (count: number): readonly Grid[] =>
  divisorsOf(Math.max(count, 0)).map((rows) => [rows, count / rows]);

/** A grid that something else than the table tells, and what. */
export interface KnownGrid {
  readonly grid: Grid;
  readonly source: string;
}

const isSquare = ([rows, columns]: Grid): boolean => rows === columns;

/** Longer images than so many times their other side are nobody's. */
const longest = 16;

/** A grid that somebody may have made: one row or column of patches is none. */
export const isLikelyGrid = (grid: Grid): boolean =>
  smallest(grid) > 1 && largest(grid) <= longest * smallest(grid);

/** Readings of a table that somebody may have made. */
const readings = ({ positions }: TableMeasures, slots: readonly number[]): readonly Reading[] =>
  slots.flatMap((each) =>
    gridsOf(positions - each)
      .filter(isLikelyGrid)
      .map((grid) => ({ slots: each, grid })),
  );

/**
 * The reading that published models would have: a square grid, behind rows of the class token or of
 * nothing; else the grid that is nearest to a square behind the likeliest rows. Of registers no
 * published table has rows, so that a square behind them tells nothing.
 */
function likeliest(measures: TableMeasures, slots: readonly number[]): Reading | undefined {
  const { positions, registers } = measures;
  const usual = registers > 0 ? slots.slice(0, -1) : slots;
  const side = (each: number): number => Math.sqrt(positions - each);
  const square = usual.find((each) => positions > each && Number.isInteger(side(each)));
  if (square !== undefined) return { slots: square, grid: [side(square), side(square)] };
  const first = readings(measures, slots)[0]?.slots ?? at(slots, 0);
  const nearest = gridsOf(positions - first).find(([rows, columns]) => rows >= columns);
  return nearest && { slots: first, grid: nearest };
}

/**
 * Finds which rows of the table are special tokens' and which grid the others are. `known` are
 * grids that the user's or the config's image size makes; one that fits decides, else the likeliest
 * reading, which is assumed and warned of if others fit. Undefined if no row is left.
 */
export function tableLayout(measures: TableMeasures, known: readonly KnownGrid[]): TableLayout | undefined {
  const choices = slotChoices(measures);
  const { positions } = measures;
  const fit = known
    .flatMap((size) => choices.map((slots) => ({ ...size, slots })))
    .find(({ grid, slots }) => positions === grid[0] * grid[1] + slots);
  const told = (slots: number): string =>
    `pos_embed holds ${positions} rows, ${slots} of them for special tokens`;
  if (fit)
    return {
      slots: stored(fit.slots, told(fit.slots)),
      grid: stored(fit.grid, `pos_embed and ${fit.source}`),
      warnings: [],
    };
  const taken = likeliest(measures, choices);
  if (!taken) return undefined;
  const { slots, grid } = taken;
  const shape = grid.join(' × ');
  // Behind the usual rows, a square says enough of the rows; not of the grid.
  const doubtful = slots === choices[0] && isSquare(grid) ? [slots] : choices;
  const fitting = readings(measures, doubtful);
  if (isSquare(grid) && fitting.every((each) => isSame(each, taken)))
    return {
      slots: stored(slots, told(slots)),
      grid: stored(grid, `pos_embed holds ${shape} patches`),
      warnings: [],
    };
  const all = listed(fitting, slots);
  const sure = fitting.every((each) => each.slots === slots);
  return {
    slots: sure ? stored(slots, told(slots)) : assumed(slots, `${told(slots)}, as in published models`),
    grid: assumed(grid, `the grid nearest to a square of those that fit (${all})`),
    warnings: [
      `The position table pos_embed fits several grids (${all}); ${shape} was taken. State the image size or the grid.`,
    ],
  };
}

const isSame = (left: Reading, right: Reading): boolean =>
  left.slots === right.slots && left.grid[0] === right.grid[0];

/** Most readings that a message names. */
const mostNamed = 12;

/** `2 × 12, 12 × 2, 5 × 5 behind no row of special tokens` */
function listed(fitting: readonly Reading[], slots: number): string {
  const texts = fitting.slice(0, mostNamed).map(({ grid, slots: own }) => {
    const sides = grid.join(' × ');
    return own === slots ? sides : `${sides} behind ${rowsOf(own)}`;
  });
  if (fitting.length === 0) return 'one row or column of patches';
  return fitting.length > mostNamed
    ? `${texts.join(', ')} and ${fitting.length - mostNamed} more`
    : texts.join(', ');
}

const rowsOf = (slots: number): string =>
  slots === 0 ? 'no row of special tokens' : slots === 1 ? '1 row of special tokens' : `${slots} such rows`;
