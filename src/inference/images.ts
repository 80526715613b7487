import type { Pixels } from '../domain/pixels';
import type { ImageRequest, ImageView } from './remoteApi';
import { decodeFor, decodeForDisplay } from './decode';
import { sourceWarnings } from '../preprocessing/bands';
import { apply, type ModelInput } from '../preprocessing/pipeline';
import { resize, type RgbImage } from '../preprocessing/resize';

/** A decoded image, what the model sees of it, and the times both took. */
export interface Prepared {
  readonly input: ModelInput;
  /** All of the view but the run's own times. */
  readonly view: ImageView;
}

/** Decodes and preprocesses an image. Throws `ImageError` and `PreprocessingError`. */
export async function prepareImage(request: ImageRequest): Promise<Prepared> {
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
