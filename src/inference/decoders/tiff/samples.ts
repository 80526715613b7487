/** The samples of a TIFF page as they are stored, whatever they mean. */
import type { DType } from '../../../checkpoint/tensors';
import { UnsupportedImage } from '../refusal';
import { decompress } from './codecs';
import type { Page } from './directory';

/** Samples row by row, all of a pixel together, little-endian. */
export interface Samples {
  readonly dtype: DType;
  readonly bytes: Uint8Array;
}

/** Element types by sample format and bits; fewer than 8 bits are put into bytes, 12 into 16. */
const types: Readonly<Record<string, DType>> = {
  '1 1': 'U8',
  '1 2': 'U8',
  '1 4': 'U8',
  '1 8': 'U8',
  '1 12': 'U16',
  '1 16': 'U16',
  '1 32': 'U32',
  '1 64': 'U64',
  '2 8': 'I8',
  '2 16': 'I16',
  '2 32': 'I32',
  '2 64': 'I64',
  '3 16': 'F16',
  '3 32': 'F32',
  '3 64': 'F64',
  // Undefined: taken for whole numbers, as libtiff does.
  '4 8': 'U8',
  '4 16': 'U16',
  '4 32': 'U32',
};

const formats: Readonly<Record<number, string>> = {
  1: 'unsigned',
  2: 'signed',
  3: 'floating-point',
  5: 'complex',
  6: 'complex',
};

/** `16-bit floating-point numbers`. */
export const numbersOf = ({ bits, sampleFormat }: Page): string =>
  `${bits}-bit ${formats[sampleFormat] ?? 'undefined'} numbers`;

/**
 * Bytes of a page's samples. 13 bands of 16 bits of a tile of Sentinel-2 (10,980 × 10,980) are
 * more; those of a crop that a model takes are some megabytes.
 */
const maxSampleBytes = 2 ** 30;

/** A part of a page that is compressed by itself. */
interface Chunk {
  readonly left: number;
  readonly top: number;
  /** Pixels that are stored; tiles reach beyond the page. */
  readonly width: number;
  readonly height: number;
  /** First sample, and how many of a pixel lie in it. */
  readonly sample: number;
  readonly samples: number;
  readonly offset: number;
  readonly count: number;
}

function* chunksOf(page: Page): Generator<Chunk> {
  const { width, height, samples, isPlanar, chunk } = page;
  const columns = Math.ceil(width / chunk.width);
  const rows = Math.ceil(height / chunk.height);
  const planes = isPlanar ? samples : 1;
  if (page.offsets.length < columns * rows * planes)
    throw new Error(
      `${columns * rows * planes} strips or tiles needed, offsets of ${page.offsets.length} found`,
    );
  for (let plane = 0; plane < planes; plane++)
    for (let y = 0; y < rows; y++)
      for (let x = 0; x < columns; x++) {
        const index = (plane * rows + y) * columns + x;
        const top = y * chunk.height;
        yield {
          left: x * chunk.width,
          top,
          width: chunk.width,
          height: chunk.isTile ? chunk.height : Math.min(chunk.height, height - top),
          sample: plane,
          samples: isPlanar ? 1 : samples,
          offset: page.offsets[index] ?? 0,
          count: page.counts[index] ?? Infinity,
        };
      }
}

/**
 * Reads all samples of a page. Throws `UnsupportedImage` for number types and compressions that are
 * not decoded, another error for a page that is damaged or cut off.
 */
export function readSamples(file: Uint8Array, page: Page): Samples {
  const dtype = types[`${page.sampleFormat} ${page.bits}`];
  if (!dtype) throw new UnsupportedImage(numbersOf(page));
  const width = page.bits <= 8 ? 1 : page.bits === 12 ? 2 : page.bits / 8;
  const total = page.width * page.height * page.samples * width;
  if (total > maxSampleBytes)
    throw new UnsupportedImage(
      `${total.toLocaleString('en')} bytes of samples; at most ${maxSampleBytes.toLocaleString('en')} are allowed`,
    );
  if (page.chunk.width < 1 || page.chunk.height < 1) throw new Error('strips or tiles without a size');
  const bytes = new Uint8Array(total);
  for (const chunk of chunksOf(page)) place(bytes, width, page, chunk, readChunk(file, page, chunk));
  return { dtype, bytes };
}

