/** TIFF files: colours as Pillow reads them, and bands as they are stored. */
import type { RgbImage } from '../../../preprocessing/resize';
import { upright } from '../orientation';
import type { Page } from './directory';
import { readColours } from './rgb';

export { bandCounts, decodeBands, describeBands, wholePages } from './bands';
export { compressionName, hasCodec } from './codecs';
export { readPages, type Page } from './directory';
export { describePage } from './rgb';

/** A page as 8-bit RGB, turned upright: Pillow does it to TIFF files alone while it loads them. */
export function decodePage(file: Uint8Array, page: Page): RgbImage & { readonly notes: readonly string[] } {
  const { width, height, orientation } = page;
  const { rgb, notes } = readColours(file, page);
  return { ...upright({ width, height, rgb }, orientation), notes };
}
