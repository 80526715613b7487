/** Reads an image file into RGB bytes, as Pillow's `Image.open(path).convert("RGB")` would. */
import { open } from 'node:fs/promises';
import type { Sharp, SharpOptions } from 'sharp';
import { describeUnsupported, imageFormats } from './imageFormats';
import type { ImageFormat } from './imageFormats';
import type { RgbImage } from '../preprocessing/resize';

export { imageExtensions } from './imageFormats';

/** Pillow refuses from here on (DecompressionBombError): 537 MB as RGB. */
export const maxImagePixels = 178_956_970;

/** BMP files are read whole; 32 bits for each of the pixels allowed, and a palette. */
const maxBmpBytes = maxImagePixels * 4 + 4096;

const headBytes = 4096;

/** An image that cannot be read; the message names the file, what was found and what is allowed. */
export class ImageError extends Error {
  override readonly name = 'ImageError';
  constructor(
    readonly kind: 'malformed' | 'unsupported' | 'unreadable',
    readonly path: string,
    readonly detail: string,
    options?: ErrorOptions,
  ) {
    super(`${path}: ${detail}`, options);
  }
}

export interface DecodeOptions {
  /** Leaves the EXIF orientation alone: what timm's and torchvision's loaders see. */
  readonly asStored?: boolean;
}

export interface DecodedImage extends RgbImage {
  /** EXIF orientation, 1 … 8; 1 if there is none. */
  readonly orientation: number;
  /** The orientation was applied. */
  readonly applied: boolean;
  readonly format: string;
  /** What a person should know about the conversion to 8-bit RGB. */
  readonly notes: readonly string[];
}

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
    if (error instanceof ImageError) throw error;
    throw new ImageError('unreadable', path, `cannot be read: ${messageOf(error)}`, { cause: error });
  }
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

/** Refuses by the header alone, before any decoder allocates for it. */
function checkDeclared(path: string, format: ImageFormat, head: Buffer): void {
  if (!format.declared || head.length < 26) return;
  const [width, height] = format.declared(new DataView(head.buffer, head.byteOffset, head.length));
  if (width * height > maxImagePixels) throw pixelLimit(path, `${width} × ${height}`);
  if (width === 0 || height === 0) {
    const detail = `its header gives a size of ${width} × ${height} pixels; both must be at least 1`;
    throw new ImageError('malformed', path, detail);
  }
}

/** The decoder's own words, on one line and without the library's prefixes. */
function decoderWords(error: unknown): string {
  const lines = messageOf(error)
    .split('\n')
    .map((line) => line.replace(/^(Vips\w+|vips\w+|glib|webp|Input file has corrupt header):\s*/, '').trim());
  return [...new Set(lines.filter((line) => line && line !== 'Unknown error'))].slice(0, 2).join(', ');
}

function decodingFailed(path: string, format: ImageFormat, error: unknown): ImageError {
  if (/pixel limit/.test(messageOf(error))) return pixelLimit(path, 'its header says so');
  const words = decoderWords(error);
  const detail = `the ${format.name} is corrupt or cut off (truncated)${words ? `: ${words}` : ''}. Save it again from its source.`;
  return new ImageError('malformed', path, detail, { cause: error });
}

type SharpModule = (path: string, options: SharpOptions) => Sharp;

/**
 * sharp is native code: loaded with the first image, and told to keep none, as files change on
 * disk.
 */
async function loadSharp(path: string): Promise<SharpModule> {
  try {
    const { default: sharp } = await import('sharp');
    sharp.cache(false);
    return sharp;
  } catch (error) {
    const detail = `the image decoder (sharp) has no build for this platform: ${messageOf(error).split('\n')[0]}`;
    throw new ImageError('unreadable', path, detail, { cause: error });
  }
}

function muldiv255(a: number, b: number): number {
  const t = a * b + 128;
  return (t + (t >> 8)) >> 8;
}

/** Pillow's conversion; colour profiles, which libvips would use, differ by up to 120. */
function rgbOfCmyk(cmyk: Uint8Array): Uint8Array {
  const rgb = new Uint8Array((cmyk.length / 4) * 3);
  for (let from = 0, to = 0; from < cmyk.length; from += 4, to += 3) {
    const light = 255 - cmyk[from + 3]!;
    for (let c = 0; c < 3; c++) rgb[to + c] = light - muldiv255(cmyk[from + c]!, light);
  }
  return rgb;
}

interface Facts {
  readonly space?: string | undefined;
  readonly depth?: string | undefined;
  readonly pages?: number | undefined;
  readonly hasAlpha?: boolean | undefined;
}

function notesOf({ space, depth, pages = 1, hasAlpha }: Facts, format: string): string[] {
  return [
    ...(pages > 1 ? [`the first of ${pages} ${format === 'TIFF' ? 'pages' : 'frames'}`] : []),
    ...(depth === 'ushort' ? [`16 bits per channel, of which the high byte is used`] : []),
    ...(space === 'grey16' ? ['Pillow\'s convert("RGB") would show it white'] : []),
    ...(space === 'cmyk' ? ['CMYK, converted as Pillow does, without a colour profile'] : []),
    ...(hasAlpha ? ['transparency dropped: the colour under it shows'] : []),
  ];
}

