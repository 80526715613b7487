/** Pixels for a canvas: 8-bit RGB, row-major. */
export interface Pixels {
  readonly width: number;
  readonly height: number;
  readonly rgb: Uint8Array;
}

/**
 * What is done to pixels inside of a graph, so that it is not done before: `bytes` are given as 0 …
 * 255, `unit` as 0 … 1 that nothing has normalised.
 */
export interface PixelsInside {
  readonly takes: 'bytes' | 'unit';
  /** What says so: `input image is U8`, `/Div of the graph`. */
  readonly source: string;
}
