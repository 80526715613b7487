import type { ExplainedMap } from '../../../src/domain/explanation';
import { escapeMarkup } from '../../../src/domain/markup';
import { formatNumber } from '../../../src/domain/units';
import type { SeenImage } from '../../../src/tasks/run';
import { bitmapOf, drawScale } from '../../marks/heatmap';
import { overlayOf } from '../../marks/overlay';
import type { MapScale } from './mapScale';
import { drawExplained, mapBitmap, type MapLook } from './picture';

/** A map as it is drawn in a file. */
export interface SheetPart {
  readonly title: string;
  readonly seen: SeenImage;
  readonly map: ExplainedMap;
  readonly scale: MapScale;
}

export interface Sheet {
  readonly look: MapLook;
  readonly parts: readonly SheetPart[];
  /** Of all parts. */
  readonly caption: string;
}

/** Pixels; a file's size does not depend on the panel's. */
const size = { part: 480, gap: 16, line: 18, strip: 160, bar: 12, margin: 8 } as const;
/** Letters in a line of a part: of 13 pixels, few are wider than 7. */
const letters = Math.floor((size.part - 8) / 7);

interface Text {
  readonly text: string;
  readonly x: number;
  readonly y: number;
  readonly isBold?: boolean;
}
interface Bitmap {
  readonly canvas: HTMLCanvasElement;
  readonly x: number;
  readonly y: number;
}
interface Layout {
  readonly width: number;
  readonly height: number;
  readonly texts: readonly Text[];
  readonly bitmaps: readonly Bitmap[];
}

/** Words in lines of so many letters. */
export function wrapped(text: string, most: number): readonly string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    const longer = line === '' ? word : `${line} ${word}`;
    if (longer.length > most && line !== '') {
      lines.push(line);
      line = word;
    } else line = longer;
  }
  return [...lines, line];
}

/** Where everything lies, for a picture and for a drawing. */
function layoutOf({ look, parts, caption }: Sheet): Layout {
  const texts: Text[] = [];
  const bitmaps: Bitmap[] = [];
  let bottom = 0;
  parts.forEach(({ title, seen, map, scale }, index) => {
    const overlay = overlayOf(seen.size, seen.region, size.part, 2 * size.part);
    const image = bitmapOf(seen.pixels);
    const x = size.margin + index * (size.part + size.gap);
    let y = size.margin;
    const write = (text: string, isBold = false): void => {
      for (const line of wrapped(text, letters))
        texts.push({ text: line, x, y: (y += size.line) - 4, isBold });
    };
    write(title, true);
    const drawn = canvasOf(Math.round(overlay.width), Math.round(overlay.height), (context) =>
      drawExplained(context, overlay, image, mapBitmap(map, scale, look), look),
    );
    bitmaps.push({ canvas: drawn, x, y: y + 4 });
    y += drawn.height + 12;
    const low = formatNumber(scale.low);
    const left = x + 8 * low.length + 8;
    texts.push({ text: low, x, y: y + size.bar });
    const strip = canvasOf(size.strip, size.bar, (context) =>
      drawScale(context, scale.colours, { x: 0, y: 0, width: size.strip, height: size.bar }),
    );
    bitmaps.push({ canvas: strip, x: left, y: y + 2 });
    texts.push({ text: formatNumber(scale.high), x: left + size.strip + 8, y: y + size.bar });
    y += size.bar + 8;
    for (const line of [map.legend, scale.text, ...scale.notes]) write(line);
    bottom = Math.max(bottom, y);
  });
  const width = 2 * size.margin + parts.length * (size.part + size.gap) - size.gap;
  for (const line of wrapped(caption, Math.floor(width / 7)))
    texts.push({ text: line, x: size.margin, y: (bottom += size.line) });
  return { width, height: bottom + size.margin, texts, bitmaps };
}

function canvasOf(
  width: number,
  height: number,
  draw: (context: CanvasRenderingContext2D) => void,
): HTMLCanvasElement {
  const canvas = document.createElement('canvas');
  Object.assign(canvas, { width, height });
  const context = canvas.getContext('2d');
  if (!context) throw new Error('this window cannot draw: no 2d canvas');
  draw(context);
  return canvas;
}

/** The maps with their scales and captions as a PNG data URL. */
export function sheetPng(sheet: Sheet): string {
  const { width, height, texts, bitmaps } = layoutOf(sheet);
  const canvas = canvasOf(width, height, (context) => {
    context.fillStyle = '#ffffff';
    context.fillRect(0, 0, width, height);
    for (const bitmap of bitmaps) context.drawImage(bitmap.canvas, bitmap.x, bitmap.y);
    context.fillStyle = '#000000';
    for (const { text, x, y, isBold } of texts) {
      context.font = `${isBold ? 'bold ' : ''}13px sans-serif`;
      context.fillText(text, x, y);
    }
  });
  return canvas.toDataURL('image/png');
}

/** The same as an SVG: maps are bitmaps in it, words are words. */
export function sheetSvg(sheet: Sheet): string {
  const { width, height, texts, bitmaps } = layoutOf(sheet);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="13">`,
    `<rect width="100%" height="100%" fill="#ffffff"/>`,
    ...bitmaps.map(
      ({ canvas, x, y }) =>
        `<image x="${x}" y="${y}" width="${canvas.width}" height="${canvas.height}" href="${canvas.toDataURL('image/png')}"/>`,
    ),
    ...texts.map(
      ({ text, x, y, isBold }) =>
        `<text x="${x}" y="${y}"${isBold ? ' font-weight="bold"' : ''}>${escapeMarkup(text)}</text>`,
    ),
    '</svg>',
    '',
  ].join('\n');
}
