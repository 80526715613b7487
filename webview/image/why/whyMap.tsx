import type { ComponentChildren, VNode } from 'preact';
import { useLayoutEffect, useMemo, useRef } from 'preact/hooks';
import type { ExplainedMap } from '../../../src/domain/explanation';
import type { Grid, Rectangle } from '../../../src/domain/size';
import type { SeenImage } from '../../../src/tasks/run';
import { useWidth } from '../../kit/elements';
import { bitmapOf, frame, prepare } from '../../marks/heatmap';
import { overlayOf, type Overlay } from '../../marks/overlay';
import type { MapScale } from './mapScale';
import { drawExplained, mapBitmap, type MapLook } from './picture';

/** A place on what the model saw, in shares of its height and width: maps of any grid have it. */
export interface Cursor {
  readonly y: number;
  readonly x: number;
}

export interface WhyMapProps {
  readonly seen: SeenImage;
  /** Nothing is drawn over the image until there is one. */
  readonly map: ExplainedMap | undefined;
  readonly scale: MapScale | undefined;
  readonly look: MapLook;
  /** Height of the image at most, in CSS pixels. */
  readonly highest: number;
  readonly cursor: Cursor | undefined;
  readonly onCursor: (cursor: Cursor | undefined) => void;
  /** A place was chosen by a click, or by Enter at the cursor. */
  readonly onPick?: ((place: Cursor) => void) | undefined;
  /** The chosen place, which stays marked. */
  readonly picked?: Cursor | undefined;
  /** Answers whether the key was one of the view's. */
  readonly onKey: (key: string) => boolean;
  readonly label: string;
  readonly children?: ComponentChildren;
}

/** The image with a map, and the cell under the cursor that all maps share. */
export function WhyMap(props: WhyMapProps): VNode {
  const { seen, map, scale, look, highest, cursor, onCursor, onPick, picked, onKey, label, children } = props;
  const place = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const marks = useRef<HTMLCanvasElement>(null);
  const width = useWidth(place);
  const overlay = useMemo(
    () => overlayOf(seen.size, seen.region, Math.max(1, width), highest),
    [seen, width, highest],
  );
  const image = useMemo(() => bitmapOf(seen.pixels), [seen]);
  const heat = useMemo(
    () => map && scale && mapBitmap(map, scale, look),
    [map, scale, look.smooth, look.fade],
  );
  useLayoutEffect(() => {
    const context = width > 0 && canvas.current && prepare(canvas.current, overlay.width, overlay.height);
    if (context) drawExplained(context, overlay, image, heat, look);
  }, [overlay, image, heat, look.opacity, width]);
  useLayoutEffect(() => {
    const context = width > 0 && marks.current && prepare(marks.current, overlay.width, overlay.height);
    if (!context) return;
    if (picked) frame(context, cursorBox(overlay, map?.grid, picked), 1);
    if (cursor) frame(context, cursorBox(overlay, map?.grid, cursor), 1);
  }, [overlay, map, cursor, picked, width]);

  const placeOf = (event: MouseEvent): Cursor | undefined => {
    const box = (marks.current as HTMLCanvasElement).getBoundingClientRect();
    const { region } = overlay;
    const y = (event.clientY - box.top - region.y) / region.height;
    const x = (event.clientX - box.left - region.x) / region.width;
    return y >= 0 && y < 1 && x >= 0 && x < 1 ? { y, x } : undefined;
  };
  return (
    <div ref={place} class="image">
      <div
        class="image-stack"
        role="application"
        aria-roledescription="image with a map"
        tabIndex={0}
        aria-label={label}
        onPointerMove={(event) => onCursor(placeOf(event))}
        onClick={(event) => {
          const place = placeOf(event);
          if (place) onPick?.(place);
        }}
        onPointerLeave={() => onCursor(undefined)}
        onKeyDown={(event) => {
          if (event.ctrlKey || event.metaKey || event.altKey) return;
          const moved = movedCursor(event.key, cursor, map?.grid);
          if (moved) onCursor(moved.cursor);
          else if (event.key === 'Enter' && cursor && onPick) onPick(cursor);
          else if (!onKey(event.key)) return;
          event.preventDefault();
        }}
      >
        <canvas ref={canvas} />
        <canvas ref={marks} class="marks" />
      </div>
      {children}
    </div>
  );
}

/** Cells smaller than this are marked by a box of this side, in CSS pixels. */
const leastBox = 8;
/** Steps of the arrow keys across a map that has finer cells than that. */
const mostSteps = 32;

/** Row and column of a map under the cursor. */
export const cellOf = ([rows, columns]: Grid, { y, x }: Cursor) => ({
  row: Math.min(rows - 1, Math.floor(y * rows)),
  column: Math.min(columns - 1, Math.floor(x * columns)),
});

function cursorBox({ region }: Overlay, grid: Grid | undefined, cursor: Cursor): Rectangle {
  const [rows, columns] = grid ?? [mostSteps, mostSteps];
  const { row, column } = cellOf([rows, columns], cursor);
  const [width, height] = [region.width / columns, region.height / rows];
  const [wide, high] = [Math.max(leastBox, width), Math.max(leastBox, height)];
  return {
    x: region.x + (column + 0.5) * width - wide / 2,
    y: region.y + (row + 0.5) * height - high / 2,
    width: wide,
    height: high,
  };
}

const arrows: Readonly<Record<string, readonly [rows: number, columns: number]>> = {
  ArrowUp: [-1, 0],
  ArrowDown: [1, 0],
  ArrowLeft: [0, -1],
  ArrowRight: [0, 1],
};

/** What a key makes of the cursor; undefined for keys that are not its own. */
export function movedCursor(
  key: string,
  cursor: Cursor | undefined,
  grid: Grid = [mostSteps, mostSteps],
): { readonly cursor: Cursor | undefined } | undefined {
  if (key === 'Escape') return { cursor: undefined };
  const arrow = arrows[key];
  if (!arrow) return undefined;
  const [rows, columns] = [Math.min(mostSteps, grid[0]), Math.min(mostSteps, grid[1])];
  // The first arrow key enters the image in its middle.
  if (!cursor)
    return {
      cursor: { y: (Math.floor(rows / 2) + 0.5) / rows, x: (Math.floor(columns / 2) + 0.5) / columns },
    };
  const step = (at: number, by: number, count: number): number =>
    (Math.min(count - 1, Math.max(0, Math.floor(at * count) + by)) + 0.5) / count;
  return { cursor: { y: step(cursor.y, arrow[0], rows), x: step(cursor.x, arrow[1], columns) } };
}
