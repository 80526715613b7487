/**
 * BMP as Pillow's BmpImagePlugin reads it: every variant that it decodes comes out with the same
 * bytes, every other one is refused by its name.
 */
import type { RgbImage } from '../../preprocessing/resize';
import { UnsupportedImage } from './refusal';

/** What the header says, whatever its age. */
interface Header {
  readonly size: number;
  readonly width: number;
  readonly height: number;
  readonly topDown: boolean;
  readonly bits: number;
  readonly compression: number;
  /** Number of colours in the palette. */
  readonly colours: number;
  /** Bytes of one: three in OS/2's first version, four ever since. */
  readonly colourBytes: number;
  /** Where the header and the masks that follow the short one end. */
  readonly end: number;
  /** Red, green, blue, alpha; only of bit fields. */
  readonly masks: readonly number[];
}

const fileHeaderBytes = 14;
/** OS/2's first version; the others share one layout as far as it is read. */
const coreHeaderBytes = 12;
const infoHeaderBytes: ReadonlySet<number> = new Set([40, 52, 56, 64, 108, 124]);
/** From this size on, masks lie within the header. */
const headerWithMasks = 52;

const compressions = { none: 0, runs8: 1, runs4: 2, fields: 3 } as const;
const otherCompressions: Readonly<Record<number, string>> = {
  4: 'JPEG inside of a BMP',
  5: 'PNG inside of a BMP',
  6: 'bit fields with alpha (compression 6)',
};

/** The file ends before its pixels do. */
function cut(needed: number, found: number): Error {
  return new Error(`${needed} bytes needed, ${found} found`);
}

function readHeader(file: DataView): Header {
  const size = file.getUint32(fileHeaderBytes, true);
  if (size === coreHeaderBytes) return readCoreHeader(file);
  if (!infoHeaderBytes.has(size))
    throw new UnsupportedImage(
      `a header of ${size} bytes; 12, ${[...infoHeaderBytes].join(', ')} are decoded`,
    );
  const end = fileHeaderBytes + size;
  if (file.byteLength < end) throw cut(end, file.byteLength);
  // Pillow takes the height to be negative by its highest byte.
  const topDown = file.getUint8(25) === 0xff;
  const height = file.getUint32(22, true);
  const bits = file.getUint16(28, true);
  const compression = file.getUint32(30, true);
  const within = size >= headerWithMasks;
  const masks = compression === compressions.fields ? readMasks(file, size) : [];
  return {
    size,
    width: file.getUint32(18, true),
    height: topDown ? 2 ** 32 - height : height,
    topDown,
    bits,
    compression,
    colours: file.getUint32(46, true) || 2 ** bits,
    colourBytes: 4,
    end: end + (masks.length > 0 && !within ? 12 : 0),
    masks,
  };
}

function readCoreHeader(file: DataView): Header {
  const bits = file.getUint16(24, true);
  return {
    size: coreHeaderBytes,
    width: file.getUint16(18, true),
    height: file.getUint16(20, true),
    topDown: false,
    bits,
    compression: compressions.none,
    colours: 2 ** bits,
    colourBytes: 3,
    end: fileHeaderBytes + coreHeaderBytes,
    masks: [],
  };
}

/** Three masks follow a header of 40 bytes, three or four lie in a longer one. */
function readMasks(file: DataView, size: number): readonly number[] {
  const count = size > headerWithMasks ? 4 : 3;
  const masks = Array.from({ length: count }, (_, i) => file.getUint32(54 + 4 * i, true));
  return count === 4 ? masks : [...masks, 0];
}

/** Writes the colour of one pixel. */
type Unpack = (file: DataView, at: number, rgb: Uint8Array, to: number) => void;

/** Bytes in the order in which they lie in the file: where red, green and blue are. */
const bytesAt =
  (red: number, green: number, blue: number): Unpack =>
  (file, at, rgb, to) => {
    rgb[to] = file.getUint8(at + red);
    rgb[to + 1] = file.getUint8(at + green);
    rgb[to + 2] = file.getUint8(at + blue);
  };

/** Five bits of red and blue and five or six of green; divided as C divides, towards zero. */
const shortOf =
  (greenBits: 5 | 6): Unpack =>
  (file, at, rgb, to) => {
    const pixel = file.getUint16(at, true);
    const greens = 2 ** greenBits - 1;
    rgb[to] = Math.trunc((((pixel >> (5 + greenBits)) & 31) * 255) / 31);
    rgb[to + 1] = Math.trunc((((pixel >> 5) & greens) * 255) / greens);
    rgb[to + 2] = Math.trunc(((pixel & 31) * 255) / 31);
  };

const plain: Readonly<Record<number, Unpack>> = {
  16: shortOf(5),
  24: bytesAt(2, 1, 0),
  32: bytesAt(2, 1, 0),
};

