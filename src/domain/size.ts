/** Sides of an image or a patch in pixels. */
export type Size = readonly [height: number, width: number];

/** Rows and columns of a map of tokens, of windows, or of parts of either. */
export type Grid = readonly [rows: number, columns: number];

export const isSameSize = (one: Size, other: Size): boolean => one[0] === other[0] && one[1] === other[1];
