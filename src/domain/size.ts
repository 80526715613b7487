/** Sides of an image or a patch in pixels. */
export type Size = readonly [height: number, width: number];

export interface Rectangle {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** Rows and columns of a map of tokens, of windows, or of parts of either. */
export type Grid = readonly [rows: number, columns: number];

/** Whether a grid has the proportions of an image: its cells are as wide as high on it. */
export const hasProportions = ([rows, columns]: Grid, [height, width]: Size): boolean =>
  rows > 1 && columns > 1 && rows * width === columns * height;

/** Whether a grid divides an image, or an image the grid: what pixels or patches are mapped on. */
export const isPlane = (grid: Grid, size: Size): boolean =>
  hasProportions(grid, size) && (size[0] % grid[0] === 0 || grid[0] % size[0] === 0);

export const isSameSize = (one: Size, other: Size): boolean => one[0] === other[0] && one[1] === other[1];
