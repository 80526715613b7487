/**
 * Reads an image file: into RGB bytes, as Pillow's `Image.open(path).convert("RGB")` would, or into
 * the bands of a model that takes other channels. What is not decoded exactly is refused by name,
 * or says so in its notes.
 */
import { open } from 'node:fs/promises';
import { CheckpointError } from '../checkpoint/errors';
import { pictureOf, type Raster } from '../preprocessing/raster';
import type { RgbImage } from '../preprocessing/resize';
import { avifNotes } from './decoders/avif';
import { decodeBmp } from './decoders/bmp';
import { decodeGif } from './decoders/gif';
import { decodeNpy } from './decoders/npy';
import { UnsupportedImage } from './decoders/refusal';
import * as tiff from './decoders/tiff';
import { decodeAlpha, decodeWithSharp, MissingDecoder, type SharpFacts } from './decoders/withSharp';
import { ImageError } from './imageError';
import { describeUnsupported, imageFormats } from './imageFormats';
import type { ImageFormat } from './imageFormats';

export { ImageError } from './imageError';
export { imageExtensions } from './imageFormats';

/** Pillow refuses from here on (DecompressionBombError): 537 MB as RGB. */
export const maxImagePixels = 178_956_970;

/** Files are read whole: 64 bits for each of the pixels allowed, and what stands beside them. */
const maxFileBytes = maxImagePixels * 8 + 65_536;

const headBytes = 4096;

export interface DecodeOptions {
  /** Leaves the EXIF orientation alone: what timm's and torchvision's loaders see. */
  readonly asStored?: boolean;
}

/** What is known of a decoded file beside its pixels. */
export interface DecodedFile {
  /** EXIF orientation, 1 … 8; 1 if there is none. */
  readonly orientation: number;
  /** The orientation was applied. */
  readonly applied: boolean;
  readonly format: string;
  /** What a person should know about the conversion. */
  readonly notes: readonly string[];
}

/** An image as 8-bit RGB. */
export interface DecodedImage extends RgbImage, DecodedFile {}

/** The file's first bytes, its size, and its format. Opens and closes the file. */
async function peek(path: string): Promise<{ head: Buffer; size: number }> {
  try {
    const file = await open(path);
    try {
      const status = await file.stat();
      if (!status.isFile()) throw new ImageError('unsupported', path, 'this is not a regular file');
      const { buffer, bytesRead } = await file.read(Buffer.alloc(headBytes), 0, headBytes, 0);
      return { head: buffer.subarray(0, bytesRead), size: status.size };
    } finally {
      await file.close();
    }
  } catch (error) {
    throw unreadable(path, error);
  }
}

