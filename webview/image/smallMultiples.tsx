import { largest } from '../../src/domain/lists';
import type { AttentionRows } from '../../src/domain/query';
import type { Grid, Size, Rectangle } from '../../src/domain/size';
import type { VNode } from 'preact';
import { useLayoutEffect, useMemo, useRef } from 'preact/hooks';
import type { ColourMap } from '../../src/attention/colourMaps';
import type { HeadChoice } from '../../src/attention/heads';
import { tileOf, type KeyMap } from '../../src/attention/reading';
import { sameCell, type Cell } from '../../src/attention/tokenLayout';
import type { Probe } from '../../src/domain/probes';
import { formatNumber, formatPercent } from '../../src/domain/units';
import { heatBitmap, heatPainter, prepare } from '../marks/heatmap';
import {
  flowLayout,
  framesOf,
  matrixLayout,
  tileUnder,
  type PlacedTile,
  type Room,
  type TileKey,
  type TileLayout,
} from '../marks/tiles';
import { useTheme } from '../kit/hooks';
import { headSummaries, summaryText } from './headSummary';
import { layerMap } from './keyMap';
import { colouredValues, headCount, headMaps, scaleRange, type Range } from './scale';

export interface SmallMultiplesProps {
  readonly answer: AttentionRows;
  readonly probes: readonly Probe[];
  /** Colour scale of each layer; undefined if every map has its own. */
  readonly shared: readonly Range[] | undefined;
  readonly colourMap: ColourMap;
  /** Of the model's input, in pixels. */
  readonly inputSize: Size;
  readonly layout: TileLayout;
  readonly layer: number;
  readonly head: HeadChoice;
  /** Name of the query that the maps are of. */
  readonly query: string;
  /** Patch to light up in every tile, and the grid it counts on. */
  readonly hovered: Cell | undefined;
  readonly hoveredGrid: Grid | undefined;
  /** The tile that is pointed at, here or in another drawing of the same heads. */
  readonly pointed: TileKey | undefined;
  readonly onPoint: (tile: TileKey | undefined) => void;
  readonly onChoose: (layer: number, head: number) => void;
}

/** Where the small maps stand in a room: in their order, or where no layer has heads, in rows. */
export function tileLayout(
  answer: AttentionRows,
  probes: readonly Probe[],
  sorted: readonly TileKey[] | undefined,
  room: Room,
): TileLayout {
  const layers = answeredLayers(answer, probes);
  const heads = layers.map((layer) => headCount(answer, probes, layer));
  const aspect = aspectOf(answer, probes);
  if (sorted) {
    const answered = sorted.filter(({ layer }) => layers.includes(layer));
    return flowLayout(answered, ({ layer, head }) => `${layer}.${head}`, aspect, room);
  }
  if (largest([1, ...heads]) > 1) return matrixLayout(heads, aspect, room, layers);
  const tiles = layers.map((layer) => ({ layer, head: 0 }));
  return flowLayout(tiles, ({ layer }) => String(layer), aspect, room);
}

/** An object query is asked of a decoder alone: layers without it take no place. */
export const answeredLayers = (answer: AttentionRows, probes: readonly Probe[]): readonly number[] =>
  probes.flatMap((_, layer) =>
    answer.method === 'rollout' || (answer.rows[layer]?.length ?? 0) > 0 ? [layer] : [],
  );

interface DrawnTile extends PlacedTile {
  readonly map: KeyMap;
  readonly grid: Grid;
  /** The part of its box that the map fills. */
  readonly fitted: Rectangle;
}

