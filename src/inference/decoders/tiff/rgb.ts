/** A TIFF page as 8-bit RGB, in the meaning that Pillow's TiffImagePlugin gives its samples. */
import { toFloat32 } from '../../../checkpoint/values';
import { rgbOfCmyk } from '../cmyk';
import { UnsupportedImage } from '../refusal';
import type { Page } from './directory';
import { numbersOf, readSamples, type Samples } from './samples';

/** Colours of a page, and what a person should know of how they were had. */
export interface PageColours {
  readonly rgb: Uint8Array;
  readonly notes: readonly string[];
}

const photometrics: Readonly<Record<number, string>> = {
  0: 'grey with 0 for white',
  1: 'grey',
  2: 'RGB',
  3: 'palette',
  4: 'mask',
  5: 'CMYK',
  6: 'YCbCr',
  8: 'CIELAB',
  9: 'ICCLAB',
  10: 'ITULAB',
  32803: 'colour filter array',
  32844: 'LogL',
  32845: 'LogLuv',
  34892: 'linear raw',
};

/** `13 samples per pixel, grey, 16-bit unsigned numbers`. */
export const describePage = (page: Page): string =>
  `${page.samples === 1 ? 'one sample' : `${page.samples} samples`} per pixel, ` +
  `${photometrics[page.photometric] ?? `photometric ${page.photometric}`}, ${numbersOf(page)}`;

/** Reads the colours of one kind of page. */
type Reader = (file: Uint8Array, page: Page) => PageColours;

/** Samples as one grey byte each, to red, green and blue. */
function repeated(grey: ArrayLike<number>, notes: readonly string[] = []): PageColours {
  const rgb = new Uint8Array(grey.length * 3);
  for (let i = 0; i < grey.length; i++) rgb.fill(grey[i] ?? 0, i * 3, i * 3 + 3);
  return { rgb, notes };
}

/** One sample of each pixel. */
function sampleOf({ bytes }: Samples, index: number, { samples }: Page): Uint8Array {
  if (samples === 1) return bytes;
  const out = new Uint8Array(bytes.length / samples);
  for (let i = 0; i < out.length; i++) out[i] = bytes[i * samples + index] ?? 0;
  return out;
}

/** Up to 8 bits, spread over 0 … 255, white being 0 if the page says so; a second one is alpha. */
const readGrey: Reader = (file, page) => {
  const highest = 2 ** page.bits - 1;
  const table = Uint8Array.from(
    { length: 256 },
    (_, value) => ((page.photometric === 0 ? highest - value : value) * 255) / highest,
  );
  const grey = sampleOf(readSamples(file, page), 0, page).map((value) => table[value] ?? 0);
  return repeated(grey);
};

const highByteNote = '16 bits per channel, of which the high byte is used';
const pillowWhite = 'Pillow\'s convert("RGB") would show it white';

/** Of 16 bits the high byte, of 12 the highest eight. Pillow clips such images to white. */
const readWideGrey: Reader = (file, page) => {
  const { bytes } = readSamples(file, page);
  const values = new Uint16Array(Uint8Array.from(bytes).buffer);
  const grey = Uint8Array.from(values, (value) => value >> (page.bits - 8));
  const note =
    page.bits === 16 ? highByteNote : `${page.bits} bits per channel, of which the high 8 are used`;
  return repeated(grey, [note, pillowWhite]);
};

/** Numbers beyond a byte's, cut to 0 … 255 and rounded down as Pillow does. */
const readClipped: Reader = (file, page) => {
  const { bytes, dtype } = readSamples(file, page);
  // Pillow takes unsigned numbers of 32 bits for signed ones.
  const values = toFloat32(bytes, dtype === 'U32' ? 'I32' : dtype);
  const grey = Uint8Array.from(values, (value) => Math.min(255, Math.max(0, Math.trunc(value))));
  return repeated(grey, [`${numbersOf(page)}, cut to 0 … 255 as Pillow does`]);
};

/** The high byte of every sample, whatever its width. */
function highBytes({ bytes }: Samples, bits: number): Uint8Array {
  if (bits === 8) return bytes;
  const out = new Uint8Array(bytes.length / 2);
  for (let i = 0; i < out.length; i++) out[i] = bytes[2 * i + 1] ?? 0;
  return out;
}

