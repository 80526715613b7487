import type { Grid } from '../../domain/size';
import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';

/** How DETR's family writes places as sines and cosines. */
export interface SinePositions {
  /** Channels for each of the two axes. */
  readonly width: number;
  readonly temperature?: number;
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
  const values = new Float32Array(rows * columns * 2 * width);
  const place = (index: number, side: number): number =>
    normalise ? ((index + 1 + offset) / (side + 1e-6)) * 2 * Math.PI : index + 1;
  let at = 0;
  for (let row = 0; row < rows; row++)
    for (let column = 0; column < columns; column++)
      for (const position of [place(row, rows), place(column, columns)])
        for (let channel = 0; channel < width; channel++) {
          const angle = position / temperature ** ((2 * Math.floor(channel / 2)) / width);
          values[at++] = channel % 2 === 0 ? Math.sin(angle) : Math.cos(angle);
        }
  return values;
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
  const all = new Float32Array(batch * one.length);
  for (let image = 0; image < batch; image++) all.set(one, image * one.length);
  return b.constant(name, 'F32', [batch * grid[0] * grid[1], 2 * config.width], all);
}
