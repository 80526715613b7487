import type { Rectangle } from '../../src/domain/size';
import { at, largest } from '../../src/domain/lists';

/** One small map: of a layer's head. */
export interface TileKey {
  readonly layer: number;
  readonly head: number;
}

export interface PlacedTile extends TileKey {
  readonly box: Rectangle;
}

/** A number beside a row, over a column or under a tile. */
export interface TileLabel {
  readonly text: string;
  readonly x: number;
  readonly y: number;
  readonly align: 'right' | 'center';
}

/** Small multiples with their place in CSS pixels. */
export interface TileLayout {
  readonly tiles: readonly PlacedTile[];
  readonly labels: readonly TileLabel[];
  /** The heads of a layer stand in one row. */
  readonly inRows: boolean;
  /** Width of a tile. */
  readonly tile: number;
  readonly width: number;
  readonly height: number;
}

/** Room for small multiples; all the height that they need if it is undefined. */
export interface Room {
  readonly width: number;
  readonly height: number | undefined;
}

/** Widths of a tile in pixels: smaller ones show nothing, larger ones no more. */
const sides = { least: 8, most: 120, narrow: 72 } as const;
/** Places for the layers' numbers at the left, the heads' at the top, a name under a tile. */
const margins = { left: 24, top: 18, under: 14, band: 16 } as const;

/** Height up to which one band is enough where the height is free. */
const bandHeight = 560;

/** Of tiles that wide, every one, or every fifth, is numbered. */
const numberedEach = (tile: number): number => (tile >= 18 ? 1 : 5);

const gapOf = (tile: number): number => (tile >= 24 ? 4 : 2);

/** Tiles that are `across` to a row and `down` to a column, as large as the room is for. */
function fittingTile(across: number, down: number, aspect: number, { width, height }: Room): number {
  const wide = Math.floor(width / across) - gapOf(width / across);
  if (height === undefined) return Math.min(sides.narrow, wide);
  const each = height / down;
  return Math.min(sides.most, wide, Math.floor((each - gapOf(each)) / aspect));
}

const boundedAspect = (aspect: number): number => Math.min(2, Math.max(0.2, aspect));

/**
 * Layers as rows, heads as columns. Many layers of few heads go on in further bands beside the
 * first, whichever number of bands makes the largest tiles.
 *
 * @param heads how many heads each layer has
 * @param aspect height of the maps over their width
 * @param layers which layers they are; all from the first on if it is left out
 */
export function matrixLayout(
  heads: readonly number[],
  aspect: number,
  room: Room,
  layers: readonly number[] = heads.map((_, layer) => layer),
): TileLayout {
  const columns = largest([1, ...heads]);
  const top = columns > 1 ? margins.top : 0;
  const ratio = boundedAspect(aspect);
  const tried = bandsToTry(heads.length, columns, ratio, room).map((bands) => {
    const rows = Math.ceil(heads.length / bands);
    const width = (room.width - (bands - 1) * margins.band) / bands - margins.left;
    const height = room.height === undefined ? undefined : room.height - top;
    return { rows, tile: fittingTile(columns, rows, ratio, { width, height }) };
  });
  // One below the other is easier to read than a little larger.
  const most = largest(tried.map((each) => each.tile));
  const best = tried.find((each) => each.tile >= 0.8 * most) ?? at(tried, 0);
  const { rows } = best;
  const tile = Math.max(sides.least, best.tile);
  const [gap, tileHeight] = [gapOf(tile), Math.max(1, Math.round(tile * ratio))];
  const band = margins.left + columns * (tile + gap) + margins.band;
  const tiles = heads.flatMap((count, row) =>
    Array.from({ length: count }, (_, head): PlacedTile => {
      const x = Math.floor(row / rows) * band + margins.left + head * (tile + gap);
      return {
        layer: at(layers, row),
        head,
        box: { x, y: top + (row % rows) * (tileHeight + gap), width: tile, height: tileHeight },
      };
    }),
  );
  const bands = Math.max(1, Math.ceil(heads.length / rows));
  return {
    tiles,
    inRows: true,
    labels: [...layerLabels(tiles, tile), ...(top > 0 ? headLabels(tiles, tile, top) : [])],
    tile,
    width: bands * band - margins.band,
    height: top + rows * (tileHeight + gap),
  };
}

