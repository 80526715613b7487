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
function rowOf(
  values: Float32Array,
  plane: number,
  width: number,
  rows: PlaneTaps['rows'],
  y: number,
  out: Float64Array,
  to: number,
): void {
  out.fill(0, to, to + width);
  const [first = 0, count = 0] = [rows.first[y], rows.count[y]];
  for (let k = 0; k < count; k++) {
    const weight = rows.weights[y * rows.stride + k] ?? 0;
    const from = plane + (first + k) * width;
    for (let x = 0; x < width; x++) out[to + x] = (out[to + x] ?? 0) + weight * (values[from + x] ?? 0);
  }
}

function widen(row: Float64Array, columns: PlaneTaps['columns'], out: Float32Array, to: number): void {
  const { first, count, weights, stride } = columns;
  for (let x = 0; x < first.length; x++) {
    const [from, end] = [first[x] ?? 0, count[x] ?? 0];
    let sum = 0;
    for (let k = 0; k < end; k++) sum += (weights[x * stride + k] ?? 0) * (row[from + k] ?? 0);
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
      rowOf(values, plane * height * width, width, taps.rows, y, row, 0);
      widen(row, taps.columns, rows, plane * to[1]);
    }
    visit(y, rows);
  }
}

/** Which of several rows [count, width] is largest in each column, the first of equals. */
function largestOf(rows: Float64Array, count: number, width: number, best: Int32Array, most: Float64Array) {
  best.fill(0);
  most.fill(-Infinity);
  for (let plane = 0, i = 0; plane < count; plane++)
    for (let x = 0; x < width; x++, i++)
      if ((rows[i] ?? 0) > (most[x] ?? 0)) {
        most[x] = rows[i] ?? 0;
        best[x] = plane;
      }
}

/**
 * Returns which plane is largest at every place of another size, bilinear, the first of equals.
 *
 * Between two samples of a row every plane is a line: one that is largest at both ends is largest
 * between them. The others are looked at only where the ends disagree, at borders.
 */
export function largestPlane({ count, size, values }: Planes, to: Size): Int32Array {
  const [height, width] = size;
  const { rows: rowTaps, columns } = tapsOf(size, to, to, 'bilinear');
  const { first, count: taps, weights, stride } = columns;
  const rows = new Float64Array(count * width);
  const [best, most] = [new Int32Array(width), new Float64Array(width)];
  const out = new Int32Array(to[0] * to[1]);
  const largestAt = (x: number): number => {
    const [left, right] = [weights[x * stride] ?? 0, (taps[x] ?? 0) > 1 ? (weights[x * stride + 1] ?? 0) : 0];
    let [found, value] = [0, -Infinity];
    for (let plane = 0, i = first[x] ?? 0; plane < count; plane++, i += width) {
      const own = left * (rows[i] ?? 0) + (right === 0 ? 0 : right * (rows[i + 1] ?? 0));
      if (own > value) [found, value] = [plane, own];
    }
    return found;
  };
  for (let y = 0; y < to[0]; y++) {
    for (let plane = 0; plane < count; plane++)
      rowOf(values, plane * height * width, width, rowTaps, y, rows, plane * width);
    largestOf(rows, count, width, best, most);
    for (let x = 0; x < to[1]; x++) {
      const [from, last] = [first[x] ?? 0, (first[x] ?? 0) + (taps[x] ?? 0) - 1];
      out[y * to[1] + x] = best[from] === best[last] ? (best[from] ?? 0) : largestAt(x);
    }
  }
  return out;
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
    rowOf(plane, 0, from[1], taps.rows, y, row, 0);
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
