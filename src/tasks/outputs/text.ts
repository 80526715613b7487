import { formatNumber, formatPercent, quantity } from '../../domain/units';
import type { Category, MapOutput, NamedOutput } from '../answer';
import { countOf, keptChannels, peakOf } from './facts';

/** `1 × 224 × 224`. */
export const shapeText = (shape: readonly number[]): string =>
  shape.length === 0 ? 'one number' : shape.join(' × ');

/** What an output is: `map of 14 × 14, 3 channels, on the image`. */
export function kindText(output: NamedOutput): string {
  if (output.kind === 'vector') return `vector of ${quantity(countOf(output), 'number')}`;
  if (output.kind === 'array') return `array of ${shapeText(output.shape)}`;
  const { grid, channels, onImage, categories } = output;
  const of = channels > 1 ? [quantity(channels, 'channel')] : categories ? [classesText(categories)] : [];
  return [
    `map of ${shapeText(grid)}`,
    ...of,
    onImage ? 'over what the model saw' : 'without a place on the image',
  ].join(', ');
}

const classesText = ({ length }: readonly Category[]): string =>
  length === 1 ? '1 class' : `${length} classes`;

/** Categories that a line names; JSON has them all. */
const namedCategories = 8;

/** `sky 51.2 %, road 20 %`. */
export function categoriesText({ categories = [], grid: [rows, columns] }: MapOutput): string {
  const named = categories
    .slice(0, namedCategories)
    .map(({ name, cells }) => `${name} ${formatPercent(cells / (rows * columns))}`);
  const more = categories.length - named.length;
  return [...named, ...(more > 0 ? [`and ${more} more`] : [])].join(', ');
}

/** `0.01 … 0.98, mean 0.2, deviation 0.1`. */
export function spreadText(output: Pick<NamedOutput, 'spread'>): string {
  const { low, high, mean } = output.spread;
  const ends = Number.isNaN(mean) ? [] : [`${formatNumber(low)} … ${formatNumber(high)}`];
  return [...ends, meanText(output)].join(', ');
}

/** The same without its ends, where a scale shows them. */
export function meanText({ spread }: Pick<NamedOutput, 'spread'>): string {
  const { mean, deviation, notFinite } = spread;
  if (Number.isNaN(mean)) return `no finite number among ${notFinite}`;
  const lost = notFinite > 0 ? [`${quantity(notFinite, 'number')} not finite`] : [];
  return [`mean ${formatNumber(mean)}`, `deviation ${formatNumber(deviation)}`, ...lost].join(', ');
}

/** Where a map is largest: `largest at row 3, column 5`; empty if that is not known. */
export function peakText(output: MapOutput): string {
  const peak = keptChannels(output) < output.channels ? undefined : peakOf(output);
  if (!peak) return '';
  const { channel, row, column } = peak;
  return `largest at ${output.channels > 1 ? `channel ${channel}, ` : ''}row ${row}, column ${column}`;
}

/** One output as the command line prints it. */
export function outputLine(output: NamedOutput): string {
  if (output.kind === 'map' && output.categories)
    return `${output.name}: ${kindText(output)}; ${categoriesText(output)}`;
  const peak = output.kind === 'map' ? [peakText(output)] : [];
  return `${output.name}: ${[kindText(output), spreadText(output), ...peak].filter(Boolean).join('; ')}`;
}