/** Red, green, blue; divided by premultiplied alpha (Pillow's RGBa), beside other alpha kept. */
const readRgb: Reader = (file, page) => {
  const { samples, bits, extra } = page;
  const bytes = highBytes(readSamples(file, page), bits);
  const premultiplied = extra[0] === 1;
  const rgb = new Uint8Array((bytes.length / samples) * 3);
  for (let from = 0, to = 0; from < bytes.length; from += samples, to += 3) {
    const alpha = premultiplied ? (bytes[from + 3] ?? 255) : 255;
    for (let c = 0; c < 3; c++) rgb[to + c] = divided(bytes[from + c] ?? 0, alpha);
  }
  const hasAlpha = samples > 3 && extra[0] !== 0;
  return {
    rgb,
    notes: [
      ...(bits === 16 ? [highByteNote] : []),
      ...(hasAlpha ? ['transparency dropped: the colour under it shows'] : []),
      ...(samples > 3 && !hasAlpha ? [`${samples - 3} further samples of every pixel are not used`] : []),
    ],
  };
};

function divided(value: number, alpha: number): number {
  if (alpha === 255) return value;
  return alpha === 0 ? 0 : Math.min(255, Math.trunc((value * 255) / alpha));
}

const readPalette: Reader = (file, page) => {
  const colours = 2 ** page.bits;
  const { colourMap } = page;
  const indices = sampleOf(readSamples(file, page), 0, page);
  const rgb = new Uint8Array(indices.length * 3);
  indices.forEach((index, i) => {
    for (let c = 0; c < 3; c++) rgb[i * 3 + c] = (colourMap[c * colours + index] ?? 0) >> 8;
  });
  return { rgb, notes: [] };
};

const readCmyk: Reader = (file, page) => {
  const bytes = highBytes(readSamples(file, page), page.bits);
  const { samples } = page;
  const cmyk = samples === 4 ? bytes : bytes.filter((_, i) => i % samples < 4);
  return { rgb: rgbOfCmyk(cmyk), notes: ['CMYK, converted as Pillow does, without a colour profile'] };
};

/** A kind of page, and how it is read: the rows of Pillow's OPEN_INFO that lead to colours. */
interface Kind {
  readonly photometric: readonly number[];
  readonly format: readonly number[];
  readonly bits: readonly number[];
  readonly samples: readonly number[];
  readonly read: Reader;
}

const kinds: readonly Kind[] = [
  { photometric: [0, 1], format: [1], bits: [1, 2, 4], samples: [1], read: readGrey },
  { photometric: [0, 1], format: [1], bits: [8], samples: [1, 2], read: readGrey },
  // Signed bytes are taken as they lie.
  { photometric: [1], format: [2], bits: [8], samples: [1], read: readGrey },
  { photometric: [6], format: [1], bits: [8], samples: [1], read: readGrey },
  { photometric: [1], format: [1], bits: [12, 16], samples: [1], read: readWideGrey },
  { photometric: [1], format: [1], bits: [32], samples: [1], read: readClipped },
  { photometric: [1], format: [2], bits: [16, 32], samples: [1], read: readClipped },
  { photometric: [0, 1], format: [3], bits: [32], samples: [1], read: readClipped },
  { photometric: [2], format: [1], bits: [8], samples: [3, 4, 5, 6], read: readRgb },
  { photometric: [2], format: [1], bits: [16], samples: [3, 4], read: readRgb },
  { photometric: [3], format: [1], bits: [1, 2, 4], samples: [1], read: readPalette },
  { photometric: [3], format: [1], bits: [8], samples: [1, 2], read: readPalette },
  { photometric: [5], format: [1], bits: [8], samples: [4, 5, 6], read: readCmyk },
  { photometric: [5], format: [1], bits: [16], samples: [4], read: readCmyk },
];

/** The colours of a page. Throws `UnsupportedImage` for a kind that Pillow shows no colours of. */
export function readColours(file: Uint8Array, page: Page): PageColours {
  const kind = kinds.find(
    ({ photometric, format, bits, samples }) =>
      photometric.includes(page.photometric) &&
      format.includes(page.sampleFormat) &&
      bits.includes(page.bits) &&
      samples.includes(page.samples),
  );
  if (kind) return kind.read(file, page);
  throw new UnsupportedImage(describePage(page));
}
