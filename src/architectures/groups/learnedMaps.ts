import { last } from '../../domain/lists';
import type { Grid, Size } from '../../domain/size';
import { configuredImageSize } from '../config';
import type { Evidence } from '../family';
import { assumed, given, stored } from '../evidence';
import { imageSizeOf, publishedSizes, type Sources } from '../decide';

/**
 * Rows and columns of a map by image size, for a network that shrinks it by strided convolutions
 * with half padding.
 */
export const mapOf = ([height, width]: readonly [number, number], stride: number): Grid => [
  Math.ceil(height / stride),
  Math.ceil(width / stride),
];

/** The user's `resolution`. Throws if it has not `count` positions. */
function givenResolution({ found }: Sources, count: number): Evidence<Grid> | undefined {
  const user = given(found, 'resolution');
  if (!user) return undefined;
  const sides = [user.value].flat().map(Number);
  const [rows = 0] = sides;
  const columns = last(sides);
  if (rows * columns !== count)
    throw new Error(`resolution: ${sides.join(' × ')} found; rows × columns that make ${count} are needed`);
  return { ...user, value: [rows, columns] };
}

/** Image sizes that somebody states, with their source: config.json, published models, the user. */
function statedSizes(sources: Sources): readonly (readonly [size: Size, source: string])[] {
  const { checkpoint, imageSize } = sources.found;
  const config = configuredImageSize(checkpoint);
  return [
    ...(config ? [[config.size, config.source] as const] : []),
    ...publishedSizes(sources).map(({ size, model }) => [size, `as published: ${model}`] as const),
    ...(imageSize ? [[imageSize, 'given by the user'] as const] : []),
  ];
}

/** The greatest divisor of `count` that is not above its square root. */
function nearestToSquare(count: number): number {
  let rows = Math.max(1, Math.floor(Math.sqrt(count)));
  while (count % rows !== 0) rows--;
  return rows;
}

/**
 * Rows and columns of the map that a table of `count` biases was made for, the hyper-parameter
 * `resolution`: the user's, else those of the image size that config.json, published models
 * or the user give if they agree with it, else a square. `stride` is the map's, in pixels,
 * `source` what tells `count`.
 */
export function resolutionOf(
  sources: Sources,
  count: number,
  stride: number,
  source = `${count} attention biases per head`,
): Evidence<Grid> {
  const user = givenResolution(sources, count);
  if (user) return user;
  const found = statedSizes(sources)
    .map(([size, source]) => [mapOf(size, stride), source] as const)
    .find(([[rows, columns]]) => rows * columns === count);
  if (found) return stored(...found);
  const rows = nearestToSquare(count);
  return rows * rows === count
    ? stored<Grid>([rows, rows], `${source}, a square map`)
    : assumed<Grid>([rows, count / rows], `${source}; the weights do not tell the sides`);
}

/**
 * Image size of a family whose weights were learned for a map of `resolution` positions, `stride`
 * pixels wide each, and the evidence `image_size`: the user's, else one that config.json or
 * published models give if it makes that map, else the map's own.
 */
export function learnedImageSize(
  sources: Sources,
  resolution: Evidence<Grid>,
  stride: number,
): ReturnType<typeof imageSizeOf> {
  const [rows, columns] = resolution.value;
  const own: Size = [rows * stride, columns * stride];
  const found = imageSizeOf(sources, own);
  const map = mapOf(found.imageSize, stride);
  const fits = map[0] === rows && map[1] === columns;
  if (sources.found.imageSize || (fits && !found.evidence.assumed)) return found;
  const source = `${rows} × ${columns} positions of ${stride} pixels`;
  return { imageSize: own, evidence: resolution.assumed ? assumed(own, source) : stored(own, source) };
}

/**
 * Refuses an image size whose map is not the one that `what` was learned for, and names the nearest
 * that is. `stride` is the map's.
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