/** A chunk's samples, uncompressed, one after the other, little-endian. */
function readChunk(file: Uint8Array, page: Page, chunk: Chunk): Uint8Array {
  const rowBytes = Math.ceil((chunk.width * chunk.samples * page.bits) / 8);
  const size = rowBytes * chunk.height;
  if (chunk.offset >= file.length) throw new Error(`a strip or tile lies at ${chunk.offset}, beyond the end`);
  const stored = file.subarray(chunk.offset, chunk.offset + chunk.count);
  const ordered = page.fillOrder === 2 ? mirrored(stored) : stored;
  const bytes = Uint8Array.from(decompress(page.compression, ordered, size));
  if (page.predictor === 3) return fromFloatDifferences(bytes, chunk, page.bits / 8);
  if (page.bigEndian && page.bits > 8 && page.bits % 8 === 0) swap(bytes, page.bits / 8);
  if (page.predictor === 2) addDifferences(bytes, chunk, page.bits);
  else if (page.predictor !== 1) throw new UnsupportedImage(`predictor ${page.predictor}`);
  return page.bits % 8 === 0 ? bytes : unpack(bytes, chunk, page.bits, rowBytes);
}

/** Every byte with its bits in reverse order. */
function mirrored(bytes: Uint8Array): Uint8Array {
  const table = Uint8Array.from({ length: 256 }, (_, byte) => {
    let out = 0;
    for (let bit = 0; bit < 8; bit++) out |= ((byte >> bit) & 1) << (7 - bit);
    return out;
  });
  return bytes.map((byte) => table[byte] ?? 0);
}

/** Turns the bytes of every number around, in place. */
function swap(bytes: Uint8Array, width: number): void {
  for (let at = 0; at + width <= bytes.length; at += width) bytes.subarray(at, at + width).reverse();
}

/**
 * Predictor 2, in place: each sample is stored as its difference from the same sample of the pixel
 * before it, without regard of overflow (TIFF 6.0, section 14). The numbers are taken as unsigned.
 */
function addDifferences(bytes: Uint8Array, { width, height, samples }: Chunk, bits: number): void {
  const { buffer } = bytes;
  const numbers =
    bits === 8
      ? bytes
      : bits === 16
        ? new Uint16Array(buffer)
        : bits === 32
          ? new Uint32Array(buffer)
          : undefined;
  if (!numbers) throw new UnsupportedImage(`differences (predictor 2) of ${bits}-bit numbers`);
  const length = width * samples;
  for (let row = 0; row < height; row++)
    for (let at = row * length + samples; at < (row + 1) * length; at++)
      numbers[at] = (numbers[at] ?? 0) + (numbers[at - samples] ?? 0);
}

/**
 * Predictor 3: the bytes of a row's numbers, all the highest ones first, then all the next ones, as
 * differences of bytes (Adobe's TIFF technical note 3).
 */
function fromFloatDifferences(bytes: Uint8Array, { width, height, samples }: Chunk, each: number) {
  if (!Number.isInteger(each)) throw new UnsupportedImage(`predictor 3 of ${each * 8}-bit numbers`);
  const numbers = width * samples;
  const out = new Uint8Array(bytes.length);
  for (let row = 0; row < height; row++) {
    const line = bytes.subarray(row * numbers * each, (row + 1) * numbers * each);
    for (let i = samples; i < line.length; i++) line[i] = (line[i] ?? 0) + (line[i - samples] ?? 0);
    for (let i = 0; i < numbers; i++)
      for (let byte = 0; byte < each; byte++)
        out[(row * numbers + i) * each + (each - 1 - byte)] = line[byte * numbers + i] ?? 0;
  }
  return out;
}

/** Numbers of fewer than 8 bits to bytes, of 12 bits to 16; rows begin with a byte. */
function unpack(bytes: Uint8Array, { width, height, samples }: Chunk, bits: number, rowBytes: number) {
  const length = width * samples;
  const out = bits > 8 ? new Uint16Array(length * height) : new Uint8Array(length * height);
  for (let row = 0; row < height; row++)
    for (let i = 0; i < length; i++) {
      let value = 0;
      for (let bit = i * bits; bit < (i + 1) * bits; bit++)
        value = (value << 1) | (((bytes[row * rowBytes + (bit >> 3)] ?? 0) >> (7 - (bit & 7))) & 1);
      out[row * length + i] = value;
    }
  return new Uint8Array(out.buffer);
}

/** Copies a chunk's samples to their places on the page. */
function place(out: Uint8Array, each: number, page: Page, chunk: Chunk, bytes: Uint8Array): void {
  const pixel = page.samples * each;
  const part = chunk.samples * each;
  const columns = Math.min(chunk.width, page.width - chunk.left);
  const rows = Math.min(chunk.height, page.height - chunk.top);
  for (let y = 0; y < rows; y++) {
    const from = y * chunk.width * part;
    const to = ((chunk.top + y) * page.width + chunk.left) * pixel + chunk.sample * each;
    if (part === pixel) out.set(bytes.subarray(from, from + columns * part), to);
    else
      for (let x = 0; x < columns; x++)
        for (let i = 0; i < part; i++) out[to + x * pixel + i] = bytes[from + x * part + i] ?? 0;
  }
}