/** Every head of every layer; the chosen one framed, the one that is pointed at enlarged. */
export function SmallMultiples(props: SmallMultiplesProps): VNode {
  const { answer, probes, shared, colourMap, layout, layer, head, pointed, onPoint } = props;
  const maps = useRef<HTMLCanvasElement>(null);
  const marks = useRef<HTMLCanvasElement>(null);
  const theme = useTheme();
  const tiles = useMemo(() => drawnTiles(answer, probes, layout), [answer, probes, layout]);
  useLayoutEffect(() => {
    if (maps.current) drawTiles(maps.current, tiles, layout, shared, colourMap);
  }, [tiles, shared, colourMap, theme]);
  useLayoutEffect(() => {
    if (marks.current) drawTileMarks(marks.current, tiles, props);
  });

  const heads = largest([1, ...probes.map((probe) => probe.heads)]);
  const under = (event: MouseEvent): PlacedTile | undefined => {
    const box = (maps.current as HTMLCanvasElement).getBoundingClientRect();
    return tileUnder(layout, event.clientX - box.left, event.clientY - box.top);
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    const next = movedTile(layout, layer, typeof head === 'number' ? head : 0, event.key);
    if (!next) return;
    event.preventDefault();
    event.stopPropagation();
    props.onChoose(next.layer, next.head);
  };
  const enlarged =
    pointed && tiles.find((tile) => tile.layer === pointed.layer && tile.head === pointed.head);
  return (
    <div
      class="multiples"
      role="application"
      tabIndex={0}
      aria-label={`Attention of ${probes.length} layers and ${heads} heads, query: ${props.query}; arrow keys choose one. Layer ${layer}, head ${head} is shown.`}
      onKeyDown={onKeyDown}
      onPointerMove={(event) => onPoint(under(event))}
      onPointerLeave={() => onPoint(undefined)}
      onClick={(event) => {
        const tile = under(event);
        if (tile) props.onChoose(tile.layer, tile.head);
      }}
    >
      <canvas ref={maps} aria-hidden="true" />
      <canvas ref={marks} class="marks" aria-hidden="true" />
      {enlarged && <Enlarged tile={enlarged} {...props} />}
    </div>
  );
}

const STEPS: Readonly<Record<string, readonly [x: number, y: number]>> = {
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
};

/** The nearest tile in the direction of an arrow key. */
function movedTile(layout: TileLayout, layer: number, head: number, key: string): PlacedTile | undefined {
  const step = STEPS[key];
  const from = layout.tiles.find((tile) => tile.layer === layer && tile.head === head);
  if (!step || !from) return undefined;
  const along = ({ box }: PlacedTile): number =>
    (box.x - from.box.x) * step[0] + (box.y - from.box.y) * step[1];
  const aside = ({ box }: PlacedTile): number =>
    Math.abs((box.x - from.box.x) * step[1]) + Math.abs((box.y - from.box.y) * step[0]);
  const ahead = layout.tiles.filter((tile) => along(tile) > 0 && aside(tile) < 1);
  return ahead.length > 0
    ? ahead.reduce((near, next) => (along(next) < along(near) ? next : near))
    : undefined;
}

/** Pixels of an enlarged tile, and of the lines under it. */
const LARGE = 200;
const CAPTION = 104;

/** A tile as large as it takes to see its patches, beside itself, with its numbers. */
function Enlarged(props: SmallMultiplesProps & { readonly tile: DrawnTile }): VNode {
  const { tile, answer, probes, shared, colourMap, layout, inputSize } = props;
  const canvas = useRef<HTMLCanvasElement>(null);
  const [rows, columns] = tile.grid;
  const scale = LARGE / Math.max(rows, columns);
  const [width, height] = [columns * scale, rows * scale];
  useLayoutEffect(() => {
    const context = canvas.current && prepare(canvas.current, width, height);
    if (!context) return;
    context.imageSmoothingEnabled = false;
    const range = scaleRange(shared, tile.layer, tile.map);
    const bitmap = heatBitmap(colouredValues(tile.map), tile.grid, { ...range, map: colourMap });
    context.drawImage(bitmap, 0, 0, width, height);
  }, [tile, shared, colourMap]);
  const { box } = tile;
  const right = box.x + box.width + 8;
  const left = right + width + 24 > layout.width && box.x > width + 24 ? box.x - width - 24 : right;
  const top = Math.max(0, Math.min(box.y, layout.height - height - CAPTION));
  const summaries = headSummaries(answer, probes, tile.layer, inputSize);
  const summary = summaries[tile.head];
  return (
    <div class="enlarged" style={{ left: `${left}px`, top: `${top}px` }}>
      <canvas ref={canvas} aria-hidden="true" />
      <p>
        <strong>
          layer {tile.layer}
          {summary && `, head ${tile.head}`}
        </strong>
      </p>
      {summary && (
        <p class="quiet" style={{ maxWidth: `${LARGE}px` }}>
          {summaryText(summaries, tile.head).replace(/^[^:]*: /, '')}, largest {formatNumber(summary.maximum)}
          {summary.special > 0 && `, ${formatPercent(summary.special)} on special tokens`}
        </p>
      )}
    </div>
  );
}

