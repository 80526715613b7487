/**
 * The first frame of a GIF as Pillow shows it without its transparency: libvips leaves nothing of
 * the colour under a transparent pixel, and of the canvas around a smaller frame.
 */
import type { RgbImage } from '../../preprocessing/resize';

export interface GifImage extends RgbImage {
  readonly isTransparent: boolean;
  readonly frames: number;
}

/** The blocks in front of a frame, and where the frame lies on its canvas. */
interface Frame {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
  readonly isInterlaced: boolean;
  readonly palette: Uint8Array | undefined;
  /** Where its code begins. */
  readonly start: number;
  readonly transparent: number | undefined;
}

const blocks = { extension: 0x21, image: 0x2c, control: 0xf9 } as const;

/** Bytes of sub-blocks, each behind its length, up to an empty one; and where they end. */
function subBlocks(file: Buffer, start: number): { readonly bytes: Buffer; readonly end: number } {
  const parts: Buffer[] = [];
  let at = start;
  for (let length = file[at] ?? 0; length > 0; length = file[at] ?? 0) {
    parts.push(file.subarray(at + 1, at + 1 + length));
    at += 1 + length;
  }
  return { bytes: Buffer.concat(parts), end: at + 1 };
}

/** A palette as the flags in front of it say; undefined if there is none. */
function paletteAt(file: Buffer, flags: number, at: number): Uint8Array | undefined {
  return (flags & 0x80) === 0 ? undefined : file.subarray(at, at + paletteBytes(flags));
}

const paletteBytes = (flags: number): number => ((flags & 0x80) === 0 ? 0 : 3 * 2 ** ((flags & 7) + 1));

/** The first frame, behind any extensions. Throws if the file ends before. */
function firstFrame(file: Buffer): Frame {
  try {
    return readFrame(file);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new Error('it ends before its first frame', { cause: error });
  }
}

function readFrame(file: Buffer): Frame {
  const globalFlags = file.readUInt8(10);
  let at = 13 + paletteBytes(globalFlags);
  let transparent: number | undefined;
  while (file.readUInt8(at) !== blocks.image) {
    if (file[at] !== blocks.extension) {
      at += 1; // Pillow passes over bytes between blocks.
      continue;
    }
    const { bytes, end } = subBlocks(file, at + 2);
    if (file[at + 1] === blocks.control && ((bytes[0] ?? 0) & 1) === 1) transparent = bytes[3];
    at = end;
  }
  const flags = file.readUInt8(at + 9);
  return {
    left: file.readUInt16LE(at + 1),
    top: file.readUInt16LE(at + 3),
    width: file.readUInt16LE(at + 5),
    height: file.readUInt16LE(at + 7),
    isInterlaced: (flags & 0x40) !== 0,
    palette: paletteAt(file, flags, at + 10) ?? paletteAt(file, globalFlags, 13),
    start: at + 10 + paletteBytes(flags),
    transparent,
  };
}

/** Frames from a place on; a file that is cut off has those that are there. */
function countFrames(file: Buffer, start: number): number {
  let frames = 0;
  let at = start;
  while (at + 10 < file.length) {
    if (file[at] === blocks.image) {
      frames++;
      at = subBlocks(file, at + 11 + paletteBytes(file.readUInt8(at + 9))).end;
    } else if (file[at] === blocks.extension) at = subBlocks(file, at + 2).end;
    else at += 1;
  }
  return frames;
}

const longestCode = 12;

/** GIF's LZW: codes of up to 12 bits, the lowest bit first. Throws if it ends too early. */
function indicesOf(file: Buffer, start: number, size: number): Uint8Array {
  const smallest = file[start] ?? 0;
  if (smallest < 1 || smallest > 11) throw new Error(`codes of ${smallest} bits`);
  const { bytes } = subBlocks(file, start + 1);
  const clear = 2 ** smallest;
  const out = new Uint8Array(size);
  const starts = new Int32Array(2 ** longestCode);
  const lengths = new Int32Array(2 ** longestCode);
  let [at, next, width, previous] = [0, clear + 2, smallest + 1, -1];
  let [held, heldBits] = [0, 0];
  for (let from = 0; from < bytes.length || heldBits >= width;) {
    if (heldBits < width) {
      held |= (bytes[from++] ?? 0) << heldBits;
      heldBits += 8;
      continue;
    }
    const code = held & (2 ** width - 1);
    held >>= width;
    heldBits -= width;
    if (code === clear) {
      [next, width, previous] = [clear + 2, smallest + 1, -1];
      continue;
    }
    if (code === clear + 1 || at >= size) break;
    if (code > next || (code === next && previous < 0)) throw new Error(`code ${code} before it is defined`);
    const begin = at;
    at = copyString(out, at, code < clear ? code : -1, {
      from: code === next ? previous : (starts[code] ?? 0),
      length: code === next ? begin - previous + 1 : (lengths[code] ?? 0),
    });
    if (previous >= 0 && next < 2 ** longestCode) {
      starts[next] = previous;
      lengths[next] = begin - previous + 1;
      next++;
      if (next === 2 ** width && width < longestCode) width++;
    }
    previous = begin;
  }
  if (at < size) throw new Error(`${at} of ${size} pixels found`);
  return out;
}

/** Writes a literal, or a string of what was written; returns where it ends. */
function copyString(
  out: Uint8Array,
  at: number,
  literal: number,
  { from, length }: { readonly from: number; readonly length: number },
): number {
  if (literal >= 0) {
    out[at] = literal;
    return at + 1;
  }
  // Byte by byte: a new string reads the byte that it has just written.
  for (let i = 0; i < length && at + i < out.length; i++) out[at + i] = out[from + i] ?? 0;
  return at + length;
}

/** Rows in the order in which an interlaced frame stores them. */
function rowsOf(height: number, isInterlaced: boolean): readonly number[] {
  const passes = isInterlaced
    ? [
        [0, 8],
        [4, 8],
        [2, 4],
        [1, 2],
      ]
    : [[0, 1]];
  return passes.flatMap(([first = 0, step = 1]) =>
    Array.from({ length: Math.max(0, Math.ceil((height - first) / step)) }, (_, i) => first + i * step),
  );
}

/**
 * Decodes the first frame on its canvas, which is filled with the transparent index, or 0 if there
 * is none. Throws if the file is cut off or its code is damaged.
 */
export function decodeGif(file: Buffer, checkSize: (width: number, height: number) => void): GifImage {
  const frame = firstFrame(file);
  // Pillow lets a frame that is larger than the canvas enlarge it.
  const width = Math.max(file.readUInt16LE(6), frame.left + frame.width);
  const height = Math.max(file.readUInt16LE(8), frame.top + frame.height);
  checkSize(width, height);
  const stored = indicesOf(file, frame.start, frame.width * frame.height);
  const canvas = new Uint8Array(width * height).fill(frame.transparent ?? 0);
  rowsOf(frame.height, frame.isInterlaced).forEach((y, row) =>
    canvas.set(
      stored.subarray(row * frame.width, (row + 1) * frame.width),
      (frame.top + y) * width + frame.left,
    ),
  );
  const { palette, transparent } = frame;
  const rgb = new Uint8Array(canvas.length * 3);
  canvas.forEach((index, i) => {
    for (let c = 0; c < 3; c++) rgb[i * 3 + c] = palette ? (palette[index * 3 + c] ?? 0) : index;
  });
  const frames = 1 + countFrames(file, subBlocks(file, frame.start + 1).end);
  return { width, height, rgb, isTransparent: transparent !== undefined, frames };
}
