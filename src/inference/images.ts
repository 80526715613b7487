import type { Pixels } from '../domain/pixels';
import { elementCount } from '../checkpoint/tensors';
import { at, sum } from '../domain/lists';
import { sampledFrames } from '../preprocessing/frames';
import { clipSource, type ClipSource } from './clipSource';
import type { ClipRequest, ImageRequest, ImageView } from './remoteApi';
import { decodeFor, decodeForDisplay } from './decode';
import { sourceWarnings } from '../preprocessing/bands';
import { apply, type ModelInput } from '../preprocessing/pipeline';
import { PreprocessingError } from '../preprocessing/steps';
import { resize, type RgbImage } from '../preprocessing/resize';

/** A decoded image, what the model sees of it, and the times both took. */
export interface Prepared {
  readonly input: ModelInput;
  /** All of the view but the run's own times. */
  readonly view: ImageView;
}

/** Decodes and preprocesses an image or clip. Throws `ImageError` and `PreprocessingError`. */
export const prepareImage = (request: ImageRequest): Promise<Prepared> =>
  request.clip ? prepareClip(request, request.clip) : prepareOne(request);

/** Prepares the frames of a clip as one input `[1, frames, channels, height, width]`. */
async function prepareClip(request: ImageRequest, clip: ClipRequest): Promise<Prepared> {
  const source = await clipSource(clip.paths);
  const numbers = sampledFrames(source.count, clip.frames);
  const chosen = await source.with(numbers, (paths) => prepareFrames(request, paths));
  const first = at(chosen, 0);
  const shape = first.input.shape.slice(-3);
  const odd = chosen.find(({ input }) => input.shape.slice(-3).join() !== shape.join());
  if (odd)
    throw new PreprocessingError(
      `frames of one size are needed; they become [${shape.join(', ')}] and [${odd.input.shape.slice(-3).join(', ')}]`,
    );
  const size = elementCount(shape);
  const pixelValues = new Float32Array(clip.frames * size);
  for (const [index, { input }] of chosen.entries()) pixelValues.set(input.pixelValues, index * size);
  const each = [...new Set(chosen)].map(({ view }) => view);
  return {
    input: { ...first.input, pixelValues, shape: [1, clip.frames, ...shape] },
    view: {
      ...first.view,
      seen: {
        ...first.view.seen,
        // Frames that were read out of a file are called by that.
        image: at(clip.paths, 0),
        frames: chosen.map(({ view }, index) => ({ number: at(numbers, index), pixels: view.seen.pixels })),
      },
      times: {
        ...first.view.times,
        decode: sum(each.map(({ times }) => times.decode)),
        preprocess: sum(each.map(({ times }) => times.preprocess)),
      },
      warnings: [
        ...new Set([...framesText(source, clip.frames), ...each.flatMap(({ warnings }) => warnings)]),
      ],
    },
  };
}

/** Longest side of frames that are shown one at a time: there are dozens of them. */
const frameSide = 512;

/** Decodes and prepares frames; one that stands for several is read once. */
async function prepareFrames(request: ImageRequest, paths: readonly string[]): Promise<readonly Prepared[]> {
  const known = new Map<string, Prepared>();
  const displaySide = Math.min(request.displaySide, frameSide);
  const prepared: Prepared[] = [];
  for (const path of paths) {
    const one = known.get(path) ?? (await prepareOne({ ...request, path, displaySide }));
    known.set(path, one);
    prepared.push(one);
  }
  return prepared;
}

/** What is said if a clip has not as many frames as the model reads. */
function framesText({ count, what }: ClipSource, frames: number): readonly string[] {
  if (count === frames) return [];
  return count < frames
    ? [
        `The model reads ${frames} frames; ${count === 1 ? 'one image is' : `${count} ${what} are`} given, so that some stand for several: a clip that moves less.`,
      ]
    : [`The model reads ${frames} frames: so many of the ${count} ${what} are taken, evenly spaced.`];
}

async function prepareOne(request: ImageRequest): Promise<Prepared> {
  const started = performance.now();
  const { path, asStored, preprocessing } = request;
  const decoded = await decodeFor(path, preprocessing.channels ?? 3, { asStored });
  const { source, picture } = decoded;
  const decodedAt = performance.now();
  const input = apply(preprocessing, source);
  const preprocess = performance.now() - decodedAt;
  const view: ImageView = {
    seen: {
      image: path,
      pixels: reduced(picture, request.displaySide),
      size: [picture.width, picture.height],
      seen: pixels(input.seen),
      region: input.extent,
      orientation: { exif: decoded.orientation, applied: decoded.applied },
    },
    times: { decode: decodedAt - started, preprocess, run: 0, load: 0 },
    warnings: [...decoded.notes, ...sourceWarnings(preprocessing, source), ...preprocessing.warnings],
  };
  return { input, view };
}

const pixels = ({ width, height, rgb }: RgbImage): Pixels => ({ width, height, rgb });

/** Returns the image with its longer side at most `side`; empty for 0. */
function reduced(image: RgbImage, side: number): Pixels {
  if (side === 0) return { width: 0, height: 0, rgb: new Uint8Array() };
  const factor = side / Math.max(image.width, image.height);
  if (factor >= 1) return pixels(image);
  const scaled = (length: number): number => Math.max(1, Math.round(length * factor));
  const size = { width: scaled(image.width), height: scaled(image.height) };
  return pixels(resize(image, size, 'bilinear'));
}

/** Returns an image as decoded, with its longer side at most `side`. */
export async function displayImage(path: string, asStored: boolean, side: number): Promise<Pixels> {
  return reduced(await decodeForDisplay(path, { asStored }), side);
}

/** A small JPEG as a data URL. */
export async function thumbnail(path: string, side: number): Promise<string> {
  const { default: sharp } = await import('sharp');
  const { width, height, rgb } = await displayImage(path, false, side);
  const jpeg = await sharp(rgb, { raw: { width, height, channels: 3 } })
    .jpeg({ quality: 80 })
    .toBuffer();
  return `data:image/jpeg;base64,${jpeg.toString('base64')}`;
}
