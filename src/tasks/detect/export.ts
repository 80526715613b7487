import type { Size } from '../../domain/size';
import type { Box } from '../answer';

/** Boxes of one image, as files of other tools have them. */
export interface BoxesOfImage {
  /** Name of the image's file. */
  readonly image: string;
  /** Height and width of the image in pixels. */
  readonly size: Size;
  readonly boxes: readonly Box[];
}

/** A file's name without its folders. */
export const baseName = (path: string): string => path.split(/[\\/]/).at(-1) ?? path;

/** Corners cut at the image's edges; undefined if nothing of the box lies inside. */
export function clippedBox([x0, y0, x1, y1]: Box['box'], [height, width]: Size): Box['box'] | undefined {
  const inside = (value: number, side: number): number => Math.min(Math.max(value, 0), side);
  const cut = [inside(x0, width), inside(y0, height), inside(x1, width), inside(y1, height)] as const;
  return cut[2] > cut[0] && cut[3] > cut[1] ? cut : undefined;
}

/**
 * A data set of one image as annotation tools open it (cocodataset.org, "Data format"): a box is
 * left, top, width and height in pixels, not cut at the image's edges; categories have the numbers
 * of the model's classes.
 */
export function cocoText({ image, size: [height, width], boxes }: BoxesOfImage): string {
  const categories = new Map(boxes.map(({ label, name }) => [label, { id: label, name }] as const));
  const set = {
    images: [{ id: 1, file_name: image, width, height }],
    annotations: boxes.map(({ label, score, box: [x0, y0, x1, y1] }, index) => ({
      id: index + 1,
      image_id: 1,
      category_id: label,
      bbox: [x0, y0, x1 - x0, y1 - y0],
      area: (x1 - x0) * (y1 - y0),
      iscrowd: 0,
      score,
    })),
    categories: [...categories.values()].sort((left, right) => left.id - right.id),
  };
  return `${JSON.stringify(set, undefined, 2)}\n`;
}

const csvColumns = ['image', 'class', 'name', 'score', 'x0', 'y0', 'x1', 'y1', 'query'] as const;

/** Quotes a cell with commas or quotes; makes text of what a spreadsheet took for a formula. */
function csvCell(value: string | number): string {
  if (typeof value === 'number') return String(value);
  const text = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** A table with a line for each box, corners in pixels as the model has them. */
export function csvText({ image, boxes }: BoxesOfImage): string {
  const rows = boxes.map(({ label, name, score, box, query }) => [image, label, name, score, ...box, query]);
  return [csvColumns, ...rows].map((row) => `${row.map(csvCell).join(',')}\n`).join('');
}

/**
 * A label file of YOLO: class, centre x and y, width and height in shares of the image, and the
 * score. Boxes are cut at the image's edges; one that lies outside is left out.
 */
export function yoloText({ size, boxes }: BoxesOfImage): string {
  const [height, width] = size;
  return boxes
    .flatMap(({ label, score, box }) => {
      const cut = clippedBox(box, size);
      if (!cut) return [];
      const [x0, y0, x1, y1] = cut;
      const shares = [(x0 + x1) / 2 / width, (y0 + y1) / 2 / height, (x1 - x0) / width, (y1 - y0) / height];
      return [`${label} ${[...shares, score].map((share) => share.toFixed(6)).join(' ')}\n`];
    })
    .join('');
}
