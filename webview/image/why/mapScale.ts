import type { ColourMap, Colours } from '../../../src/attention/colourMaps';
import type { ExplainedMap } from '../../../src/domain/explanation';
import { formatNumber, quantity } from '../../../src/domain/units';

/** How the values of a map become colours. */
export interface MapScale {
  readonly low: number;
  readonly high: number;
  readonly colours: Colours;
  /** All values are this one. */
  readonly constant?: number;
  /** What the range is, in words. */
  readonly text: string;
  /** What else is to be known of it. */
  readonly notes: readonly string[];
}

export interface ScaleChoice {
  /** Colours end at the 99th percentile; larger values have the last one. */
  readonly clipped: boolean;
  /** Of maps without a sign. */
  readonly colourMap: ColourMap;
}

const share = 0.99;

/**
 * Signed values lie on a diverging scale with 0 in its middle, whose ends are as far from it as the
 * largest; others on a scale from their lowest to their highest.
 */
export function mapScale({ values, signed }: ExplainedMap, { clipped, colourMap }: ScaleChoice): MapScale {
  const finite = values.filter(Number.isFinite);
  const lacking = values.length - finite.length;
  const notes =
    lacking > 0 ? [`${quantity(lacking, 'value')} of ${values.length} not finite: not drawn`] : [];
  const colours: Colours = signed ? 'diverging' : colourMap;
  const ascending = (signed ? finite.map(Math.abs) : finite).sort();
  const [least = 0, most = 0] = [ascending[0], ascending.at(-1)];
  const [lowest = 0] = finite;
  if (finite.every((value) => value === lowest))
    return {
      ...(signed ? { low: -Math.abs(lowest), high: Math.abs(lowest) } : { low: lowest, high: lowest }),
      colours,
      constant: lowest,
      text: 'constant',
      notes: [...notes, `Every place has ${formatNumber(lowest)}: this map tells no place from another.`],
    };
  const quantile = ascending[Math.floor(share * (ascending.length - 1))] ?? most;
  const isClipped = clipped && quantile < most && quantile > least;
  const end = isClipped ? quantile : most;
  const cut = isClipped ? `, to the 99th percentile (largest ${formatNumber(most)})` : '';
  return signed
    ? { low: -end, high: end, colours, text: `0 in the middle, ends at ± the largest${cut}`, notes }
    : { low: least, high: end, colours, text: `from the lowest to the highest${cut}`, notes };
}

/** The difference of two maps on one grid; undefined if they are not of one kind. */
export function differenceOf(
  one: ExplainedMap,
  other: ExplainedMap,
  names: readonly [string, string],
): ExplainedMap | undefined {
  if (one.grid.join() !== other.grid.join() || one.signed !== other.signed) return undefined;
  const isScaled = [one, other].every(isUnit);
  return {
    grid: one.grid,
    values: one.values.map((value, place) => value - (other.values[place] ?? NaN)),
    signed: true,
    legend: `${names.join(' − ')}: ${one.legend}${isScaled ? '; each of the maps is scaled to 0 … 1 by itself' : ''}`,
  };
}

/** A map whose values go from exactly 0 to exactly 1 was scaled to that. */
const isUnit = ({ values, signed }: ExplainedMap): boolean =>
  !signed && values.includes(0) && values.includes(1) && values.every((value) => value >= 0 && value <= 1);
