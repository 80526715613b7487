/** Bars of a vector in a drawing of fixed size; many numbers share one, from lowest to highest. */

export interface VectorBars {
  /** Path of all bars. */
  readonly path: string;
  /** Where zero is, from the top. */
  readonly zero: number;
  readonly width: number;
  readonly height: number;
}

const WIDTH = 320;
const HEIGHT = 72;
/** A bar that is not zero is seen. */
const LEAST = 0.75;

/** Lays out bars from zero; numbers that are not finite have none. */
export function vectorBars(values: ArrayLike<number>): VectorBars {
  const bars = Math.min(values.length, WIDTH);
  const ends = Array.from({ length: bars }, (_, bar) => endsOf(values, bar, bars));
  const low = ends.reduce((least, [from]) => Math.min(least, from), 0);
  const high = ends.reduce((most, [, to]) => Math.max(most, to), 0);
  const unit = high > low ? HEIGHT / (high - low) : 0;
  const step = WIDTH / Math.max(1, bars);
  const path = ends.map(([from, to], bar) => {
    const [top, length] = [(high - to) * unit, (to - from) * unit];
    if (length === 0) return '';
    const wide = bars > WIDTH / 3 ? step : step - 1;
    return `M${text(bar * step)},${text(top)}h${text(wide)}v${text(Math.max(LEAST, length))}h${text(-wide)}z`;
  });
  return { path: path.join(''), zero: high * unit, width: WIDTH, height: HEIGHT };
}

/** Index of the number under a place of the drawing. */
export const indexAt = (length: number, x: number, width: number): number =>
  Math.min(length - 1, Math.max(0, Math.floor((x / width) * length)));

/** From the lowest to the highest number of a bar, zero among them. */
function endsOf(values: ArrayLike<number>, bar: number, bars: number): readonly [low: number, high: number] {
  const first = Math.floor((bar * values.length) / bars);
  const after = Math.max(first + 1, Math.floor(((bar + 1) * values.length) / bars));
  let [low, high] = [0, 0];
  for (let at = first; at < after; at++) {
    const value = values[at] ?? NaN;
    if (!Number.isFinite(value)) continue;
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  return [low, high];
}

const text = (value: number): string => String(Math.round(100 * value) / 100);
