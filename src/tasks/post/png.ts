/** PNGs (PNG specification, third edition) of ids, depth and colours, without a picture library. */
import { product } from '../../domain/lists';
import type { Pixels } from '../../domain/pixels';
import type { Size } from '../../domain/size';
import type { Ids } from './rle';

/**
 * Packs bytes into a zlib stream (RFC 1950). The Compression Streams of the platform are in Node
 * and in browsers.
 */
async function deflate(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  const packed = new Blob([bytes]).stream().pipeThrough(new CompressionStream('deflate'));
  return new Uint8Array(await new Response(packed).arrayBuffer());
}

const crcTable = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
  return value;
});

function crc(bytes: Uint8Array): number {
  let value = 0xffffffff;
  for (const byte of bytes) value = (crcTable[(value ^ byte) & 255] ?? 0) ^ (value >>> 8);
  return (value ^ 0xffffffff) >>> 0;
}

const latin = (text: string): Uint8Array => Uint8Array.from(text, (letter) => letter.charCodeAt(0));

/** Length, kind, data, checksum of kind and data. */
function chunk(kind: string, data: Uint8Array): Uint8Array {
  const out = new Uint8Array(data.length + 12);
  const view = new DataView(out.buffer);
  view.setUint32(0, data.length);
  out.set(latin(kind), 4);
  out.set(data, 8);
  view.setUint32(data.length + 8, crc(out.subarray(4, data.length + 8)));
  return out;
}

/** Kinds of samples, by their numbers in a PNG. */
const kindsOfSamples = { grey: 0, colours: 2 } as const;

function header([height, width]: Size, bits: 8 | 16, kind: keyof typeof kindsOfSamples = 'grey'): Uint8Array {
  const data = new Uint8Array(13);
  const view = new DataView(data.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  data[8] = bits;
  data[9] = kindsOfSamples[kind];
  return data;
}

/** Rows of samples, big-endian, each behind its filter: 0, none. */
function rowsOf(samples: Uint8Array | Uint16Array, [height, width]: Size): Uint8Array<ArrayBuffer> {
  const bytes = samples.BYTES_PER_ELEMENT;
  const out = new Uint8Array(height * (width * bytes + 1));
  for (let y = 0, to = 0; y < height; y++) {
    out[to++] = 0;
    for (let i = y * width; i < (y + 1) * width; i++) {
      const sample = samples[i] ?? 0;
      if (bytes === 2) out[to++] = sample >> 8;
      out[to++] = sample & 255;
    }
  }
  return out;
}

const signature = Uint8Array.of(137, 80, 78, 71, 13, 10, 26, 10);

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let to = 0;
  for (const part of parts) {
    out.set(part, to);
    to += part.length;
  }
  return out;
}

/** Returns a PNG of one grey sample a pixel; `notes` become text chunks, Latin letters alone. */
export async function greyPng(
  samples: Uint8Array | Uint16Array,
  size: Size,
  notes: Readonly<Record<string, string>> = {},
): Promise<Uint8Array> {
  const texts = Object.entries(notes).map(([key, text]) => chunk('tEXt', latin(`${key}\0${text}`)));
  return joined([
    signature,
    chunk('IHDR', header(size, samples instanceof Uint16Array ? 16 : 8)),
    ...texts,
    chunk('IDAT', await deflate(rowsOf(samples, size))),
    chunk('IEND', new Uint8Array()),
  ]);
}

/** Returns a PNG of three bytes a pixel. */
export async function rgbPng({ width, height, rgb }: Pixels): Promise<Uint8Array> {
  return joined([
    signature,
    chunk('IHDR', header([height, width], 8, 'colours')),
    chunk('IDAT', await deflate(rowsOf(rgb, [height, 3 * width]))),
    chunk('IEND', new Uint8Array()),
  ]);
}

/** What stands for -1 (none) in a PNG of ids: the largest sample of 8 bits, or of 16. */
function nothingOf(ids: ArrayLike<number>): 255 | 65535 {
  let most = 0;
  for (let at = 0; at < ids.length; at++) most = Math.max(most, ids[at] ?? 0);
  return most < 255 ? 255 : 65535;
}

/**
 * Returns a PNG of ids, the largest sample for -1 (none): 8 bits and 255, or 16 bits and 65,535 if
 * there are ids from 255 on.
 */
export async function idPng({ size, ids }: Ids): Promise<Uint8Array> {
  // -1 is the largest of the unsigned numbers.
  const samples = nothingOf(ids) === 255 ? Uint8Array.from(ids) : Uint16Array.from(ids);
  return greyPng(samples, size);
}

/** Depth of every pixel, row by row. */
interface DepthValues {
  readonly size: Size;
  readonly values: Float32Array;
}

/** How a depth is had from a sample of its PNG: `offset + scale * sample`. */
export interface DepthLevels {
  readonly offset: number;
  readonly scale: number;
}

/** Depth in 16 bits: metres in millimetres, up to 65.535 m; no unit, from lowest to highest. */
export interface DepthPng extends DepthLevels {
  readonly png: Uint8Array;
  /** Pixels whose depth lies outside of what the samples can say, and is cut off. */
  readonly clipped: number;
}

const levels = 65535;

function range(values: Float32Array): DepthLevels {
  let [low, high] = [Infinity, -Infinity];
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  if (!(high > low)) return { offset: Number.isFinite(low) ? low : 0, scale: 0 };
  return { offset: low, scale: (high - low) / levels };
}

/** Returns depth as a PNG of 16 bits, with its scale in a text chunk. */
export async function depthPng(
  { size, values }: DepthValues,
  unit: 'metres' | 'relative',
): Promise<DepthPng> {
  const { offset, scale } = unit === 'metres' ? { offset: 0, scale: 0.001 } : range(values);
  const samples = new Uint16Array(product(size));
  let clipped = 0;
  values.forEach((value, i) => {
    const level = scale === 0 ? 0 : Math.round((value - offset) / scale);
    if (level < 0 || level > levels) clipped++;
    samples[i] = Math.min(Math.max(level, 0), levels);
  });
  const note = `depth${unit === 'metres' ? ' in metres' : ''} = ${offset} + ${scale} * sample`;
  return { png: await greyPng(samples, size, { Description: note }), offset, scale, clipped };
}
