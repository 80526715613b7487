import { writeFile } from 'node:fs/promises';
import sharp from 'sharp';
import { paint } from '../attention/colourMaps';
import { at, largest, smallest } from '../domain/lists';
import { escapeMarkup } from '../domain/markup';
import type { Picture } from '../explain/method';
import type { SeenImage } from '../tasks/run';
import { overImage } from './attentionPicture';

/** Pixels of the longer side of a map that is drawn by itself. */
const ownSide = 512;
/** Sizes of an SVG's legend in pixels. */
const legend = { height: 56, bar: 12, margin: 8, steps: 64 } as const;

/** Lowest and highest value of the colour scale; with a sign 0 is its middle. */
export function rangeOf({ values, signed }: Picture): readonly [number, number] {
  const numbers = Array.from(values).filter(Number.isFinite);
  if (numbers.length === 0) throw new Error('the picture holds no numbers (NaN)');
  const [low, high] = [smallest(numbers), largest(numbers)];
  const most = Math.max(-low, high);
  return signed ? [-most, most] : [low, high];
}

/** Colours of values, RGBA; of a constant map one colour. */
const coloursOf = (
  values: ArrayLike<number>,
  signed: boolean,
  [low, high]: readonly [number, number],
): Uint8ClampedArray => paint(values, low, high, signed ? 'diverging' : 'viridis');

/** The map by itself, each cell a square. */
async function alone({ grid: [rows, columns] }: Picture, colours: Uint8ClampedArray): Promise<Drawn> {
  const scale = Math.max(1, Math.floor(ownSide / Math.max(rows, columns)));
  const [width, height] = [columns * scale, rows * scale];
  const png = await sharp(Buffer.from(colours.buffer), { raw: { width: columns, height: rows, channels: 4 } })
    .resize(width, height, { kernel: 'nearest', fit: 'fill' })
    .png()
    .toBuffer();
  return { png, width, height };
}

interface Drawn {
  readonly png: Buffer;
  readonly width: number;
  readonly height: number;
}

/** The picture above its colour scale, what it is, and the ends of the scale. */
function withLegend(drawn: Drawn, picture: Picture, title: string, range: readonly [number, number]): string {
  const { width, height, png } = drawn;
  const { margin, bar, steps } = legend;
  const length = width - 2 * margin;
  const shares = Array.from(
    { length: steps },
    (_, step) => range[0] + ((step + 0.5) / steps) * (range[1] - range[0]),
  );
  const colours = coloursOf(shares, picture.signed, range);
  const boxes = shares.map((_, step) => {
    const rgb = [0, 1, 2].map((channel) => at(colours, 4 * step + channel)).join(',');
    const x = (margin + (step * length) / steps).toFixed(2);
    return `<rect x="${x}" y="${height + 22}" width="${(length / steps + 0.5).toFixed(2)}" height="${bar}" fill="rgb(${rgb})"/>`;
  });
  const text = (x: number, y: number, anchor: string, words: string): string =>
    `<text x="${x}" y="${y}" text-anchor="${anchor}" font-family="sans-serif" font-size="12">${escapeMarkup(words)}</text>`;
  const [low, high] = range.map((value) => value.toPrecision(3));
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height + legend.height}">`,
    `<rect width="100%" height="100%" fill="#ffffff"/>`,
    `<image width="${width}" height="${height}" href="data:image/png;base64,${png.toString('base64')}"/>`,
    text(margin, height + 15, 'start', `${title}: ${picture.legend}`),
    ...boxes,
    text(margin, height + 48, 'start', low ?? ''),
    text(width - margin, height + 48, 'end', high ?? ''),
    '</svg>',
    '',
  ].join('\n');
}

/**
 * Draws the picture of a method over the image, or by itself without one, as PNG, or as SVG with
 * its title and colour scale. Returns the ends of the scale.
 */
export async function drawExplanation(
  picture: Picture,
  { title, seen, out }: { readonly title: string; readonly seen?: SeenImage; readonly out: string },
): Promise<readonly [number, number]> {
  const range = rangeOf(picture);
  const colours = coloursOf(picture.values, picture.signed, range);
  const [rows, columns] = picture.grid;
  const map = { rows, columns, values: Float32Array.from(picture.values) };
  const drawn: Drawn = seen
    ? { png: await overImage(seen, map, colours), width: seen.pixels.width, height: seen.pixels.height }
    : await alone(picture, colours);
  await writeFile(out, /\.svg$/i.test(out) ? withLegend(drawn, picture, title, range) : drawn.png);
  return range;
}