function unreadable(path: string, error: unknown): ImageError {
  if (error instanceof ImageError) return error;
  return new ImageError('unreadable', path, `cannot be read: ${messageOf(error)}`, { cause: error });
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function pixelLimit(path: string, found: string): ImageError {
  const allowed = `at most ${maxImagePixels.toLocaleString('en')} pixels are allowed`;
  return new ImageError(
    'unsupported',
    path,
    `the image is too large: ${found}; ${allowed}. Scale it down first.`,
  );
}

/** Refuses by the declared size, before any decoder allocates for it. */
function checkSize(path: string, width: number, height: number): void {
  if (width * height > maxImagePixels) throw pixelLimit(path, `${width} × ${height}`);
  if (width === 0 || height === 0) {
    const detail = `its header gives a size of ${width} × ${height} pixels; both must be at least 1`;
    throw new ImageError('malformed', path, detail);
  }
}

function checkDeclared(path: string, format: ImageFormat, head: Buffer): void {
  if (!format.declared || head.length < 26) return;
  checkSize(path, ...format.declared(new DataView(head.buffer, head.byteOffset, head.length)));
}

/** The decoder's own words, on one line and without the library's prefixes. */
function decoderWords(error: unknown): string {
  const lines = messageOf(error)
    .split('\n')
    .map((line) => line.replace(/^(Vips\w+|vips\w+|glib|webp|Input file has corrupt header):\s*/, '').trim());
  return [...new Set(lines.filter((line) => line && line !== 'Unknown error'))].slice(0, 2).join(', ');
}

/** What a decoder threw, in words that tell a kind that is not decoded from damage. */
function decodingFailed(path: string, format: ImageFormat, error: unknown): ImageError {
  if (error instanceof ImageError) return error;
  if (error instanceof MissingDecoder)
    return new ImageError('unreadable', path, error.message, { cause: error });
  if (error instanceof UnsupportedImage)
    return new ImageError(
      'unsupported',
      path,
      `this kind of ${format.name} is not decoded: ${error.message}. Save it as PNG.`,
      { cause: error },
    );
  if (error instanceof CheckpointError)
    return new ImageError(error.kind === 'malformed' ? 'malformed' : 'unsupported', path, error.detail, {
      cause: error,
    });
  if (/pixel limit/.test(messageOf(error))) return pixelLimit(path, 'its header says so');
  const words = decoderWords(error);
  const detail = `the ${format.name} is corrupt or cut off (truncated)${words ? `: ${words}` : ''}. Save it again from its source.`;
  return new ImageError('malformed', path, detail, { cause: error });
}

async function readWhole(path: string, size: number): Promise<Buffer> {
  if (size > maxFileBytes) throw pixelLimit(path, `${size} bytes`);
  try {
    const file = await open(path);
    try {
      return await file.readFile();
    } finally {
      await file.close();
    }
  } catch (error) {
    throw unreadable(path, error);
  }
}

function notesOf({ space, depth, pages = 1, hasAlpha }: SharpFacts, format: string) {
  return [
    ...(pages > 1 ? [`the first of ${pages} ${format === 'TIFF' ? 'pages' : 'frames'}`] : []),
    ...(depth === 'ushort' ? [`16 bits per channel, of which the high byte is used`] : []),
    ...(space === 'grey16' ? ['Pillow\'s convert("RGB") would show it white'] : []),
    ...(space === 'cmyk' ? ['CMYK, converted as Pillow does, without a colour profile'] : []),
    ...(hasAlpha ? ['transparency dropped: the colour under it shows'] : []),
  ];
}

type Decoder = (file: ImageFile, options: DecodeOptions) => Promise<DecodedImage>;

/** A file that is to be decoded: its format, and how to read it. */
interface ImageFile {
  readonly path: string;
  readonly format: ImageFormat;
  readonly read: () => Promise<Buffer>;
}

const decodeByLibrary: Decoder = async ({ format, read }, { asStored = false }) => {
  // Pillow turns TIFF images itself while it loads them.
  const turns = !asStored || format.name === 'TIFF';
  const bytes = await read();
  const { facts, ...image } = await decodeWithSharp(bytes, maxImagePixels, turns);
  const inexact = format.name === 'AVIF' ? avifNotes(bytes) : [];
  return { ...image, format: format.name, notes: [...notesOf(facts, format.name), ...inexact] };
};

const decodeByBmp: Decoder = async ({ format, read }) => ({
  ...decodeBmp(await read()),
  format: format.name,
  orientation: 1,
  applied: false,
  notes: [],
});

const decodeByGif: Decoder = async ({ path, format, read }) => {
  const check = (width: number, height: number) => checkSize(path, width, height);
  const { isTransparent, frames, ...image } = decodeGif(await read(), check);
  const notes = notesOf({ pages: frames, hasAlpha: isTransparent }, format.name);
  return { ...image, format: format.name, orientation: 1, applied: false, notes };
};

/** Compressions of TIFF that libvips decodes with libtiff as Pillow does. */
const libraryCompressions: ReadonlySet<number> = new Set([2, 3, 4, 7]);

const decodeByTiff: Decoder = async (file, options) => {
  const bytes = await file.read();
  const pages = tiff.readPages(bytes);
  const [page] = pages;
  if (!page) throw new UnsupportedImage('it has no page');
  checkSize(file.path, page.width, page.height);
  const { compression, orientation, samples } = page;
  if (libraryCompressions.has(compression) && samples <= 4)
    return decodeByLibrary({ ...file, read: () => Promise.resolve(bytes) }, options);
  if (!tiff.hasCodec(compression))
    throw new UnsupportedImage(
      `${tiff.compressionName(compression)} compression, ${tiff.describePage(page)}`,
    );
  const image = tiff.decodePage(bytes, page);
  const count = tiff.wholePages(pages).length;
  return {
    ...image,
    format: file.format.name,
    orientation: orientation >= 1 && orientation <= 8 ? orientation : 1,
    applied: orientation > 1 && orientation <= 8,
    notes: [...(count > 1 ? [`the first of ${count} pages`] : []), ...image.notes],
  };
};

const decodeByNpy: Decoder = async ({ path, format }) => {
  const { raster, notes } = await decodeNpy(path);
  checkSize(path, raster.width, raster.height);
  const note = `an array of ${raster.channels} channels, stretched over 0 … 255 for the eye`;
  return {
    ...pictureOf(raster),
    format: format.name,
    orientation: 1,
    applied: false,
    notes: [...notes, note],
  };
};

/** Decoders of the formats that libvips does not read, or not as Pillow does. */
const decoders: Readonly<Record<string, Decoder>> = {
  BMP: decodeByBmp,
  GIF: decodeByGif,
  TIFF: decodeByTiff,
  NumPy: decodeByNpy,
};

/** Finds out what a file is. Throws `ImageError` for none that is decoded. */
async function identify(path: string): Promise<ImageFile> {
  const { head, size } = await peek(path);
  if (size === 0) throw new ImageError('malformed', path, 'the file is empty (0 bytes); an image is needed');
  const format = imageFormats.find(({ matches }) => matches(head));
  if (!format) throw new ImageError('unsupported', path, describeUnsupported(head));
  checkDeclared(path, format, head);
  return { path, format, read: () => readWhole(path, size) };
}

/**
 * Decodes an image file to 8-bit RGB: first frame, no colour profile applied, transparency dropped,
 * EXIF orientation applied unless `asStored`. The format is told by the file's bytes, not its name.
 * Throws `ImageError`.
 */
export async function decodeImage(path: string, options: DecodeOptions = {}): Promise<DecodedImage> {
  const file = await identify(path);
  try {
    return await (decoders[file.format.name] ?? decodeByLibrary)(file, options);
  } catch (error) {
    throw decodingFailed(path, file.format, error);
  }
}

/** An image as a model's preprocessing takes it, and as a person sees it. */
export interface DecodedInput extends DecodedFile {
  readonly source: RgbImage | Raster;
  readonly picture: RgbImage;
}

/** Channels that colours are converted to: grey, and red, green and blue. */
const isColour = (channels: number): boolean => channels === 1 || channels === 3;

/**
 * Decodes an image for a model of so many channels. One and three are had of colours; others are
 * values as they are stored: the samples or pages of a TIFF file, an array of NumPy's, or red,
 * green, blue and alpha. Throws `ImageError`, which for another number of channels names both.
 */
export async function decodeFor(
  path: string,
  channels: number,
  options: DecodeOptions = {},
): Promise<DecodedInput> {
  const file = await identify(path);
  if (isColour(channels) && file.format.name !== 'NumPy') {
    const { orientation, applied, format, notes, ...picture } = await decodeImage(path, options);
    return { source: picture, picture, orientation, applied, format, notes };
  }
  try {
    const { raster, notes } = await bandsOf(file, channels);
    checkSize(path, raster.width, raster.height);
    const picture = pictureOf(raster);
    const about = { picture, format: file.format.name, orientation: 1, applied: false, notes };
    if (raster.channels === channels) return { ...about, source: raster };
    // Bytes of one or three channels are a picture like any other.
    const isPicture = raster.samples instanceof Uint8Array && isColour(raster.channels);
    if (isPicture && isColour(channels)) return { ...about, source: picture };
    throw wrongChannels(path, channels, `${raster.channels}`);
  } catch (error) {
    throw decodingFailed(path, file.format, error);
  }
}

function wrongChannels(path: string, needed: number, found: string): ImageError {
  const detail =
    `the model takes ${needed} channels; the image has ${found}. ` +
    `A TIFF of ${needed} bands or pages is needed, or a .npy array [height, width, ${needed}] or [${needed}, height, width].`;
  return new ImageError('unsupported', path, detail);
}

async function bandsOf(
  { path, format, read }: ImageFile,
  channels: number,
): Promise<{ readonly raster: Raster; readonly notes: readonly string[] }> {
  if (format.name === 'NumPy') return decodeNpy(path, channels);
  const bytes = await read();
  if (format.name === 'TIFF') {
    const pages = tiff.readPages(bytes);
    const [page] = pages;
    if (page) checkSize(path, page.width, page.height);
    if (!tiff.bandCounts(pages).includes(channels))
      throw wrongChannels(path, channels, tiff.describeBands(pages));
    return tiff.decodeBands(bytes, pages, channels);
  }
  const image = channels === 4 && format.name !== 'BMP' && (await decodeAlpha(bytes, maxImagePixels));
  if (!image) throw wrongChannels(path, channels, '3 (red, green, blue)');
  const { width, height, rgba } = image;
  const notes = ['assumed: the channels of the model are red, green, blue and alpha, as the image has them'];
  return { raster: { width, height, channels, samples: rgba }, notes };
}

/**
 * Decodes an image for the eye: as `decodeImage` does, and of bands that are no colours the first
 * three, stretched. Throws `ImageError`.
 */
export async function decodeForDisplay(path: string, options: DecodeOptions): Promise<RgbImage> {
  try {
    return await decodeImage(path, options);
  } catch (error) {
    const bands = error instanceof ImageError && error.kind === 'unsupported' && (await anyBands(path));
    if (bands) return pictureOf(bands);
    throw error;
  }
}

/** All bands of a TIFF file's first page; undefined of any other file. */
async function anyBands(path: string): Promise<Raster | undefined> {
  try {
    const { format, read } = await identify(path);
    if (format.name !== 'TIFF') return undefined;
    const bytes = await read();
    const [page] = tiff.readPages(bytes);
    return page && tiff.decodeBands(bytes, [page], page.samples).raster;
  } catch {
    return undefined; // What was wrong with it as an image says more.
  }
}