function drawnTiles(
  answer: AttentionRows,
  probes: readonly Probe[],
  layout: TileLayout,
): readonly DrawnTile[] {
  const maps = probes.map((_, layer) => headMaps(answer, probes, layer));
  return layout.tiles.flatMap((tile): readonly DrawnTile[] => {
    const map = maps[tile.layer]?.[tile.head];
    if (!map) return [];
    const grid = gridOf(map);
    return [{ ...tile, map, grid, fitted: fitted(grid, tile.box) }];
  });
}

/** Height over width of the first map that there is: layers of one model are drawn alike. */
function aspectOf(answer: AttentionRows, probes: readonly Probe[]): number {
  const map = layerMap(
    answer,
    probes,
    Math.max(
      0,
      answer.rows.findIndex((row) => row.length > 0),
    ),
    0,
  );
  const [rows, columns] = map ? gridOf(map) : [1, 1];
  return rows / columns;
}

function gridOf(map: KeyMap): Grid {
  const { rows, columns } = tileOf(map);
  return [rows, Math.max(1, columns)];
}

function fitted([rows, columns]: Grid, box: Rectangle): Rectangle {
  const cell = Math.min(box.width / columns, box.height / rows);
  const [width, height] = [cell * columns, cell * rows];
  return { x: box.x + (box.width - width) / 2, y: box.y + (box.height - height) / 2, width, height };
}

function drawTiles(
  canvas: HTMLCanvasElement,
  tiles: readonly DrawnTile[],
  layout: TileLayout,
  shared: readonly Range[] | undefined,
  map: ColourMap,
): void {
  const context = prepare(canvas, layout.width, layout.height);
  if (!context) return;
  const style = getComputedStyle(canvas);
  context.imageSmoothingEnabled = false;
  const paint = heatPainter();
  // The frame shows how far a map reaches whose rest is empty, and dark colours on a dark ground.
  context.strokeStyle = style.getPropertyValue('--strong-line');
  for (const { map: keys, layer, grid, fitted: box } of tiles) {
    context.strokeRect(box.x - 0.5, box.y - 0.5, box.width + 1, box.height + 1);
    paint(context, colouredValues(keys), grid, { ...scaleRange(shared, layer, keys), map }, box);
  }
  context.fillStyle = style.color;
  context.font = `11px ${style.fontFamily}`;
  context.textBaseline = 'middle';
  for (const { text, x, y, align } of layout.labels) {
    context.textAlign = align;
    context.fillText(text, x, y);
  }
}

/** Pixels of the mark of a patch in a small tile: any smaller would not be seen. */
const LIT = 3;

function drawTileMarks(
  canvas: HTMLCanvasElement,
  tiles: readonly DrawnTile[],
  { layout, layer, head, hovered, hoveredGrid, probes, answer, pointed }: SmallMultiplesProps,
): void {
  const context = prepare(canvas, layout.width, layout.height);
  if (!context) return;
  if (hovered && hoveredGrid) {
    context.lineWidth = 1;
    context.strokeStyle = '#ffffff';
    context.fillStyle = '#000000';
    for (const { map, fitted: box, grid } of tiles) {
      if (!map.image) continue;
      const { row, column } = sameCell(hovered, hoveredGrid, grid);
      const [width, height] = [box.width / grid[1], box.height / grid[0]];
      const size = Math.max(LIT, width);
      const [x, y] = [box.x + (column + 0.5) * width - size / 2, box.y + (row + 0.5) * height - size / 2];
      context.fillRect(x - 1, y - 1, size + 2, size + 2);
      context.strokeRect(x, y, size, size);
    }
  }
  const single = answer.method === 'raw' && (probes[layer]?.heads ?? 1) > 1 && typeof head === 'number';
  const focus = getComputedStyle(canvas).getPropertyValue('--focus');
  frameTiles(context, layout, layer, single ? head : undefined, focus, 2);
  if (pointed) frameTiles(context, layout, pointed.layer, pointed.head, focus, 1);
}

function frameTiles(
  context: CanvasRenderingContext2D,
  layout: TileLayout,
  layer: number,
  head: number | undefined,
  colour: string,
  width: number,
): void {
  context.lineWidth = width;
  context.strokeStyle = colour;
  for (const box of framesOf(layout, layer, head))
    context.strokeRect(box.x - 1, box.y - 1, box.width + 2, box.height + 2);
}
