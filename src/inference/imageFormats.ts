/**
 * The image formats that decode, told by their first bytes; no native code, so that menus and tests
 * can read it.
 */

export interface ImageFormat {
  readonly name: string;
  readonly extensions: readonly string[];
  readonly matches: (head: Uint8Array) => boolean;
  /** Width and height as the header declares them, where they lie at a fixed place. */
  readonly declared?: (head: DataView) => readonly [width: number, height: number];
}

const ascii = (head: Uint8Array, from: number, to: number) =>
  Buffer.from(head.subarray(from, to)).toString('latin1');
const startsWith =
  (...bytes: readonly number[]) =>
  (head: Uint8Array) =>
    bytes.every((byte, i) => head[i] === byte);

export const imageFormats: readonly ImageFormat[] = [
  { name: 'JPEG', extensions: ['.jpg', '.jpeg', '.jpe', '.jfif'], matches: startsWith(0xff, 0xd8, 0xff) },
  {
    name: 'PNG',
    extensions: ['.png'],
    matches: startsWith(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a),
    declared: (head) => [head.getUint32(16), head.getUint32(20)],
  },
  {
    name: 'WebP',
    extensions: ['.webp'],
    matches: (head) => ascii(head, 0, 4) === 'RIFF' && ascii(head, 8, 12) === 'WEBP',
  },
  {
    name: 'GIF',
    extensions: ['.gif'],
    matches: (head) => /^GIF8[79]a$/.test(ascii(head, 0, 6)),
    declared: (head) => [head.getUint16(6, true), head.getUint16(8, true)],
  },
  {
    name: 'TIFF',
    extensions: ['.tif', '.tiff'],
    matches: (head) => /^(II[*+]\0|MM\0[*+])$/.test(ascii(head, 0, 4)),
  },
  {
    name: 'AVIF',
    extensions: ['.avif'],
    matches: (head) => ascii(head, 4, 8) === 'ftyp' && /avi[fs]/.test(ascii(head, 8, 32)),
  },
  {
    name: 'BMP',
    extensions: ['.bmp'],
    matches: startsWith(0x42, 0x4d),
    // OS/2's first header is shorter, and its sides are of 16 bits.
    declared: (head) =>
      head.getUint32(14, true) === 12
        ? [head.getUint16(18, true), head.getUint16(20, true)]
        : [head.getUint32(18, true), Math.abs(head.getInt32(22, true))],
  },
  {
    name: 'NumPy',
    extensions: ['.npy'],
    matches: (head) => head[0] === 0x93 && ascii(head, 1, 6) === 'NUMPY',
  },
];

/** Extensions of the files that decode, lower case with the dot: what menus offer. */
export const imageExtensions: readonly string[] = imageFormats.flatMap(({ extensions }) => extensions);

/** Formats that are images to a person, and why they are none here. */
const refused: readonly { readonly matches: RegExp; readonly text: string }[] = [
  {
    matches: /^\s*(<\?xml[^>]*>\s*)?(<!--[\s\S]*?-->\s*)*<(!DOCTYPE\s+svg|svg)\b/i,
    text: 'an SVG drawing, not pixels',
  },
  { matches: /^%PDF/, text: 'a PDF document' },
  { matches: /^[\s\S]{4}ftyp(heic|heix|hevc|mif1|msf1)/, text: 'a HEIC image, which is not decoded here' },
  { matches: /^8BPS/, text: 'a Photoshop document' },
  { matches: /^P[1-7FfyY]\s/, text: 'a Netpbm image (PBM, PGM, PPM, PAM), which is not decoded here' },
  {
    matches: /^(\0\0\0\x0cjP {2}\r\n\x87\n|\xff\x4f\xff\x51)/,
    text: 'a JPEG 2000 image, which is not decoded here',
  },
  { matches: /^(\0\0\0\x0cJXL \r\n\x87\n|\xff\x0a)/, text: 'a JPEG XL image, which is not decoded here' },
  { matches: /^\0\0[\x01\x02]\0[^\0]/, text: 'an icon or a cursor (ICO, CUR), which is not decoded here' },
  { matches: /^(#\?RADIANCE|#\?RGBE)/, text: 'a Radiance HDR image, which is not decoded here' },
  { matches: /^\x76\x2f\x31\x01/, text: 'an OpenEXR image, which is not decoded here' },
  { matches: /^\x1f\x8b/, text: 'a file compressed with gzip' },
  { matches: /^[\s\S]{128}DICM/, text: 'a DICOM image, which is not decoded here' },
  { matches: /^\x89HDF\r\n\x1a\n/, text: 'an HDF5 file' },
  { matches: /^SIMPLE {2}=/, text: 'a FITS image, which is not decoded here' },
];

/**
 * Those of pictures: an array may hold anything, so that only one that is picked by hand is taken
 * for an image.
 */
export const pictureExtensions: readonly string[] = imageFormats
  .filter(({ name }) => name !== 'NumPy')
  .flatMap(({ extensions }) => extensions);

/** What a file of no supported format is. */
export function describeUnsupported(head: Uint8Array): string {
  const text = ascii(head, 0, head.length);
  const known = refused.find(({ matches }) => matches.test(text));
  const names = imageFormats.map(({ name }) => name).join(', ');
  const what = known ? `this is ${known.text}` : 'its first bytes are of no image format known here';
  return `unsupported format: ${what}; supported are ${names}. Convert it to PNG or JPEG.`;
}