/** Layouts of bit fields by bits and masks (red, green, blue, alpha): Pillow's MASK_MODES. */
const fields: Readonly<Record<string, Unpack>> = {
  '32 ff0000 ff00 ff 0': bytesAt(2, 1, 0),
  '32 ff000000 ff0000 ff00 0': bytesAt(3, 2, 1),
  '32 ff000000 ff00 ff 0': bytesAt(3, 1, 0),
  '32 ff000000 ff0000 ff00 ff': bytesAt(3, 2, 1),
  '32 ff ff00 ff0000 ff000000': bytesAt(0, 1, 2),
  '32 ff0000 ff00 ff ff000000': bytesAt(2, 1, 0),
  '32 ff000000 ff00 ff ff0000': bytesAt(3, 1, 0),
  '32 0 0 0 0': bytesAt(2, 1, 0),
  '24 ff0000 ff00 ff': bytesAt(2, 1, 0),
  '16 f800 7e0 1f': shortOf(6),
  '16 7c00 3e0 1f': shortOf(5),
};

function unpackOf({ bits, compression, masks }: Header): Unpack {
  if (compression === compressions.none) {
    const unpack = plain[bits];
    if (!unpack) throw new UnsupportedImage(`${bits} bits per pixel; 1, 4, 8, 16, 24 and 32 are decoded`);
    return unpack;
  }
  // Only pixels of 32 bits have room for alpha, and only their layouts tell it apart.
  const used = bits === 32 ? masks : masks.slice(0, 3);
  const layout = [bits, ...used.map((mask) => mask.toString(16))].join(' ');
  const unpack = fields[layout];
  if (unpack) return unpack;
  throw new UnsupportedImage(`bit fields of ${bits} bits with the masks ${layout.slice(3)}`);
}

/** Bytes from one stored row to the next: a multiple of four. */
const strideOf = ({ width, bits }: Header): number => Math.ceil((width * bits) / 32) * 4;

function checkRows(file: DataView, header: Header, start: number): void {
  const { width, height, bits } = header;
  const needed = start + strideOf(header) * (height - 1) + Math.ceil((width * bits) / 8);
  if (needed > file.byteLength) throw cut(needed, file.byteLength);
}

/** Row of the picture that the stored row holds. */
const placeOf = ({ height, topDown }: Header, stored: number): number =>
  topDown ? stored : height - 1 - stored;

function readColours(file: DataView, header: Header, start: number): Uint8Array {
  const { width, height, bits } = header;
  const unpack = unpackOf(header);
  checkRows(file, header, start);
  const rgb = new Uint8Array(width * height * 3);
  for (let row = 0; row < height; row++) {
    let at = start + row * strideOf(header);
    let to = placeOf(header, row) * width * 3;
    for (let x = 0; x < width; x++, at += bits / 8, to += 3) unpack(file, at, rgb, to);
  }
  return rgb;
}

/** Red, green, blue of 256 indices; those that the file leaves out are black, as in Pillow. */
function readPalette(file: DataView, { colours, colourBytes, end }: Header): Uint8Array {
  if (colours > 65536) throw new UnsupportedImage(`a palette of ${colours} colours`);
  const palette = new Uint8Array(768);
  for (let i = 0; i < Math.min(colours, 256); i++) {
    const at = end + i * colourBytes;
    if (at + 3 > file.byteLength) throw cut(at + 3, file.byteLength);
    bytesAt(2, 1, 0)(file, at, palette, i * 3);
  }
  return palette;
}

/** One index per pixel, the highest bits first. */
function readIndices(file: DataView, header: Header, start: number): Uint8Array {
  const { width, height, bits } = header;
  checkRows(file, header, start);
  const indices = new Uint8Array(width * height);
  const perByte = 8 / bits;
  for (let row = 0; row < height; row++) {
    const from = start + row * strideOf(header);
    const to = placeOf(header, row) * width;
    for (let x = 0; x < width; x++) {
      const byte = file.getUint8(from + Math.floor(x / perByte));
      indices[to + x] = (byte >> (8 - bits * ((x % perByte) + 1))) & (2 ** bits - 1);
    }
  }
  return indices;
}

/** What a run-length code has written so far, in stored order. */
interface Runs {
  readonly out: Uint8Array;
  /** Pixels written. */
  at: number;
  /** Place in the row, by which runs are cut at its end. */
  x: number;
}

/** A pixel of a byte: the whole one, or of four bits the first or second half by `i`. */
const pixelOf = (byte: number, i: number, bits: number): number =>
  bits === 8 ? byte : i % 2 === 0 ? byte >> 4 : byte & 15;

