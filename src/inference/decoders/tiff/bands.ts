/** All samples of a TIFF file's pages as channels of one image. */
import { toFloat32 } from '../../../checkpoint/values';
import type { Raster } from '../../../preprocessing/raster';
import { UnsupportedImage } from '../refusal';
import { compressionName, hasCodec } from './codecs';
import type { Page } from './directory';
import { numbersOf, readSamples } from './samples';

/** Bands as they are stored, and what of them a person should know. */
export interface BandImage {
  readonly raster: Raster;
  readonly notes: readonly string[];
}

/** Pages that are no smaller copies or masks of others. */
export const wholePages = (pages: readonly Page[]): readonly Page[] =>
  pages.filter(({ isDerived }, index) => index === 0 || !isDerived);

const isAlike = (one: Page, other: Page): boolean =>
  one.width === other.width &&
  one.height === other.height &&
  one.bits === other.bits &&
  one.sampleFormat === other.sampleFormat;

/** Numbers of channels that pages can be read as: the first page's, or all if they are alike. */
export function bandCounts(pages: readonly Page[]): readonly number[] {
  const all = wholePages(pages);
  const [first] = all;
  if (!first) return [];
  const total = all.reduce((sum, { samples }) => sum + samples, 0);
  return all.length > 1 && all.every((page) => isAlike(page, first))
    ? [first.samples, total]
    : [first.samples];
}

/**
 * Reads as many channels as are wanted: the samples of the first page if they are that many, else
 * those of all pages. Throws `UnsupportedImage` if neither fits or the samples are not read here.
 */
export function decodeBands(file: Uint8Array, pages: readonly Page[], wanted: number): BandImage {
  const all = wholePages(pages);
  const [first] = all;
  if (!first || !bandCounts(pages).includes(wanted)) throw new UnsupportedImage(describeBands(pages));
  const used = first.samples === wanted ? [first] : all;
  for (const page of used)
    if (!hasCodec(page.compression))
      throw new UnsupportedImage(`${compressionName(page.compression)} compression of bands`);
  const parts = used.map((page) => samplesOf(file, page));
  const { width, height } = first;
  const raster = { width, height, channels: wanted, samples: joined(parts, wanted) };
  const left = all.length - used.length;
  return {
    raster,
    notes: [
      `${wanted} channels from ${used.length === 1 ? 'the samples of one page' : `${used.length} pages`}, ${numbersOf(first)}`,
      ...(left > 0 ? [`the first of ${all.length} pages`] : []),
      ...(first.orientation === 1 ? [] : [`orientation ${first.orientation} is not applied to bands`]),
    ],
  };
}

/** `13 samples per pixel`, `5 pages of one sample`. */
export function describeBands(pages: readonly Page[]): string {
  const all = wholePages(pages);
  const samples = all[0]?.samples ?? 0;
  const each = samples === 1 ? 'one sample' : `${samples} samples`;
  return all.length === 1 ? `${each} per pixel` : `${all.length} pages of ${each} per pixel`;
}

interface Part {
  readonly samples: number;
  readonly values: Uint8Array | Float32Array;
}

function samplesOf(file: Uint8Array, page: Page): Part {
  const { dtype, bytes } = readSamples(file, page);
  return { samples: page.samples, values: dtype === 'U8' ? bytes : toFloat32(bytes, dtype) };
}

/** Pages one behind the other become pixels with all their samples together. */
function joined(parts: readonly Part[], channels: number): Uint8Array | Float32Array {
  const [only] = parts;
  if (only && parts.length === 1) return only.values;
  const pixels = only ? only.values.length / only.samples : 0;
  const isBytes = parts.every(({ values }) => values instanceof Uint8Array);
  const out = isBytes ? new Uint8Array(pixels * channels) : new Float32Array(pixels * channels);
  let channel = 0;
  for (const { samples, values } of parts)
    for (let c = 0; c < samples; c++, channel++)
      for (let i = 0; i < pixels; i++) out[i * channels + channel] = values[i * samples + c] ?? 0;
  return out;
}
