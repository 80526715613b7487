import { hasProportions, isPlane, type Grid, type Size } from '../../domain/size';
import { largest } from '../../domain/lists';
import type { ArrayOutput, Category, MapOutput, NamedOutput, Spread, VectorOutput } from '../answer';
import type { OutputValues } from '../task';
import { keptChannels, peakOf } from './facts';

/**
 * Numbers that an answer hands on of all its maps, 16 MB: a page draws one channel at a time, and
 * 150 classes of 512 × 512 pixels are 157 MB. Spreads are of all of them.
 */
const handedOn = 4e6;
/** Numbers of a vector that are handed on: more than any embedding has. */
const longestVector = 65_536;
/** Numbers of a vector that JSON lists. */
const listedValues = 4096;

/** Whole numbers on one map that are told apart: of more it is a picture of grey levels. */
const mostCategories = 256;

/** What a whole number on a map is called, of as many as there are. */
type NamesOf = (classes: number) => (value: number) => string;

/**
 * Returns the outputs as they can be drawn, in the graph's order. Whole numbers of a map are
 * classes, as `namesOf` calls them.
 */
export function readOutputs(
  outputs: readonly OutputValues[],
  imageSize: Size,
  namesOf: NamesOf = () => String,
): readonly NamedOutput[] {
  let left = handedOn;
  return outputs.map((output) => {
    const read = readOutput(output, imageSize, left);
    if (read.kind !== 'map') return read;
    left -= read.values.length;
    const categories = output.integers && read.channels === 1 ? categoriesOf(read, namesOf) : undefined;
    return categories ? { ...read, categories } : read;
  });
}

/** The whole numbers of a map with their areas; undefined of too many. */
function categoriesOf({ values }: MapOutput, namesOf: NamesOf): readonly Category[] | undefined {
  const cells = new Map<number, number>();
  for (const value of values) {
    cells.set(value, (cells.get(value) ?? 0) + 1);
    if (cells.size > mostCategories) return undefined;
  }
  const nameOf = namesOf(largest([0, ...cells.keys()]) + 1);
  return [...cells]
    .map(([value, count]) => ({ value, name: nameOf(value), cells: count }))
    .sort((one, other) => other.cells - one.cells);
}

/** Returns an output as a vector, whatever axes of one it has. */
export function vectorOf(output: OutputValues): VectorOutput {
  return { kind: 'vector', ...namedOf(output), values: output.values.slice(0, longestVector) };
}

function readOutput(output: OutputValues, imageSize: Size, left: number): NamedOutput {
  const axes = axesOf(output);
  const layout = output.means === 'maps' ? layoutOf(axes, imageSize) : undefined;
  if (layout) return mapOf(output, layout, imageSize, left);
  return axes.length === 1 ? vectorOf(output) : ({ kind: 'array', ...namedOf(output) } satisfies ArrayOutput);
}

/** The axes without those of one at both ends: the batch, and a channel that is the only one. */
function axesOf({ shape }: OutputValues): readonly number[] {
  const first = shape.findIndex((length) => length !== 1);
  const after = shape.findLastIndex((length) => length !== 1) + 1;
  return first < 0 ? [1] : shape.slice(first, after);
}

/** How channels, rows and columns lie in an output. */
interface Layout {
  readonly grid: Grid;
  readonly channels: number;
  /** Steps from one row, column and channel to the next. */
  readonly steps: readonly [row: number, column: number, channel: number];
}

/** Channels come first, unless only the two axes before the last are the image's. */
function layoutOf(axes: readonly number[], imageSize: Size): Layout | undefined {
  const [a = 1, b = 1, c = 1] = axes;
  if (axes.length === 2) return { grid: [a, b], channels: 1, steps: [b, 1, a * b] };
  if (axes.length !== 3) return undefined;
  const isLast = isPlane([a, b], imageSize) && !isPlane([b, c], imageSize);
  return isLast
    ? { grid: [a, b], channels: c, steps: [b * c, c, 1] }
    : { grid: [b, c], channels: a, steps: [c, 1, b * c] };
}

function mapOf(output: OutputValues, layout: Layout, imageSize: Size, left: number): MapOutput {
  const { grid, channels } = layout;
  const [rows, columns] = grid;
  const area = rows * columns;
  // One channel is there in any case: the model's own output is what was asked for.
  const kept = Math.max(1, Math.min(channels, Math.floor(left / area)));
  return {
    kind: 'map',
    ...namedOf(output),
    grid,
    channels,
    onImage: hasProportions(grid, imageSize),
    values: ordered(output.values, layout, kept),
  };
}

function ordered(values: Float32Array, { grid, channels, steps }: Layout, kept: number): Float32Array {
  const [rows, columns] = grid;
  const [rowStep, columnStep, channelStep] = steps;
  if (columnStep === 1 || channels === 1) return values.slice(0, kept * rows * columns);
  const result = new Float32Array(kept * rows * columns);
  let to = 0;
  for (let channel = 0; channel < kept; channel++)
    for (let row = 0; row < rows; row++)
      for (let column = 0; column < columns; column++)
        result[to++] = values[row * rowStep + column * columnStep + channel * channelStep] ?? NaN;
  return result;
}

const namedOf = ({ name, shape, values }: OutputValues) => ({ name, shape, spread: spreadOf(values) });

/** Returns how numbers are spread; NaN of none that is finite. */
export function spreadOf(values: ArrayLike<number>): Spread {
  let [low, high, total, squares, finite] = [Infinity, -Infinity, 0, 0, 0];
  for (let at = 0; at < values.length; at++) {
    const value = values[at] ?? NaN;
    if (!Number.isFinite(value)) continue;
    finite++;
    total += value;
    if (value < low) low = value;
    if (value > high) high = value;
  }
  const mean = total / finite;
  for (let at = 0; at < values.length; at++) {
    const value = values[at] ?? NaN;
    if (Number.isFinite(value)) squares += (value - mean) ** 2;
  }
  const notFinite = values.length - finite;
  if (finite === 0) return { low: NaN, high: NaN, mean: NaN, deviation: NaN, notFinite };
  return { low, high, mean, deviation: Math.sqrt(squares / finite), notFinite };
}

/** Returns an output in JSON: its numbers if it is a vector, else how they are spread. */
export function outputJson(output: NamedOutput): object {
  const { name, kind, shape, spread } = output;
  return { name, kind, shape, ...spread, ...own(output) };
}

function own(output: NamedOutput): object {
  if (output.kind === 'vector') return { values: Array.from(output.values.subarray(0, listedValues)) };
  if (output.kind === 'array') return {};
  const { grid, channels, onImage, categories } = output;
  if (categories) return { grid, channels, on_image: onImage, categories };
  const partial = keptChannels(output) < channels;
  return { grid, channels, on_image: onImage, ...(!partial && { largest_at: peakOf(output) }) };
}