/**
 * Any number of bands where the height is given. Where it is free, as many as there is room for
 * beside each other, if one would be much too high.
 */
function bandsToTry(layers: number, columns: number, ratio: number, room: Room): readonly number[] {
  if (room.height !== undefined) return Array.from({ length: Math.max(1, layers) }, (_, index) => index + 1);
  const tile = fittingTile(columns, layers, ratio, { ...room, width: room.width - margins.left });
  const step = tile + gapOf(tile);
  const wanted = Math.ceil((layers * step * ratio) / bandHeight);
  const fitting = Math.floor((room.width + margins.band) / (margins.left + columns * step + margins.band));
  return [Math.max(1, Math.min(wanted, fitting))];
}

const layerLabels = (tiles: readonly PlacedTile[], tile: number): readonly TileLabel[] =>
  tiles
    .filter(({ layer, head }) => head === 0 && layer % numberedEach(tile) === 0)
    .map(({ layer, box }) => ({
      text: String(layer),
      x: box.x - 6,
      y: box.y + box.height / 2,
      align: 'right',
    }));

/** Over each column of each band, though the first layer may have fewer heads. */
function headLabels(tiles: readonly PlacedTile[], tile: number, top: number): readonly TileLabel[] {
  const columns = new Map(tiles.map(({ head, box }) => [box.x, { head, box }] as const));
  return [...columns.values()]
    .filter(({ head }) => head % numberedEach(tile) === 0)
    .map(({ head, box }) => ({ text: String(head), x: box.x + box.width / 2, y: top / 2, align: 'center' }));
}

/** Tiles one after the other in rows, each with its name under it where there is room. */
export function flowLayout(
  order: readonly TileKey[],
  nameOf: (tile: TileKey) => string,
  aspect: number,
  room: Room,
): TileLayout {
  const ratio = boundedAspect(aspect);
  const count = Math.max(1, order.length);
  const sizeOf = (columns: number): number => {
    const rows = Math.ceil(count / columns);
    const height = room.height === undefined ? undefined : room.height - rows * margins.under;
    return fittingTile(columns, rows, ratio, { width: room.width, height });
  };
  const columns =
    room.height === undefined
      ? Math.min(count, Math.max(1, Math.floor(room.width / (sides.narrow + gapOf(sides.narrow)))))
      : Array.from({ length: count }, (_, index) => index + 1).reduce((most, next) =>
          sizeOf(next) > sizeOf(most) ? next : most,
        );
  const tile = Math.max(sides.least, sizeOf(columns));
  const [gap, tileHeight] = [gapOf(tile), Math.max(1, Math.round(tile * ratio))];
  const under = tile >= 24 ? margins.under : 0;
  const tiles = order.map((key, place): PlacedTile => ({
    ...key,
    box: {
      x: (place % columns) * (tile + gap),
      y: Math.floor(place / columns) * (tileHeight + gap + under),
      width: tile,
      height: tileHeight,
    },
  }));
  const labels = tiles.map((each): TileLabel => {
    const { x, y, width, height } = each.box;
    return { text: nameOf(each), x: x + width / 2, y: y + height + under / 2 + 1, align: 'center' };
  });
  return {
    tiles,
    inRows: false,
    labels: under > 0 ? labels : [],
    tile,
    width: columns * (tile + gap),
    height: Math.ceil(count / columns) * (tileHeight + gap + under),
  };
}

/** The tile under a point; undefined between tiles. */
export const tileUnder = ({ tiles }: TileLayout, x: number, y: number): PlacedTile | undefined =>
  tiles.find(({ box }) => x >= box.x && x < box.x + box.width && y >= box.y && y < box.y + box.height);

/** Frames around the tiles of a layer, or of one head: one where the layer's stand in a row. */
export function framesOf(
  { tiles, inRows }: TileLayout,
  layer: number,
  head: number | undefined,
): readonly Rectangle[] {
  const boxes = tiles
    .filter((tile) => tile.layer === layer && (head === undefined || tile.head === head))
    .map(({ box }) => box);
  const [first, last] = [boxes[0], boxes.at(-1)];
  if (!first || !last || !inRows) return boxes;
  return [{ x: first.x, y: first.y, width: last.x + last.width - first.x, height: first.height }];
}
