import type { Grid, Size } from '../../domain/size';
import { configuredImageSize } from '../config';
import type { Evidence, Found } from '../family';
import { assumed, given, stored } from '../figures';
import { imageSizeOf, publishedSizes, type Sources } from '../sources';

/** Rows and columns of a map by image size, for a network that shrinks it by strided convolutions with half padding. */
export const mapOf = ([height, width]: readonly [number, number], stride: number): Grid => [
  Math.ceil(height / stride),
  Math.ceil(width / stride),
];

/** The user's `resolution`. Throws where it has not `count` positions. */
function givenResolution(evidences: Found, count: number): Evidence | undefined {
  const user = given(evidences, 'resolution');
  if (!user) return undefined;
  const sides = [user.value].flat().map(Number);
  const [rows, columns] = [sides[0]!, sides.at(-1)!];
  if (rows * columns !== count)
    throw new Error(`resolution: ${sides.join(' × ')} found; rows × columns that make ${count} are needed`);
  return { ...user, value: [rows, columns] };
}

/**
 * Rows and columns of the map that a table of `count` biases was made for, the figure `resolution`: as the user says, else those of the image size
 * that config.json, published models or the user give where they agree with it, else a square. `stride` is the map's.
 */
export function resolutionOf(sources: Sources, count: number, stride: number): Evidence {
  const { found: evidences } = sources;
  const user = givenResolution(evidences, count);
  if (user) return user;
  const config = configuredImageSize(evidences.checkpoint);
  const sizes = [
    ...(config ? [[config.size, config.source] as const] : []),
    ...publishedSizes(sources).map(({ size, model }) => [size, `as published: ${model}`] as const),
    ...(evidences.imageSize ? [[evidences.imageSize, 'given by the user'] as const] : []),
  ];
  const found = sizes
    .map(([size, source]) => [mapOf(size, stride), source] as const)
    .find(([[rows, columns]]) => rows * columns === count);
  if (found) return stored(found[0], found[1]);
  const rows = Array.from({ length: Math.floor(Math.sqrt(count)) }, (_, index) => index + 1)
    .filter((each) => count % each === 0)
    .at(-1)!;
  const square = rows * rows === count;
  return square
    ? stored([rows, rows], `${count} attention biases per head, a square map`)
    : assumed([rows, count / rows], `${count} attention biases per head; the weights do not tell the sides`);
}

/**
 * Image size of a family whose weights were learned for a map of `resolution` positions, `stride` pixels wide each, and the figure that shows it:
 * the user's, else one that config.json or published models give where it makes that map, else the map's own.
 */
export function learnedImageSize(
  sources: Sources,
  resolution: Evidence,
  stride: number,
): { readonly imageSize: Size; readonly figure: Evidence } {
  const [rows, columns] = resolution.value as readonly [number, number];
  const own = [rows * stride, columns * stride] as const;
  const found = imageSizeOf(sources, own);
  const map = mapOf(found.imageSize, stride);
  const fits = map[0] === rows && map[1] === columns;
  if (sources.found.imageSize || (fits && !found.figure.assumed)) return found;
  const source = `${rows} × ${columns} positions of ${stride} pixels`;
  return { imageSize: own, figure: resolution.assumed ? assumed(own, source) : stored(own, source) };
}

/**
 * Refuses an image size whose map is not the one that `what` was learned for, and names the nearest that is.
 * `stride` is the map's.
 */
export function requireResolution(
  found: Grid,
  [rows, columns]: Grid,
  imageSize: Size,
  stride: number,
  what = 'the attention biases were',
): void {
  if (found[0] === rows && found[1] === columns) return;
  throw new Error(
    `image size ${imageSize.join(' × ')} found; ${what} learned for a map of ${rows} × ${columns} positions. ` +
      `The nearest size is ${rows * stride} × ${columns * stride}.`,
  );
}
