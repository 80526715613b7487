/**
 * What a TIFF file says of its pages: TIFF 6.0, and BigTIFF
 * (https://www.awaresystems.be/imaging/tiff/bigtiff.html).
 */
import { UnsupportedImage } from '../refusal';

/** A page (image file directory) as far as decoding asks. */
export interface Page {
  readonly width: number;
  readonly height: number;
  /** Bits of a sample; all have the same. */
  readonly bits: number;
  readonly samples: number;
  /** 1 unsigned, 2 signed, 3 floating point, 5 and 6 complex. */
  readonly sampleFormat: number;
  readonly compression: number;
  readonly photometric: number;
  /** 2: the lowest bit of a byte comes first. */
  readonly fillOrder: number;
  /** Each sample has strips or tiles of its own. */
  readonly isPlanar: boolean;
  readonly predictor: number;
  readonly orientation: number;
  /** Of samples beyond those of the colours: 0 unspecified, 1 premultiplied alpha, 2 alpha. */
  readonly extra: readonly number[];
  /** Red, green and blue of every index, 16 bits each. */
  readonly colourMap: readonly number[];
  readonly bigEndian: boolean;
  /** A smaller copy of another page, or a mask of it. */
  readonly isDerived: boolean;
  /** Pixels of a strip or tile; those of strips are as wide as the page. */
  readonly chunk: { readonly width: number; readonly height: number; readonly isTile: boolean };
  readonly offsets: readonly number[];
  readonly counts: readonly number[];
}

/** Pages of one file; a stack of a microscope has thousands, and each costs a few hundred bytes. */
const maxPages = 65_536;
/** Entries of a page; writers know some hundred tags, each may stand once. */
const maxEntries = 4096;
/** Numbers of one entry: strips of one row each of the tallest image, for each of 1024 bands. */
const maxValues = 2 ** 24;

/** Tags that are read, by their numbers. */
const tags = {
  subfile: 254,
  width: 256,
  height: 257,
  bits: 258,
  compression: 259,
  photometric: 262,
  fillOrder: 266,
  stripOffsets: 273,
  orientation: 274,
  samples: 277,
  rowsPerStrip: 278,
  stripCounts: 279,
  planar: 284,
  predictor: 317,
  colourMap: 320,
  tileWidth: 322,
  tileHeight: 323,
  tileOffsets: 324,
  tileCounts: 325,
  extra: 338,
  sampleFormat: 339,
} as const;

const wanted: ReadonlySet<number> = new Set(Object.values(tags));

/** Bytes of the types that hold whole numbers, by the type's number; signed ones are not read. */
const widths: Readonly<Record<number, 1 | 2 | 4 | 8>> = { 1: 1, 3: 2, 4: 4, 13: 4, 16: 8, 18: 8 };

/** Reads whole numbers in the file's byte order. Throws `RangeError` beyond its end. */
class Numbers {
  readonly bigEndian: boolean;
  readonly big: boolean;
  private readonly view: DataView;

  constructor(bytes: Uint8Array) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.bigEndian = this.view.getUint8(0) === 0x4d;
    this.big = this.read(2, 2) === 43;
  }

  read(at: number, width: 1 | 2 | 4 | 8): number {
    const { view, bigEndian } = this;
    if (width === 1) return view.getUint8(at);
    if (width === 2) return view.getUint16(at, !bigEndian);
    if (width === 4) return view.getUint32(at, !bigEndian);
    const value = view.getBigUint64(at, !bigEndian);
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw new RangeError(`offset ${value}`);
    return Number(value);
  }
}

type Tags = ReadonlyMap<number, readonly number[]>;

/** The numbers of one entry, which lie in it if they fit and elsewhere otherwise. */
function readEntry(numbers: Numbers, at: number): readonly number[] {
  const wide = numbers.big ? 8 : 4;
  const width = widths[numbers.read(at + 2, 2)];
  const count = numbers.read(at + 4, wide);
  if (width === undefined) return [];
  if (count > maxValues)
    throw new Error(`tag ${numbers.read(at, 2)} has ${count} values; at most ${maxValues} are allowed`);
  const place = at + 4 + wide;
  const from = count * width <= wide ? place : numbers.read(place, wide);
  return Array.from({ length: count }, (_, i) => numbers.read(from + i * width, width));
}

function readTags(numbers: Numbers, at: number): { readonly found: Tags; readonly next: number } {
  const [lead, size, wide] = numbers.big ? ([8, 20, 8] as const) : ([2, 12, 4] as const);
  const count = numbers.read(at, lead);
  if (count > maxEntries) throw new Error(`a page has ${count} tags; at most ${maxEntries} are allowed`);
  const found = new Map<number, readonly number[]>();
  for (let i = 0; i < count; i++) {
    const entry = at + lead + i * size;
    const tag = numbers.read(entry, 2);
    if (wanted.has(tag)) found.set(tag, readEntry(numbers, entry));
  }
  return { found, next: numbers.read(at + lead + count * size, wide) };
}

function pageOf(found: Tags, bigEndian: boolean): Page {
  const all = (tag: number): readonly number[] => found.get(tag) ?? [];
  const one = (tag: number, otherwise: number): number => found.get(tag)?.[0] ?? otherwise;
  const [width, height] = [one(tags.width, 0), one(tags.height, 0)];
  const isTile = found.has(tags.tileOffsets) && !found.has(tags.stripOffsets);
  const chunk = isTile
    ? { width: one(tags.tileWidth, 0), height: one(tags.tileHeight, 0), isTile }
    : { width, height: Math.min(height, one(tags.rowsPerStrip, height)), isTile };
  const bits = all(tags.bits);
  const formats = all(tags.sampleFormat);
  if (new Set(bits).size > 1) throw new UnsupportedImage(`samples of ${bits.join(', ')} bits`);
  if (new Set(formats).size > 1)
    throw new UnsupportedImage(`samples of several number types (${formats.join(', ')})`);
  return {
    width,
    height,
    bits: bits[0] ?? 1,
    samples: one(tags.samples, 1),
    sampleFormat: formats[0] ?? 1,
    compression: one(tags.compression, 1),
    photometric: one(tags.photometric, 0),
    fillOrder: one(tags.fillOrder, 1),
    isPlanar: one(tags.planar, 1) === 2,
    predictor: one(tags.predictor, 1),
    orientation: one(tags.orientation, 1),
    extra: all(tags.extra),
    colourMap: all(tags.colourMap),
    bigEndian,
    isDerived: (one(tags.subfile, 0) & 5) !== 0,
    chunk,
    offsets: all(isTile ? tags.tileOffsets : tags.stripOffsets),
    counts: all(isTile ? tags.tileCounts : tags.stripCounts),
  };
}

/**
 * The pages of a TIFF file, in order. Throws if a directory lies outside of the file or the chain
 * of directories leads back.
 */
export function readPages(bytes: Uint8Array): readonly Page[] {
  const numbers = new Numbers(bytes);
  const pages: Page[] = [];
  const visited = new Set<number>();
  let at = numbers.big ? numbers.read(8, 8) : numbers.read(4, 4);
  while (at !== 0) {
    if (visited.has(at)) throw new Error('its pages form a circle');
    if (visited.size >= maxPages) throw new Error(`more than ${maxPages} pages`);
    visited.add(at);
    const { found, next } = readTags(numbers, at);
    pages.push(pageOf(found, numbers.bigEndian));
    at = next;
  }
  return pages;
}
