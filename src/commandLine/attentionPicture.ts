import { writeFile } from 'node:fs/promises';
import type { Run, SeenImage } from '../tasks/run';
import type { AttentionRows, Method } from '../domain/query';
import sharp from 'sharp';
import { paint } from '../attention/colourMaps';
import { reduceHeads, type HeadChoice } from '../attention/heads';
import { splitKeys, tileOf, type ImageMap } from '../attention/reading';
import { at, largest } from '../domain/lists';
import { type Probe, chainLength } from '../domain/probes';
import { UsageError } from './usage';

export interface DrawOptions {
  readonly layer: string;
  readonly head: string;
  readonly method: Method;
  /** Path of the PNG. */
  readonly out: string;
}

export interface Drawn {
  /** Lowest and highest weight: the ends of the colour scale, shared by all maps of the picture. */
  readonly range: readonly [number, number];
  readonly layer: string;
  readonly head: string;
}

const colours = 'viridis';
/** Opacity of the map over the image, and of the black that dims what the model did not see. */
const opacity = { map: 0.65, outside: 0.5 } as const;
/** Pixels of a patch and of the gap between the small maps when all are drawn. */
const small = { patch: 6, gap: 4 } as const;

/**
 * Draws one map over the image, or all of a layer or head as a grid of small maps on one scale,
 * as a PNG file.
 */
export async function drawAttention(view: Run, answer: AttentionRows, options: DrawOptions): Promise<Drawn> {
  const layers = chooseLayers(view.probes, options);
  const found = layers.map((layer) => mapsOf(at(view.probes, layer), answer, layer, options));
  const maps = found.filter((heads) => heads.length > 0);
  if (maps.length === 0) throw nothingToDraw(view.probes, layers, options);
  const finite = maps.flat().flatMap(({ values }) => [...values].filter(Number.isFinite));
  if (finite.length === 0) throw new Error('the attention holds no numbers (NaN): the weights are damaged');
  const range = finite.reduce<[number, number]>(
    ([low, high], value) => [Math.min(low, value), Math.max(high, value)],
    [Infinity, -Infinity],
  );
  const [first, ...others] = maps.flat();
  await (first?.onImage && others.length === 0
    ? drawOver(view, first, range, options.out)
    : drawGrid(maps, range, options.out));
  return {
    range,
    layer: options.layer === 'all' ? 'all' : String(layers[0]),
    head: options.method === 'rollout' ? 'mean' : options.head,
  };
}

/**
 * The layers to draw, from 0. A rollout has only the first ones: those whose tokens attend to the
 * same tokens.
 */
function chooseLayers(
  probes: readonly Probe[],
  { layer, method }: Pick<DrawOptions, 'layer' | 'method'>,
): readonly number[] {
  const count = method === 'rollout' ? chainLength(probes) : probes.length;
  if (count === 0)
    throw new Error('no layer attends from its tokens to the same tokens; --method raw has maps');
  if (layer === 'all') return Array.from({ length: count }, (_, index) => index);
  const index = layer === 'last' ? count - 1 : Number(layer);
  if (!Number.isInteger(index) || index < 0 || index >= count)
    throw new UsageError(
      `--layer ${layer}: last, all or 0 … ${count - 1} needed${method === 'rollout' ? ' for a rollout' : ''}`,
    );
  return [index];
}

/** A map to draw, over the image or, of channels and the like, by itself. */
interface Drawing extends ImageMap {
  readonly onImage: boolean;
}

/**
 * The maps of one layer: each head, their mean or maximum, or the rollout up to it; none if it
 * has no such query or head.
 */
function mapsOf(
  probe: Probe,
  answer: AttentionRows,
  layer: number,
  { head, method }: DrawOptions,
): readonly Drawing[] {
  const rows = at(answer.rows, layer);
  if (rows.length === 0) return [];
  const choices = method === 'rollout' ? [undefined] : headsOf(probe, head);
  return choices.map((choice) =>
    drawingOf(probe, choice === undefined ? rows : reduceHeads(rows, probe.heads, choice)),
  );
}

