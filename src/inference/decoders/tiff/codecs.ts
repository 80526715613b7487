/** Compressions of TIFF strips and tiles whose samples are read here. */
import * as zlib from 'node:zlib';
import { UnsupportedImage } from '../refusal';

/** Undoes a compression; `size` bytes are needed, more may come. */
type Codec = (bytes: Uint8Array, size: number) => Uint8Array;

/** TIFF's LZW: codes of 9 to 12 bits, the highest bit first, wider one code early. */
const clearCode = 256;
const endCode = 257;
const longestCode = 12;

function lzw(bytes: Uint8Array, size: number): Uint8Array {
  if (bytes[0] === 0 && ((bytes[1] ?? 0) & 1) === 1)
    throw new UnsupportedImage('LZW of before TIFF 6.0, with its bits in reverse order');
  const out = new Uint8Array(size);
  const starts = new Int32Array(2 ** longestCode);
  const lengths = new Int32Array(2 ** longestCode);
  let [at, next, width, previous] = [0, 258, 9, -1];
  let [held, heldBits] = [0, 0];
  for (const byte of bytes) {
    held = ((held << 8) | byte) & 0xffffff;
    heldBits += 8;
    if (heldBits < width) continue;
    heldBits -= width;
    const code = (held >> heldBits) & (2 ** width - 1);
    if (code === endCode || at >= size) break;
    if (code === clearCode) {
      [next, width, previous] = [258, 9, -1];
      continue;
    }
    const start = at;
    at = writeCode(out, at, code, { starts, lengths, next, previous });
    // A new string is the previous one and the first byte of this one, which lie side by side.
    if (previous >= 0 && next < 4096) {
      starts[next] = previous;
      lengths[next] = start - previous + 1;
      next++;
    }
    previous = start;
    if (next + 1 >= 2 ** width && width < longestCode) width++;
  }
  return out.subarray(0, at);
}

interface Strings {
  readonly starts: Int32Array;
  readonly lengths: Int32Array;
  readonly next: number;
  readonly previous: number;
}

/** Writes a code's string, which lies earlier in the output; returns where it ends. */
function writeCode(out: Uint8Array, at: number, code: number, strings: Strings): number {
  if (code < clearCode) {
    out[at] = code;
    return at + 1;
  }
  const { starts, lengths, next, previous } = strings;
  const isNew = code === next && previous >= 0;
  if (code > next || (code === next && !isNew)) throw new Error(`LZW code ${code} before it is defined`);
  const from = isNew ? previous : (starts[code] ?? 0);
  const length = isNew ? at - previous + 1 : (lengths[code] ?? 0);
  // Byte by byte: a new string reads the byte that it has just written.
  for (let i = 0; i < length && at + i < out.length; i++) out[at + i] = out[from + i] ?? 0;
  return at + length;
}

/** Runs of up to 128 bytes: TIFF 6.0, section 9. */
function packBits(bytes: Uint8Array, size: number): Uint8Array {
  const out = new Uint8Array(size);
  let [from, to] = [0, 0];
  while (from < bytes.length && to < size) {
    const head = bytes[from++] ?? 0;
    if (head === 128) continue;
    const count = head < 128 ? head + 1 : 257 - head;
    if (head < 128) {
      out.set(bytes.subarray(from, from + Math.min(count, size - to)), to);
      from += count;
    } else out.fill(bytes[from++] ?? 0, to, Math.min(size, to + count));
    to += count;
  }
  return out.subarray(0, Math.min(to, size));
}

const inflate: Codec = (bytes, size) => zlib.inflateSync(bytes, { maxOutputLength: Math.max(size, 1) * 2 });

type Zstd = (bytes: Uint8Array, options: { readonly maxOutputLength: number }) => Uint8Array;

/** Node has it since 22.15, and with it VS Code; a command line may run on an older one. */
const zstdDecompress = (zlib as { readonly zstdDecompressSync?: Zstd }).zstdDecompressSync;

function zstd(bytes: Uint8Array, size: number): Uint8Array {
  if (zstdDecompress) return zstdDecompress(bytes, { maxOutputLength: Math.max(size, 1) * 2 });
  throw new UnsupportedImage(
    `ZSTD compression, for which Node 22.15 or newer is needed, this is ${process.versions.node}`,
  );
}

const codecs: Readonly<Record<number, Codec>> = {
  1: (bytes) => bytes,
  5: lzw,
  8: inflate,
  32773: packBits,
  32946: inflate,
  50000: zstd,
};

/** What a person calls a compression. */
const names: Readonly<Record<number, string>> = {
  2: 'CCITT',
  3: 'CCITT group 3',
  4: 'CCITT group 4',
  6: 'JPEG of before TIFF 6.0',
  7: 'JPEG',
  9: 'JBIG (T.85)',
  10: 'JBIG (T.43)',
  32809: 'ThunderScan',
  32908: 'PixarFilm',
  32909: 'PixarLog',
  33003: 'JPEG 2000',
  33005: 'JPEG 2000',
  34661: 'JBIG',
  34676: 'SGI Log',
  34677: 'SGI Log24',
  34712: 'JPEG 2000',
  34887: 'LERC',
  34892: 'lossy JPEG (DNG)',
  34925: 'LZMA',
  34933: 'PNG',
  34934: 'JPEG XR',
  50001: 'WebP',
  50002: 'JPEG XL',
  52546: 'JPEG XL (DNG)',
};

export const compressionName = (compression: number): string =>
  names[compression] ?? `compression ${compression}`;

/** Whether `decompress` knows a compression. */
export const hasCodec = (compression: number): boolean => compression in codecs;

/**
 * The first `size` bytes of a compressed strip or tile. Throws `UnsupportedImage` for a compression
 * that is not decoded here, another error if the data end before that or are damaged.
 */
export function decompress(compression: number, bytes: Uint8Array, size: number): Uint8Array {
  const codec = codecs[compression];
  if (!codec) throw new UnsupportedImage(`${compressionName(compression)} compression`);
  const found = codec(bytes, size);
  if (found.length < size) throw new Error(`a strip or tile of ${size} bytes ends after ${found.length}`);
  return found.subarray(0, size);
}
