import { at } from '../../domain/lists';
import type { Grid } from '../../domain/size';
import type { GraphBuilder } from '../../graph/builder';
import { int, type ValueInfo } from '../../graph/graph';
import { room } from '../../graph/limits';

/** How DETR's family writes places as sines and cosines. */
export interface SinePositions {
  /** Channels for each of the two axes. */
  readonly width: number;
  /** Of both axes, or of rows and of columns. */
  readonly temperature?: number | readonly [rows: number, columns: number];
  /** Places are taken to 0 … 2π (Carion et al. 2020, code); they count from 1 otherwise. */
  readonly normalise: boolean;
  /** Taken from a normalised place's row and column, as Deformable DETR does: −0.5. */
  readonly offset?: number;
}

/**
 * Positions of a grid as sines and cosines, rows first, then columns (Carion et al. 2020, DETR,
 * appendix A.4, and its code), `[rows · columns, 2 · width]`, row-major.
 */
export function sinePositions(
  [rows, columns]: Grid,
  { width, temperature = 10_000, normalise, offset = 0 }: SinePositions,
): Float32Array {
  const [down, across] = typeof temperature === 'number' ? [temperature, temperature] : temperature;
  const values = new Float32Array(room(rows * columns * 2 * width));
  const place = (index: number, side: number): number =>
    normalise ? ((index + 1 + offset) / (side + 1e-6)) * 2 * Math.PI : index + 1;
  let at = 0;
  for (let row = 0; row < rows; row++)
    for (let column = 0; column < columns; column++)
      for (const [position, base] of [
        [place(row, rows), down],
        [place(column, columns), across],
      ] as const)
        for (let channel = 0; channel < width; channel++) {
          const angle = position / base ** ((2 * Math.floor(channel / 2)) / width);
          values[at++] = channel % 2 === 0 ? Math.sin(angle) : Math.cos(angle);
        }
  return values;
}

/**
 * The same of maps that only a part of is the image: places are counted over those of the image
 * alone, `[batch · rows · columns, 2 · width]`.
 *
 * @param mask `[batch, rows, columns]`, 1 on the image and 0 elsewhere
 */
export function maskedSines(
  b: GraphBuilder,
  mask: ValueInfo,
  { width, temperature = 10_000, normalise }: SinePositions,
): ValueInfo {
  const [batch, rows, columns] = [at(mask.shape, 0), at(mask.shape, 1), at(mask.shape, 2)];
  const bases = typeof temperature === 'number' ? ([temperature, temperature] as const) : temperature;
  const triangle = (side: number, isKept: (row: number, column: number) => boolean): ValueInfo =>
    b.constant(
      `/triangle${side}`,
      'F32',
      [side, side],
      Float32Array.from({ length: room(side * side) }, (_, index) =>
        isKept(Math.floor(index / side), index % side) ? 1 : 0,
      ),
    );
  const counted = [
    b.add('MatMul', [triangle(rows, (row, column) => column <= row), mask]),
    b.add('MatMul', [mask, triangle(columns, (row, column) => row <= column)]),
  ];
  const sines = counted.map((count, index) => {
    const side = [rows, columns][index] ?? 1;
    const most = b.add('Add', [b.slice(count, index + 1, side - 1, side), b.scalar(1e-6)]);
    const place = normalise ? b.add('Mul', [b.add('Div', [count, most]), b.scalar(2 * Math.PI)]) : count;
    const factors = Float32Array.from(
      { length: width / 2 },
      (_, pair) => 1 / (bases[index] ?? 1) ** ((2 * pair) / width),
    );
    const angles = b.add('Mul', [
      b.reshape(place, [batch * rows * columns, 1, 1]),
      b.constant('/factors', 'F32', [width / 2, 1], factors),
    ]);
    return b.reshape(b.concat([b.add('Sin', [angles]), b.add('Cos', [angles])], 2), [
      batch * rows * columns,
      width,
    ]);
  });
  return b.concat(sines, 1);
}

/** The same as a constant of the graph, once for each image of a batch: `[batch · places, dim]`. */
export function sineTable(
  b: GraphBuilder,
  name: string,
  grid: Grid,
  batch: number,
  config: SinePositions,
): ValueInfo {
  const one = sinePositions(grid, config);
  const all = new Float32Array(room(batch * one.length));
  for (let image = 0; image < batch; image++) all.set(one, image * one.length);
  return b.constant(name, 'F32', [batch * grid[0] * grid[1], 2 * config.width], all);
}

/**
 * Coordinates in 0 … 1 as sines and cosines of `width` channels each, row before column where both
 * come first (Meng et al. 2021, Conditional DETR, §3.2; Liu et al. 2022, DAB-DETR, equation 6).
 *
 * @param places `[rows, coordinates]`: x, y, and width and height for boxes
 * @returns `[rows, coordinates · width]`: y, x, width, height, or in their own order
 */
export function sineOfPlaces(
  b: GraphBuilder,
  places: ValueInfo,
  width: number,
  { rowsFirst = true }: { readonly rowsFirst?: boolean } = {},
): ValueInfo {
  const [rows, coordinates] = [at(places.shape, 0), at(places.shape, 1)];
  const pairs = width / 2;
  const factors = Float32Array.from(
    { length: pairs },
    (_, pair) => (2 * Math.PI) / 10_000 ** ((2 * pair) / width),
  );
  const order = coordinates > 1 ? [1, 0, ...Array.from({ length: coordinates - 2 }, (_, i) => i + 2)] : [0];
  const swapped = rowsFirst ? b.add('Gather', [places, b.indices(order)], { axis: int(1) }) : places;
  const angles = b.add('Mul', [
    b.reshape(swapped, [rows, coordinates, 1]),
    b.shared(`sine factors ${width}`, () => b.constant('/sines', 'F32', [pairs], factors)),
  ]);
  const apart = (op: 'Sin' | 'Cos'): ValueInfo =>
    b.reshape(b.add(op, [angles]), [rows, coordinates, pairs, 1]);
  return b.reshape(b.concat([apart('Sin'), apart('Cos')], 3), [rows, coordinates * width]);
}

/** ln(x / (1 − x)) with both parts at least 1e-5, as DETR's family takes a place out of 0 … 1. */
export function inverseSigmoid(b: GraphBuilder, x: ValueInfo): ValueInfo {
  const bounded = b.add('Clip', [x, b.scalar(0), b.scalar(1)]);
  const rest = b.add('Sub', [b.scalar(1), bounded]);
  const least = (part: ValueInfo): ValueInfo => b.add('Max', [part, b.scalar(1e-5)]);
  return b.add('Log', [b.add('Div', [least(bounded), least(rest)])]);
}