/** Everything but BMP. */
async function decodeWithSharp(
  path: string,
  format: ImageFormat,
  options: DecodeOptions,
): Promise<DecodedImage> {
  const sharp = await loadSharp(path);
  // `error` keeps images that decoders merely warn about (odd profiles, stray bytes), which
  // Pillow opens as well.
  const settings: SharpOptions = { ignoreIcc: true, failOn: 'error', limitInputPixels: maxImagePixels };
  try {
    const facts = await sharp(path, settings).metadata();
    const orientation = facts.orientation ?? 1;
    // Pillow turns TIFF images itself while it loads them.
    const applied = orientation !== 1 && (!options.asStored || format.name === 'TIFF');
    const cmyk = facts.space === 'cmyk';
    const source = sharp(path, settings);
    const turned = applied ? source.autoOrient() : source;
    const space = cmyk ? 'cmyk' : 'srgb';
    const spaced = cmyk ? turned.pipelineColourspace('cmyk') : turned.removeAlpha();
    const { data, info } = await spaced.toColourspace(space).raw().toBuffer({ resolveWithObject: true });
    return {
      width: info.width,
      height: info.height,
      rgb: cmyk ? rgbOfCmyk(data) : data,
      orientation,
      applied,
      format: format.name,
      notes: notesOf(facts, format.name),
    };
  } catch (error) {
    if (error instanceof ImageError) throw error;
    throw decodingFailed(path, format, error);
  }
}

/**
 * Uncompressed rows are padded to four bytes; a shorter file is cut off (the library would read
 * zeros).
 */
function checkBmpRows(bytes: Buffer): void {
  const [width, height] = [bytes.readUInt32LE(18), Math.abs(bytes.readInt32LE(22))];
  const [bits, compression] = [bytes.readUInt16LE(28), bytes.readUInt32LE(30)];
  const runLengthCoded = compression === 1 || compression === 2;
  const needed = bytes.readUInt32LE(10) + Math.ceil((width * bits) / 32) * 4 * height;
  if (!runLengthCoded && needed > bytes.length) {
    throw new Error(`${needed} bytes needed for ${width} × ${height} pixels, ${bytes.length} found`);
  }
}

async function readWhole(path: string, size: number): Promise<Buffer> {
  if (size > maxBmpBytes) throw pixelLimit(path, `${size} bytes`);
  const file = await open(path);
  try {
    return await file.readFile();
  } finally {
    await file.close();
  }
}

/**
 * The library takes the pixels to follow the palette at once; the header may say that they lie
 * further on.
 */
function withoutGap(bytes: Buffer): Buffer {
  const [headerSize, bits, compression] = [
    bytes.readUInt32LE(14),
    bytes.readUInt16LE(28),
    bytes.readUInt32LE(30),
  ];
  const masks = headerSize > 40 ? 0 : compression === 3 ? 12 : compression === 6 ? 16 : 0;
  const colours = bytes.readUInt32LE(46) || (bits <= 8 ? 1 << bits : 0);
  const start = 14 + headerSize + masks + colours * 4;
  const offset = bytes.readUInt32LE(10);
  return offset > start ? Buffer.concat([bytes.subarray(0, start), bytes.subarray(offset)]) : bytes;
}

/**
 * With 4 bits the library stops at the end of the first row of an odd width; rows have room for one
 * pixel more.
 */
function withEvenWidth(bytes: Buffer): Buffer {
  const width = bytes.readUInt32LE(18);
  if (bytes.readUInt16LE(28) !== 4 || width % 2 === 0) return bytes;
  const copy = Buffer.from(bytes);
  copy.writeUInt32LE(width + 1, 18);
  return copy;
}

/**
 * Alpha, blue, green, red (the only order that the library keeps for palettes too) to RGB, without
 * columns too many.
 */
function rgbOfAbgr(data: Uint8Array, stored: number, width: number, height: number): Uint8Array {
  const rgb = new Uint8Array(width * height * 3);
  let to = 0;
  for (let y = 0; y < height; y++) {
    for (let from = y * stored * 4; from < (y * stored + width) * 4; from += 4) {
      rgb[to++] = data[from + 3]!;
      rgb[to++] = data[from + 2]!;
      rgb[to++] = data[from + 1]!;
    }
  }
  return rgb;
}

/** sharp's prebuilt libvips has no BMP. */
async function decodeBmp(path: string, format: ImageFormat, size: number): Promise<DecodedImage> {
  const bytes = await readWhole(path, size);
  try {
    checkBmpRows(bytes);
    const { decode } = await import('bmp-ts');
    const { width: stored, height, data } = decode(withEvenWidth(withoutGap(bytes)));
    const width = bytes.readUInt32LE(18);
    const rgb = rgbOfAbgr(data, stored, width, height);
    return { width, height, rgb, format: format.name, orientation: 1, applied: false, notes: [] };
  } catch (error) {
    throw decodingFailed(path, format, error);
  }
}

/**
 * Decodes an image file to 8-bit RGB: first frame, no colour profile applied, transparency dropped,
 * EXIF orientation applied unless `asStored`. The format is told by the file's bytes, not its name.
 * Throws `ImageError`.
 */
export async function decodeImage(path: string, options: DecodeOptions = {}): Promise<DecodedImage> {
  const { head, size } = await peek(path);
  if (size === 0) throw new ImageError('malformed', path, 'the file is empty (0 bytes); an image is needed');
  const format = imageFormats.find(({ matches }) => matches(head));
  if (!format) throw new ImageError('unsupported', path, describeUnsupported(head));
  checkDeclared(path, format, head);
  return format.name === 'BMP' ? decodeBmp(path, format, size) : decodeWithSharp(path, format, options);
}
