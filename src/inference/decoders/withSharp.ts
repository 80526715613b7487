/** What libvips decodes as Pillow does. It is given bytes: of a name it reads `[…]` as options. */
import type { Sharp, SharpOptions } from 'sharp';
import type { RgbImage } from '../../preprocessing/resize';
import { rgbOfCmyk } from './cmyk';

type SharpModule = (bytes: Uint8Array, options: SharpOptions) => Sharp;

/** The native decoder has no build for this platform. */
export class MissingDecoder extends Error {
  override readonly name = 'MissingDecoder';
}

/**
 * sharp is native code: loaded with the first image, and told to keep none, as files change on
 * disk. Throws `MissingDecoder`.
 */
async function loadSharp(): Promise<SharpModule> {
  try {
    const { default: sharp } = await import('sharp');
    sharp.cache(false);
    return sharp;
  } catch (error) {
    const reason = (error instanceof Error ? error.message : String(error)).split('\n')[0];
    throw new MissingDecoder(`the image decoder (sharp) has no build for this platform: ${reason}`, {
      cause: error,
    });
  }
}

/** What libvips says of a file, as far as it is asked. */
export interface SharpFacts {
  readonly space?: string | undefined;
  readonly depth?: string | undefined;
  readonly pages?: number | undefined;
  readonly hasAlpha?: boolean | undefined;
}

export interface SharpImage extends RgbImage {
  readonly facts: SharpFacts;
  /** EXIF orientation, 1 if there is none. */
  readonly orientation: number;
  readonly applied: boolean;
}

// `error` keeps images that decoders merely warn about (odd profiles, stray bytes), which Pillow
// opens as well.
const settingsOf = (limitInputPixels: number): SharpOptions => ({
  ignoreIcc: true,
  failOn: 'error',
  limitInputPixels,
});

/**
 * Decodes to 8-bit RGB: first frame, transparency dropped, turned upright where `turns` allows it.
 * Throws what libvips says, and `MissingDecoder`.
 */
export async function decodeWithSharp(
  bytes: Uint8Array,
  maxPixels: number,
  turns: boolean,
): Promise<SharpImage> {
  const sharp = await loadSharp();
  const settings = settingsOf(maxPixels);
  const facts = await sharp(bytes, settings).metadata();
  const orientation = facts.orientation ?? 1;
  const applied = orientation !== 1 && turns;
  const cmyk = facts.space === 'cmyk';
  const source = sharp(bytes, settings);
  const turned = applied ? source.autoOrient() : source;
  const spaced = cmyk ? turned.pipelineColourspace('cmyk') : turned.removeAlpha();
  const { data, info } = await spaced
    .toColourspace(cmyk ? 'cmyk' : 'srgb')
    .raw()
    .toBuffer({ resolveWithObject: true });
  const rgb = cmyk ? rgbOfCmyk(data) : data;
  return { width: info.width, height: info.height, rgb, facts, orientation, applied };
}

/** Red, green, blue and alpha of an image that has it, not turned; undefined of any other. */
export async function decodeAlpha(
  bytes: Uint8Array,
  maxPixels: number,
): Promise<{ readonly width: number; readonly height: number; readonly rgba: Uint8Array } | undefined> {
  const sharp = await loadSharp();
  const image = sharp(bytes, settingsOf(maxPixels));
  if (!(await image.metadata()).hasAlpha) return undefined;
  const { data, info } = await image.toColourspace('srgb').raw().toBuffer({ resolveWithObject: true });
  return info.channels === 4 ? { width: info.width, height: info.height, rgba: data } : undefined;
}

/** Pictures of a file that may hold several: how many, and each as a PNG file. */
export interface Pages {
  readonly count: number;
  page(number: number): Promise<Uint8Array>;
}

/** Pixels of one picture of several: four times those of 4K. */
const pagePixels = 33e6;

/**
 * The pictures of a GIF, WebP or TIFF file, of animations as they are seen: each over those before.
 * Throws what libvips says.
 */
export async function decodePages(bytes: Uint8Array): Promise<Pages> {
  const sharp = await loadSharp();
  const settings = settingsOf(pagePixels);
  const { pages = 1 } = await sharp(bytes, settings).metadata();
  return {
    count: pages,
    page: (number) =>
      sharp(bytes, { ...settings, page: number, pages: 1 })
        .removeAlpha()
        .png()
        .toBuffer(),
  };
}
