import sharp from 'sharp';
import { paint } from '../attention/colourMaps';
import { chainLength } from '../attention/rollout';
import { reduceHeads, type HeadChoice } from '../attention/heads';
import { splitKeys, type PictureMap } from '../attention/tokenLayout';
import { tokenCount, type Probe } from '../protocol/probes';
import type { AttentionRows, ClassifiedView } from '../protocol/imagePanel';
import { UsageError } from './usage';

export interface DrawOptions {
  readonly layer: string;
  readonly head: string;
  readonly method: 'raw' | 'rollout';
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
/** Opacity of the map over the picture, and of the black that dims what the model did not see. */
const opacity = { map: 0.65, outside: 0.5 } as const;
/** Pixels of a patch and of the gap between the small maps when all are drawn. */
const small = { patch: 6, gap: 4 } as const;

/** Draws one map over the picture, or all of a layer or head as a grid of small maps on one scale, as a PNG file. */
export async function drawAttention(
  view: ClassifiedView,
  answer: AttentionRows,
  options: DrawOptions,
): Promise<Drawn> {
  const layers = chooseLayers(view.probes, options);
  const maps = layers.map((layer) => mapsOf(view.probes[layer]!, answer, layer, options));
  const finite = maps.flat().flatMap(({ values }) => [...values].filter(Number.isFinite));
  if (finite.length === 0) throw new Error('the attention holds no numbers (NaN): the weights are damaged');
  const range = finite.reduce<[number, number]>(
    ([low, high], value) => [Math.min(low, value), Math.max(high, value)],
    [Infinity, -Infinity],
  );
  const single = maps.length === 1 && maps[0]!.length === 1;
  await (single ? drawOver(view, maps[0]![0]!, range, options.out) : drawGrid(maps, range, options.out));
  return {
    range,
    layer: options.layer === 'all' ? 'all' : String(layers[0]),
    head: options.method === 'rollout' ? 'mean' : options.head,
  };
}

/** The layers to draw, from 0. A rollout has only the first ones: those whose tokens attend to the same tokens. */
function chooseLayers(
  probes: readonly Probe[],
  { layer, method }: Pick<DrawOptions, 'layer' | 'method'>,
): readonly number[] {
  if (probes.length === 0) throw new Error('the model has no attention');
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

/** The maps of one layer: each head, their mean or maximum, or the rollout up to it. */
function mapsOf(
  probe: Probe,
  answer: AttentionRows,
  layer: number,
  { head, method }: DrawOptions,
): readonly PictureMap[] {
  const place = (keys: Float32Array): PictureMap => pictureOf(probe, keys);
  if (method === 'rollout') return [place(answer.rollout[layer]!)];
  const rows = answer.rows[layer]!;
  const single = (choice: HeadChoice): PictureMap => place(reduceHeads(rows, probe.heads, choice));
  if (head === 'all') return Array.from({ length: probe.heads }, (_, index) => single(index));
  if (head === 'mean' || head === 'max') return [single(head)];
  const index = Number(head);
  if (!Number.isInteger(index) || index < 0 || index >= probe.heads)
    throw new UsageError(`--head ${head}: mean, max, all or 0 … ${probe.heads - 1} needed`);
  return [single(index)];
}

/** The part of a row of keys that lies on the picture. */
function pictureOf(probe: Probe, keys: Float32Array): PictureMap {
  if (keys.length === 0)
    throw new Error(`${probe.layer}: no attention from this query; choose another --query or --layer`);
  const { picture } = splitKeys(probe, keys);
  if (!picture)
    throw new Error(`${probe.layer}: its keys (${tokenCount(probe.keys)}) have no place on the picture`);
  return picture;
}

async function drawOver(
  { picture, size, region }: ClassifiedView,
  map: PictureMap,
  [low, high]: readonly [number, number],
  out: string,
): Promise<void> {
  const scale = picture.width / size[0];
  const colour = paint(map.values, low, high, colours);
  const rgb = Buffer.from(picture.rgb);
  for (let y = 0, at = 0; y < picture.height; y++)
    for (let x = 0; x < picture.width; x++, at += 3) {
      const column = Math.floor((((x + 0.5) / scale - region.x) / region.width) * map.columns);
      const row = Math.floor((((y + 0.5) / scale - region.y) / region.height) * map.rows);
      const inside = row >= 0 && row < map.rows && column >= 0 && column < map.columns;
      const share = inside ? opacity.map : opacity.outside;
      for (let channel = 0; channel < 3; channel++) {
        const over = inside ? colour[4 * (row * map.columns + column) + channel]! : 0;
        rgb[at + channel] = Math.round(rgb[at + channel]! * (1 - share) + over * share);
      }
    }
  await sharp(rgb, { raw: { width: picture.width, height: picture.height, channels: 3 } })
    .png()
    .toFile(out);
}

/** Layers as rows, heads as columns. */
async function drawGrid(
  maps: readonly (readonly PictureMap[])[],
  [low, high]: readonly [number, number],
  out: string,
): Promise<void> {
  const cell = {
    width: maps[0]![0]!.columns * small.patch + small.gap,
    height: maps[0]![0]!.rows * small.patch + small.gap,
  };
  const tiles = maps.flatMap((heads, row) =>
    heads.map(async ({ rows, columns, values }, column) => {
      const pixels = Buffer.from(paint(values, low, high, colours).buffer);
      const input = await sharp(pixels, { raw: { width: columns, height: rows, channels: 4 } })
        .resize(columns * small.patch, rows * small.patch, { kernel: 'nearest' })
        .png()
        .toBuffer();
      return { input, left: column * cell.width + small.gap, top: row * cell.height + small.gap };
    }),
  );
  const width = Math.max(...maps.map((heads) => heads.length)) * cell.width + small.gap;
  const height = maps.length * cell.height + small.gap;
  const canvas = sharp({ create: { width, height, channels: 3, background: '#ffffff' } });
  await canvas
    .composite(await Promise.all(tiles))
    .png()
    .toFile(out);
}
