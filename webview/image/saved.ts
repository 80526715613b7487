import { guessesOf } from '../../src/tasks/answer';
import type { Query } from '../../src/domain/query';
import type { Run } from '../../src/tasks/run';
import type { KeyMap } from '../../src/attention/reading';
import { formatNumber } from '../../src/domain/units';
import { bitmapOf, drawMarks, drawImageAndMap, drawScale, heatBitmap, unseenBitmap } from '../marks/heatmap';
import { overlayOf } from '../marks/overlay';
import { isAsked, queryName } from './keyMap';
import { queryGridOf } from './imageView';
import { scaleText, subjectOf, type Range } from './scale';
import type { Chosen } from './settings';

const CAPTION = 48;
const WIDTH = 960;

/** `layer 5 of 0 … 5, mean of heads, query: class token`. */
export function describe(view: Run, chosen: Chosen): string {
  const probe = view.probes[chosen.layer];
  const head = typeof chosen.head === 'number' ? `head ${chosen.head}` : `${chosen.head} of heads`;
  const what = chosen.method === 'rollout' ? 'rollout' : probe?.heads === 1 ? probe.layer : head;
  const query =
    probe && !isAsked(probe) ? '' : `, query: ${queryName(chosen.query, guessesOf(view.answer), probe)}`;
  return `layer ${chosen.layer} of 0 … ${view.probes.length - 1}, ${what}${query}`;
}

/**
 * `cat-attention.png`, `cat-attention-patch-3-7.png`: maps of several patches lie side by side in a
 * folder.
 */
export function fileName(image: string, query: Query): string {
  const stem = stemOf(image);
  const patch = query.kind === 'patch' ? `-patch-${query.row}-${query.column}` : '';
  const object = query.kind === 'query' ? `-query-${query.index}` : '';
  const token = query.kind === 'token' ? `-token-${query.index}` : '';
  return `${stem}-attention${patch}${object}${token}.png`;
}

const stemOf = (image: string): string => (image.split(/[\\/]/).at(-1) ?? image).replace(/\.[^.]+$/, '');

/** `cat.txt`, `cat-boxes.csv`: an answer's file beside its image. */
export const answerFileName = (image: string, ending: string): string =>
  `${stemOf(image)}${ending.includes('.') ? '-' : '.'}${ending}`;

/**
 * The image with its map, scale and caption as a PNG data URL, at a size that does not depend on
 * the panel's. A map without a place on the image stands alone.
 */
export function pictureFile(view: Run, map: KeyMap, range: Range, chosen: Chosen): string {
  const overlay = overlayOf(view.seen.size, view.seen.region, WIDTH, 2 * WIDTH);
  const height = map.matrix ? Math.max(24, (WIDTH * map.matrix.rows) / map.matrix.columns) : overlay.height;
  const canvas = document.createElement('canvas');
  canvas.width = map.matrix ? WIDTH : Math.round(overlay.width);
  canvas.height = Math.round(height) + CAPTION;
  const context = canvas.getContext('2d');
  if (!context) throw new Error('this window cannot draw: no 2d canvas');
  if (map.matrix) {
    const { rows, columns, values } = map.matrix;
    context.imageSmoothingEnabled = false;
    context.drawImage(
      heatBitmap(values, [rows, columns], { ...range, map: chosen.colourMap }),
      0,
      0,
      WIDTH,
      height,
    );
  } else drawOverImage(context, view, map, range, chosen);
  drawCaption(context, view, range, chosen, canvas);
  return canvas.toDataURL('image/png');
}

function drawOverImage(
  context: CanvasRenderingContext2D,
  view: Run,
  map: KeyMap,
  range: Range,
  chosen: Chosen,
): void {
  const overlay = overlayOf(view.seen.size, view.seen.region, WIDTH, 2 * WIDTH);
  const grid = map.image && ([map.image.rows, map.image.columns] as const);
  const heat =
    map.image &&
    grid &&
    heatBitmap(map.image.values, grid, { ...range, map: chosen.colourMap, fade: chosen.fade });
  drawImageAndMap(context, overlay, {
    image: bitmapOf(view.seen.pixels),
    heat,
    unseen: map.image && grid && unseenBitmap(map.image.values, grid),
    opacity: chosen.opacity,
    smooth: chosen.smooth,
  });
  const { query } = chosen;
  drawMarks(
    context,
    overlay,
    queryGridOf(view.probes[chosen.layer]),
    query.kind === 'patch' ? query : undefined,
    grid,
    undefined,
  );
}

function drawCaption(
  context: CanvasRenderingContext2D,
  view: Run,
  range: Range,
  chosen: Chosen,
  { width, height }: HTMLCanvasElement,
): void {
  const top = height - CAPTION;
  context.fillStyle = '#ffffff';
  context.fillRect(0, top, width, CAPTION);
  context.fillStyle = '#000000';
  context.font = '13px sans-serif';
  context.textBaseline = 'middle';
  context.fillText(`${view.modelTitle}, ${describe(view, chosen)}`, 8, top + 14, width - 16);
  const low = formatNumber(range.low);
  context.fillText(low, 8, top + 34);
  const left = 16 + context.measureText(low).width;
  drawScale(context, chosen.colourMap, { x: left, y: top + 28, width: 160, height: 12 });
  context.fillText(
    `${formatNumber(range.high)}   ${scaleText(chosen.scale, subjectOf(chosen.method, chosen.head), range, view.probes[chosen.layer]?.heads)}`,
    left + 168,
    top + 34,
    width - left - 176,
  );
}

/**
 * The weights as tab-separated text with a head that says what they are: special tokens first, then
 * the grid's rows.
 */
export function numbersText(view: Run, map: KeyMap, chosen: Chosen): string {
  const lines = [`# ${view.seen.image}`, `# ${view.modelTitle}, ${describe(view, chosen)}`];
  for (const { name, value } of map.special) lines.push(`${name}\t${value}`);
  const weights = map.image ?? map.matrix;
  if (weights) {
    const { rows, columns, values } = weights;
    for (let row = 0; row < rows; row++)
      lines.push([...values.subarray(row * columns, (row + 1) * columns)].join('\t'));
  }
  return lines.join('\n');
}
