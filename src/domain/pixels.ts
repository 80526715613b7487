/** Pixels for a canvas: 8-bit RGB, row-major. */
export interface Pixels {
  readonly width: number;
  readonly height: number;
  readonly rgb: Uint8Array;
}