function headsOf({ heads }: Probe, head: string): readonly HeadChoice[] {
  if (head === 'mean' || head === 'max') return [head];
  if (head === 'all') return Array.from({ length: heads }, (_, index) => index);
  const index = Number(head);
  return Number.isInteger(index) && index >= 0 && index < heads ? [index] : [];
}

function drawingOf(probe: Probe, keys: Float32Array): Drawing {
  const map = splitKeys(probe, keys);
  return { ...tileOf(map), onImage: map.image !== undefined };
}

/** Why none of the chosen layers has a map. */
function nothingToDraw(probes: readonly Probe[], layers: readonly number[], { head }: DrawOptions): Error {
  const chosen = layers.map((layer) => at(probes, layer));
  const most = largest(chosen.map(({ heads }) => heads));
  if (chosen.every((probe) => headsOf(probe, head).length === 0))
    return new UsageError(`--head ${head}: mean, max, all or 0 … ${most - 1} needed`);
  return new Error(`${at(chosen, 0).layer}: no attention from this query; choose another --query or --layer`);
}

async function drawOver(
  { seen }: Run,
  map: ImageMap,
  [low, high]: readonly [number, number],
  out: string,
): Promise<void> {
  await writeFile(out, await overImage(seen, map, paint(map.values, low, high, colours)));
}

/** A map in colours (RGBA, cell by cell) over the image as it was decoded, as PNG. */
export async function overImage(
  { pixels, size, region }: SeenImage,
  map: ImageMap,
  colour: Uint8ClampedArray,
): Promise<Buffer> {
  const scale = pixels.width / size[0];
  const rgb = Buffer.from(pixels.rgb);
  for (let y = 0, to = 0; y < pixels.height; y++)
    for (let x = 0; x < pixels.width; x++, to += 3) {
      const column = Math.floor((((x + 0.5) / scale - region.x) / region.width) * map.columns);
      const row = Math.floor((((y + 0.5) / scale - region.y) / region.height) * map.rows);
      const inside = row >= 0 && row < map.rows && column >= 0 && column < map.columns;
      const cell = row * map.columns + column;
      // What lies outside of the query's window was no more seen than what lies outside of the
      // crop.
      const isSeen = inside && !Number.isNaN(map.values[cell]);
      const share = isSeen ? opacity.map : opacity.outside;
      for (let channel = 0; channel < 3; channel++) {
        const over = isSeen ? (colour[4 * cell + channel] ?? 0) : 0;
        rgb[to + channel] = Math.round((rgb[to + channel] ?? 0) * (1 - share) + over * share);
      }
    }
  return sharp(rgb, { raw: { width: pixels.width, height: pixels.height, channels: 3 } })
    .png()
    .toBuffer();
}

/**
 * Layers as rows, heads as columns, each map as large as the largest, which has `small.patch`
 * pixels a patch.
 */
async function drawGrid(
  maps: readonly (readonly ImageMap[])[],
  [low, high]: readonly [number, number],
  out: string,
): Promise<void> {
  const most = (side: (map: ImageMap) => number): number => largest(maps.flat().map(side));
  const box = { width: most(({ columns }) => columns), height: most(({ rows }) => rows) };
  const cell = { width: box.width * small.patch + small.gap, height: box.height * small.patch + small.gap };
  const tiles = maps.flatMap((heads, row) =>
    heads.map(async ({ rows, columns, values }, column) => {
      const pixels = Buffer.from(paint(values, low, high, colours).buffer);
      const scale = small.patch * Math.min(box.width / columns, box.height / rows);
      const input = await sharp(pixels, { raw: { width: columns, height: rows, channels: 4 } })
        .resize(Math.round(columns * scale), Math.round(rows * scale), { kernel: 'nearest', fit: 'fill' })
        .png()
        .toBuffer();
      return { input, left: column * cell.width + small.gap, top: row * cell.height + small.gap };
    }),
  );
  const width = largest(maps.map((heads) => heads.length)) * cell.width + small.gap;
  const height = maps.length * cell.height + small.gap;
  const canvas = sharp({ create: { width, height, channels: 3, background: '#ffffff' } });
  await canvas
    .composite(await Promise.all(tiles))
    .png()
    .toFile(out);
}
