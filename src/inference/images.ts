import type { Pixels } from '../domain/pixels';
import { elementCount } from '../checkpoint/tensors';
import { at, sum } from '../domain/lists';
import { quantity } from '../domain/units';
import { sampledFrames } from '../preprocessing/frames';
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
async function prepareClip(request: ImageRequest, { paths, frames }: ClipRequest): Promise<Prepared> {
  const known = new Map<string, Prepared>();
  const chosen: Prepared[] = [];
  for (const index of sampledFrames(paths.length, frames)) {
    const path = at(paths, index);
    const displaySide = chosen.length === 0 ? request.displaySide : 0;
    const prepared = known.get(path) ?? (await prepareOne({ ...request, path, displaySide }));
    known.set(path, prepared);
    chosen.push(prepared);
  }
  const first = at(chosen, 0);
  const shape = first.input.shape.slice(-3);
  const odd = chosen.find(({ input }) => input.shape.slice(-3).join() !== shape.join());
  if (odd)
    throw new PreprocessingError(
      `frames of one size are needed; they become [${shape.join(', ')}] and [${odd.input.shape.slice(-3).join(', ')}]`,
    );
  const size = elementCount(shape);
  const pixelValues = new Float32Array(frames * size);
  for (const [index, { input }] of chosen.entries()) pixelValues.set(input.pixelValues, index * size);
  const each = [...known.values()].map(({ view }) => view);
  return {
    input: { ...first.input, pixelValues, shape: [1, frames, ...shape] },
    view: {
      ...first.view,
      times: {
        ...first.view.times,
        decode: sum(each.map(({ times }) => times.decode)),
        preprocess: sum(each.map(({ times }) => times.preprocess)),
      },
      warnings: [
        ...new Set([...framesText(paths.length, frames), ...each.flatMap(({ warnings }) => warnings)]),
      ],
    },
  };
}

/** What is said if a clip has not as many frames as the model reads. */
function framesText(given: number, frames: number): readonly string[] {
  if (given === frames) return [];
  const images = quantity(given, 'image');
  return given < frames
    ? [
        `The model reads ${frames} frames; ${images} given, so that some stand for several: a clip that moves less.`,
      ]
    : [`The model reads ${frames} frames: so many of the ${images} are taken, evenly spaced.`];
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
