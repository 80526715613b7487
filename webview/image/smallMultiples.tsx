import { largest } from '../../src/domain/lists';
import type { AttentionRows, Method } from '../../src/domain/query';
import type { Grid, Size } from '../../src/domain/size';
import type { VNode } from 'preact';
import { useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { ColourMap } from '../../src/attention/colourMaps';
import type { HeadChoice } from '../../src/attention/heads';
import { tileOf, type KeyMap } from '../../src/attention/reading';
import { sameCell, type Cell } from '../../src/attention/tokenLayout';
import type { Probe } from '../../src/domain/probes';
import { heatBitmap, prepare } from '../marks/heatmap';
import { layoutTiles, tileAt, tileBox, type Rectangle, type TileLayout } from '../marks/overlay';
import { useWidth } from '../kit/elements';
import { useTheme } from '../kit/hooks';
import { headSummaries, summaryText } from './headSummary';
import { colouredValues, headMaps, scaleRange, type Range } from './scale';

export interface SmallMultiplesProps {
  readonly answer: AttentionRows;
  readonly probes: readonly Probe[];
  /** Colour scale of each layer; undefined if every map has its own. */
  readonly shared: readonly Range[] | undefined;
  readonly method: Method;
  readonly colourMap: ColourMap;
  /** Of the model's input, in pixels. */
  readonly inputSize: Size;
  readonly layer: number;
  readonly head: HeadChoice;
  /** Name of the query that the maps are of. */
  readonly query: string;
  /** Patch to light up in every tile, and the grid it counts on. */
  readonly hovered: Cell | undefined;
  readonly hoveredGrid: Grid | undefined;
  readonly onChoose: (layer: number, head: number) => void;
}

interface Tile {
  readonly box: Rectangle;
  readonly grid: Grid;
  readonly bitmap: HTMLCanvasElement;
}

/** Every head of every layer: layers as rows, heads as columns; the chosen one framed. */
export function SmallMultiples(props: SmallMultiplesProps): VNode {
  const { answer, probes, shared, method, colourMap, layer, head } = props;
  const place = useRef<HTMLDivElement>(null);
  const maps = useRef<HTMLCanvasElement>(null);
  const marks = useRef<HTMLCanvasElement>(null);
  const [tip, setTip] = useState('');
  const width = useWidth(place);
  const theme = useTheme();
  const heads = method === 'rollout' ? 1 : largest([1, ...probes.map((probe) => probe.heads)]);
  const layout = useMemo(
    () => layoutTiles(probes.length, heads, width, aspectOf(answer, probes)),
    [answer, probes, heads, width],
  );
  const tiles = useMemo(
    () => tilesOf(answer, probes, shared, colourMap, layout),
    [answer, probes, shared, colourMap, layout],
  );

  useLayoutEffect(() => {
    if (width > 0 && maps.current) drawTiles(maps.current, tiles, layout, probes.length);
  }, [tiles, theme, width]);
  useLayoutEffect(() => {
    if (place.current) keepInView(place.current, tileBox(layout, layer, 0));
  }, [layout, layer]);
  useLayoutEffect(() => {
    if (width > 0 && marks.current) drawTileMarks(marks.current, tiles, layout, props);
  });

  const choose = (nextLayer: number, nextHead: number): void => {
    const probe = probes[nextLayer];
    if (probe && nextHead >= 0 && nextHead < (method === 'rollout' ? 1 : probe.heads))
      props.onChoose(nextLayer, nextHead);
  };
  const tileUnder = (event: MouseEvent): ReturnType<typeof tileAt> => {
    const box = (maps.current as HTMLCanvasElement).getBoundingClientRect();
    return tileAt(layout, event.clientX - box.left, event.clientY - box.top);
  };
  const describeTile = (event: PointerEvent): void => {
    const tile = method === 'rollout' ? undefined : tileUnder(event);
    const summaries = tile ? headSummaries(answer, probes, tile.layer, props.inputSize) : [];
    setTip(
      tile && summaries[tile.head] ? `layer ${tile.layer + 1}, ${summaryText(summaries, tile.head)}` : '',
    );
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    const at = typeof head === 'number' ? head : -1;
    const steps: Readonly<Record<string, readonly [number, number]>> = {
      ArrowUp: [layer - 1, Math.max(0, at)],
      ArrowDown: [layer + 1, Math.max(0, at)],
      ArrowLeft: [layer, at - 1],
      ArrowRight: [layer, at + 1],
    };
    const step = steps[event.key];
    if (!step) return;
    event.preventDefault();
    event.stopPropagation();
    choose(...step);
  };
  return (
    <div
      ref={place}
      class="multiples"
      role="group"
      tabIndex={0}
      aria-label={`Attention of ${probes.length} layers and ${heads} heads, query: ${props.query}; arrow keys choose one. Layer ${layer + 1}, head ${typeof head === 'number' ? head + 1 : head} is shown.`}
      title={tip || undefined}
      onKeyDown={onKeyDown}
      onPointerMove={describeTile}
      onClick={(event) => {
        const tile = tileUnder(event);
        if (tile) choose(tile.layer, tile.head);
      }}
    >
      <canvas ref={maps} aria-hidden="true" />
      <canvas ref={marks} class="marks" aria-hidden="true" />
    </div>
  );
}

function tilesOf(
  answer: AttentionRows,
  probes: readonly Probe[],
  shared: readonly Range[] | undefined,
  map: ColourMap,
  layout: TileLayout,
): readonly Tile[] {
  return probes.flatMap((_, layer) =>
    headMaps(answer, probes, layer).flatMap((keys, head) => {
      if (!keys) return [];
      const grid = gridOf(keys);
      const box = fitted(grid, tileBox(layout, layer, head));
      const range = scaleRange(shared, layer, keys);
      return [{ box, grid, bitmap: heatBitmap(colouredValues(keys), grid, { ...range, map }) }];
    }),
  );
}

/** Height over width of the first map that there is: layers of one model are drawn alike. */
function aspectOf(answer: AttentionRows, probes: readonly Probe[]): number {
  const first = probes.findIndex((_, layer) => headMaps(answer, probes, layer)[0] !== undefined);
  const [map] = headMaps(answer, probes, first);
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
  tiles: readonly Tile[],
  layout: TileLayout,
  layers: number,
): void {
  const context = prepare(canvas, layout.width, layout.height);
  if (!context) return;
  const style = getComputedStyle(canvas);
  context.imageSmoothingEnabled = false;
  // The frame shows how far a map reaches whose rest is empty, and dark colours on a dark ground.
  context.strokeStyle = style.getPropertyValue('--strong-line');
  for (const { bitmap, box } of tiles) {
    context.strokeRect(box.x - 0.5, box.y - 0.5, box.width + 1, box.height + 1);
    context.drawImage(bitmap, box.x, box.y, box.width, box.height);
  }
  context.fillStyle = style.color;
  context.font = `11px ${style.fontFamily}`;
  // Narrow tiles have room for every second or fifth number only.
  const every = layout.tile >= 20 ? 1 : 5;
  context.textBaseline = 'middle';
  context.textAlign = 'right';
  for (let layer = 0; layer < layers; layer++)
    if (layer % every === 0) {
      const { x, y, height } = tileBox(layout, layer, 0);
      context.fillText(String(layer + 1), x - 8, y + height / 2);
    }
  context.textAlign = 'center';
  for (let band = 0; band < layout.bands; band++)
    for (let head = 0; head < layout.heads && layout.heads > 1; head++)
      if (head % every === 0) {
        const { x, width } = tileBox(layout, band * layout.rows, head);
        context.fillText(String(head + 1), x + width / 2, layout.top / 2);
      }
}

/** Scrolls a list that is higher than its place so far that a row is seen. */
function keepInView(place: HTMLElement, { y, height }: Rectangle): void {
  const [first, last] = [place.scrollTop, place.scrollTop + place.clientHeight];
  if (y < first || y + height > last) place.scrollTop = y - (place.clientHeight - height) / 2;
}

function drawTileMarks(
  canvas: HTMLCanvasElement,
  tiles: readonly Tile[],
  layout: TileLayout,
  { probes, method, layer, head, hovered, hoveredGrid }: SmallMultiplesProps,
): void {
  const context = prepare(canvas, layout.width, layout.height);
  if (!context) return;
  // In a tile of a few pixels the mark would hide what it marks.
  if (hovered && hoveredGrid && layout.tile >= 24) {
    context.strokeStyle = '#ffffff';
    context.fillStyle = '#000000';
    for (const { box, grid } of tiles) {
      const { row, column } = sameCell(hovered, hoveredGrid, grid);
      const [width, height] = [box.width / grid[1], box.height / grid[0]];
      const size = Math.max(4, width);
      const [x, y] = [box.x + (column + 0.5) * width - size / 2, box.y + (row + 0.5) * height - size / 2];
      context.fillRect(x - 1, y - 1, size + 2, size + 2);
      context.strokeRect(x, y, size, size);
    }
  }
  const heads = method === 'rollout' ? 1 : (probes[layer]?.heads ?? 1);
  const [first, last] = typeof head === 'number' && heads > 1 ? [head, head] : [0, heads - 1];
  const { x, y, height } = tileBox(layout, layer, first);
  const end = tileBox(layout, layer, last);
  context.lineWidth = 2;
  context.strokeStyle = getComputedStyle(canvas).getPropertyValue('--focus');
  context.strokeRect(x - 2, y - 2, end.x + end.width - x + 4, height + 4);
}
