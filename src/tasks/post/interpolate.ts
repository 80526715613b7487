/** torch's `interpolate` (no antialiasing, corners not aligned) of planes of float32. */
import type { Size } from '../../domain/size';
import { interpolationTaps, type Interpolation } from '../../preprocessing/interpolation';
import type { Taps } from '../../preprocessing/resize';

/** Planes [count, height, width], row-major. */
export interface Planes {
  readonly count: number;
  readonly size: Size;
  readonly values: Float32Array;
}

/** Taps of both axes, for all of the new size or for its top left corner. */
interface PlaneTaps {
  readonly rows: Taps<Float64Array>;
  readonly columns: Taps<Float64Array>;
}

function tapsOf(from: Size, to: Size, kept: Size, mode: Interpolation): PlaneTaps {
  const axis = (i: 0 | 1) =>
    interpolationTaps({ from: from[i], to: to[i], start: 0, length: kept[i] }, mode, 'centres');
  return { rows: axis(0), columns: axis(1) };
}

/** One row of the new size, of one plane, before it is widened: a sum of rows of the plane. */
function rowOf(plane: Float32Array, width: number, rows: PlaneTaps['rows'], y: number, out: Float64Array) {
  out.fill(0);
  const [first = 0, count = 0] = [rows.first[y], rows.count[y]];
  for (let k = 0; k < count; k++) {
    const weight = rows.weights[y * rows.stride + k] ?? 0;
    const from = (first + k) * width;
    for (let x = 0; x < width; x++) out[x]! += weight * plane[from + x]!;
  }
}

function widen(row: Float64Array, columns: PlaneTaps['columns'], out: Float32Array, to: number): void {
  const { first, count, weights, stride } = columns;
  for (let x = 0; x < first.length; x++) {
    let sum = 0;
    const from = first[x]!;
    for (let k = 0; k < count[x]!; k++) sum += weights[x * stride + k]! * row[from + k]!;
    out[to + x] = sum;
  }
}

/**
 * Resizes planes and hands out row after row of the new size, all planes side by side: [count,
 * width]. The array is used again for the next row, so that no plane of the new size is ever held.
 */
export function eachRow(
  { count, size, values }: Planes,
  to: Size,
  mode: Interpolation,
  visit: (y: number, rows: Float32Array) => void,
): void {
  const [height, width] = size;
  const taps = tapsOf(size, to, to, mode);
  const row = new Float64Array(width);
  const rows = new Float32Array(count * to[1]);
  for (let y = 0; y < to[0]; y++) {
    for (let plane = 0; plane < count; plane++) {
      rowOf(values.subarray(plane * height * width, (plane + 1) * height * width), width, taps.rows, y, row);
      widen(row, taps.columns, rows, plane * to[1]);
    }
    visit(y, rows);
  }
}

/**
 * Returns a plane at another size, or the top left corner `kept` of that: `torch.nn.functional
 * .interpolate(plane, to, mode, align_corners=False)[..., :kept[0], :kept[1]]`.
 */
export function resizePlane(
  plane: Float32Array,
  from: Size,
  to: Size,
  mode: Interpolation,
  kept: Size = to,
): Float32Array {
  const taps = tapsOf(from, to, kept, mode);
  const row = new Float64Array(from[1]);
  const out = new Float32Array(kept[0] * kept[1]);
  for (let y = 0; y < kept[0]; y++) {
    rowOf(plane, from[1], taps.rows, y, row);
    widen(row, taps.columns, out, y * kept[1]);
  }
  return out;
}

/**
 * Source position of every sample of `interpolate(mode="nearest")`, which has the ratio of the
 * sides and the product in float32.
 */
export function nearestPositions(from: number, to: number): Int32Array {
  const scale = Math.fround(from / to);
  return Int32Array.from({ length: to }, (_, i) => Math.min(Math.floor(Math.fround(i * scale)), from - 1));
}
