/**
 * How an AVIF file stores its colours, by which libheif's decoding differs from libavif's, which is
 * Pillow's.
 */

/** Boxes of the description lie in front of the image; published files need less than 4 KB. */
const headBytes = 65_536;

/** Places behind a box's name. */
function* boxes(head: Buffer, name: string): Generator<number> {
  for (let at = head.indexOf(name); at >= 0; at = head.indexOf(name, at + 1)) yield at + name.length;
}

/**
 * Subsampling of the chroma in AV1's configuration: `4:2:0`, `4:2:2`; undefined if there is a value
 * for every pixel, or none as in grey images and alpha.
 */
function subsamplingOf(head: Buffer): string | undefined {
  for (const at of boxes(head, 'av1C')) {
    const flags = head[at + 2] ?? 0;
    const isGrey = (flags & 0x10) !== 0;
    if (!isGrey && (flags & 0x08) !== 0) return (flags & 0x04) !== 0 ? '4:2:0' : '4:2:2';
  }
  return undefined;
}

/** Whether colours are said to take the whole range of values. */
function isFullRange(head: Buffer): boolean {
  for (const at of boxes(head, 'colrnclx')) if (((head[at + 6] ?? 0) & 0x80) !== 0) return true;
  return false;
}

/**
 * What differs from Pillow's decoding. Chroma of fewer values than pixels is repeated here and
 * interpolated there: up to 160 levels at hard edges, up to 10 elsewhere. Values of a limited range
 * are rounded otherwise: up to 3 levels.
 */
export function avifNotes(bytes: Buffer): readonly string[] {
  const head = bytes.subarray(0, headBytes);
  const subsampling = subsamplingOf(head);
  if (subsampling)
    return [
      `AVIF with chroma of ${subsampling}: not decoded exactly as Pillow does, colours at hard edges differ`,
    ];
  return isFullRange(head) ? [] : ["AVIF of a limited range: up to 3 of 255 levels from Pillow's decoding"];
}