/**
 * Run-length codes in Pillow's reading (BmpRleDecoder): a run ends with its row, pixels that are
 * skipped have index 0, and an odd position in the file is followed by a byte of padding. Throws if
 * they end before the last row does, be it that the file does.
 */
function readRuns(file: Uint8Array, header: Header, start: number): Uint8Array {
  const { width, height, bits } = header;
  const total = width * height;
  const runs: Runs = { out: new Uint8Array(total), at: 0, x: 0 };
  let at = start;
  let isEnded = false;
  while (!isEnded && runs.at < total && at + 1 < file.length) {
    const [count = 0, value = 0] = [file[at], file[at + 1]];
    at += 2;
    if (count > 0) writeRun(runs, Math.min(count, Math.max(0, width - runs.x)), value, bits);
    else if (value === 0) endRow(runs, width);
    else if (value === 1) isEnded = true;
    else if (value === 2) {
      skip(runs, (file[at] ?? 0) + (file[at + 1] ?? 0) * width, width);
      at += 2;
    } else at = writeLiteral(runs, file, at, value, bits);
  }
  const found = `run-length codes of ${runs.at} of ${total} pixels`;
  if (isEnded && runs.at < total) throw new UnsupportedImage(`${found}, which leave the others out`);
  if (runs.at < total) throw new Error(found);
  return header.topDown ? runs.out : upright(runs.out, width, height);
}

function writeRun(runs: Runs, count: number, value: number, bits: number): void {
  for (let i = 0; i < count && runs.at < runs.out.length; i++) runs.out[runs.at++] = pixelOf(value, i, bits);
  runs.x += count;
}

function endRow(runs: Runs, width: number): void {
  runs.at = Math.ceil(runs.at / width) * width;
  runs.x = 0;
}

function skip(runs: Runs, count: number, width: number): void {
  runs.at = Math.min(runs.out.length, runs.at + count);
  runs.x = runs.at % width;
}

/** Copies pixels that are no run; returns where the next code lies. */
function writeLiteral(runs: Runs, file: Uint8Array, at: number, value: number, bits: number): number {
  const count = Math.min(value, runs.out.length - runs.at);
  const bytes = bits === 8 ? count : Math.ceil(count / 2);
  if (at + bytes > file.length) throw cut(at + bytes, file.length);
  for (let i = 0; i < count; i++)
    runs.out[runs.at++] = pixelOf(file[at + (bits === 8 ? i : i >> 1)] ?? 0, i, bits);
  runs.x += value;
  const next = at + bytes;
  return next + (next % 2);
}

function upright(stored: Uint8Array, width: number, height: number): Uint8Array {
  const out = new Uint8Array(stored.length);
  for (let y = 0; y < height; y++)
    out.set(stored.subarray(y * width, (y + 1) * width), (height - 1 - y) * width);
  return out;
}

function coloured(indices: Uint8Array, palette: Uint8Array): Uint8Array {
  const rgb = new Uint8Array(indices.length * 3);
  indices.forEach((index, i) => rgb.set(palette.subarray(index * 3, index * 3 + 3), i * 3));
  return rgb;
}

/** Where the pixels lie: where the file says; behind the palette if it says the header's end. */
function startOf(file: DataView, { size, bits, colours, colourBytes, end }: Header): number {
  const stated = file.getUint32(10, true);
  const palette = bits <= 8 ? colours * colourBytes : 0;
  if (stated === 0) return end + palette;
  return stated === fileHeaderBytes + size ? stated + palette : stated;
}

/** Bits per pixel of each compression that a palette may have. */
const paletteBits: Readonly<Record<number, readonly number[]>> = {
  [compressions.none]: [1, 4, 8],
  [compressions.runs8]: [8],
  [compressions.runs4]: [4],
};

/**
 * Decodes a BMP file to 8-bit RGB. Throws `UnsupportedImage` for a variant that Pillow does not
 * read, another error for a file that is cut off.
 */
export function decodeBmp(bytes: Uint8Array): RgbImage {
  const file = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const header = readHeader(file);
  const { width, height, bits, compression } = header;
  const start = startOf(file, header);
  const isRuns = compression === compressions.runs8 || compression === compressions.runs4;
  const isPlain = compression === compressions.none || compression === compressions.fields;
  if (!isRuns && !isPlain)
    throw new UnsupportedImage(otherCompressions[compression] ?? `compression ${compression}`);
  if (paletteBits[compression]?.includes(bits)) {
    const palette = readPalette(file, header);
    const indices = isRuns ? readRuns(bytes, header, start) : readIndices(file, header, start);
    return { width, height, rgb: coloured(indices, palette) };
  }
  if (isRuns) throw new UnsupportedImage(`run-length codes of ${bits} bits per pixel; 4 and 8 are decoded`);
  return { width, height, rgb: readColours(file, header, start) };
}
