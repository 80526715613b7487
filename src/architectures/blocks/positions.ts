import type { GraphBuilder } from '../../graph/builder';
import { float, int, ints, text, type Attribute, type ValueInfo } from '../../graph/graph';
import { assumed, stored } from '../figures';
import type { Evidence } from '../family';
import type { Measures } from '../groups/measure';

/** How a library resamples a position table for another image size. */
interface Resampling {
  readonly mode: 'cubic' | 'linear';
  readonly antialias: boolean;
  readonly alignCorners: boolean;
  /** Added to the new side before the scale is taken: DINO's guard against rounding, which shifts every sample a little. */
  readonly offset: number;
}

const bicubic: Resampling = { mode: 'cubic', antialias: false, alignCorners: false, offset: 0 };

/**
 * Sources: timm layers/pos_embed.py resample_abs_pos_embed; transformers interpolate_pos_encoding of each model (registers: with antialias;
 * SigLIP 2: bilinear with antialias); torchvision interpolate_embeddings; big_vision resample_posemb (scipy zoom of order 1);
 * dinov2 vision_transformer.py interpolate_pos_encoding; open_clip resize_pos_embed.
 */
const resamplings = {
  'bicubic, antialias': { ...bicubic, antialias: true },
  bicubic,
  bilinear: { ...bicubic, mode: 'linear' },
  'bicubic, corners aligned': { ...bicubic, alignCorners: true },
  'bilinear, antialias': { ...bicubic, mode: 'linear', antialias: true },
  'bilinear, corners aligned': { ...bicubic, mode: 'linear', alignCorners: true },
  'bicubic, offset 0.1': { ...bicubic, offset: 0.1 },
} as const satisfies Record<string, Resampling>;

/** Name of a way of resampling: the value of the figure `resampling`. */
export type ResamplingName = keyof typeof resamplings;

/** Every way of resampling. */
export const resamplingNames = Object.keys(resamplings) as readonly ResamplingName[];

/** Whether the word names a way of resampling. */
export function isResampling(name: string): name is ResamplingName {
  return Object.hasOwn(resamplings, name);
}

/** How the position table lies over the tokens. */
export interface TableLayout {
  /** Leading rows of the table that belong to special tokens. */
  readonly slots: Evidence;
  /** `[rows, columns]` of the patches the table was made for. */
  readonly grid: Evidence;
  readonly warnings: readonly string[];
}

/** What of a model says how its position table may be laid out. */
export type TableMeasures = Pick<Measures, 'positions' | 'classToken' | 'distillationToken' | 'registers'>;

/** Numbers of leading rows that a table may spend on special tokens: on all of them, on those before the registers, on none. */
function slotChoices({ classToken, distillationToken, registers }: TableMeasures): readonly number[] {
  const named = Number(classToken) + Number(distillationToken);
  return [...new Set([named + registers, named, 0])];
}

function rectangles(count: number): readonly (readonly [number, number])[] {
  const rows = Array.from({ length: count }, (_, index) => index + 1).filter((side) => count % side === 0);
  return rows.map((side) => [side, count / side] as const);
}

/**
 * Which rows of the table are special tokens' and which grid the others are. `known` are grids that the user's or the config's image size
 * makes; one that fits decides, else the square grid, else the grid nearest to a square with a warning that lists the others.
 */
export function tableLayout(
  measures: TableMeasures,
  known: readonly { readonly grid: readonly [number, number]; readonly source: string }[],
): TableLayout | undefined {
  const choices = slotChoices(measures);
  const fit = known
    .flatMap((size) => choices.map((slots) => ({ ...size, slots })))
    .find(({ grid, slots }) => measures.positions === grid[0] * grid[1] + slots);
  const told = (slots: number): Evidence =>
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
  return oblong(measures, choices[0]!, told);
}

function oblong(
  measures: TableMeasures,
  slots: number,
  told: (slots: number) => Evidence,
): TableLayout | undefined {
  const grids = rectangles(measures.positions - slots);
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

/**
 * `[1, rows · columns, dim]` patch rows of a position table for `grid`, resampled from the grid the table was made for as the
 * checkpoint's library does. Interpolation with antialias has a = -0.5 (as Pillow), without a = -0.75: torch's constants.
 */
export function resampled(
  b: GraphBuilder,
  table: ValueInfo,
  native: readonly [number, number],
  grid: readonly [number, number],
  name: ResamplingName,
): ValueInfo {
  if (native[0] === grid[0] && native[1] === grid[1]) return table;
  const way: Resampling = resamplings[name];
  const dim = table.shape[2]!;
  const map = b.transpose(b.reshape(table, [1, ...native, dim]), [0, 3, 1, 2]);
  const resized = b.add('Resize', resizeInputs(b, map, native, grid, way), resizeAttributes(way));
  return b.reshape(b.transpose(resized, [0, 2, 3, 1]), [1, grid[0] * grid[1], dim]);
}

function resizeInputs(
  b: GraphBuilder,
  map: ValueInfo,
  native: readonly [number, number],
  grid: readonly [number, number],
  { offset }: Resampling,
): readonly (ValueInfo | undefined)[] {
  if (offset === 0) return [map, undefined, undefined, b.indices([1, map.shape[1]!, ...grid])];
  const scales = [1, 1, (grid[0] + offset) / native[0], (grid[1] + offset) / native[1]];
  return [map, undefined, b.constant('/scales', 'F32', [4], Float32Array.from(scales))];
}

function resizeAttributes({
  mode,
  antialias,
  alignCorners,
}: Resampling): Readonly<Record<string, Attribute>> {
  return {
    mode: text(mode),
    coordinate_transformation_mode: text(alignCorners ? 'align_corners' : 'half_pixel'),
    ...(mode === 'cubic' && { cubic_coeff_a: float(antialias ? -0.5 : -0.75) }),
    ...(antialias && { antialias: int(1), exclude_outside: int(1) }),
    axes: ints([0, 1, 2, 3]),
  };
}
