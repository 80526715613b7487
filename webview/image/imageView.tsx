import type { Run } from '../../src/tasks/run';
import type { Pixels } from '../../src/domain/pixels';
import type { Query } from '../../src/domain/query';
import type { Grid } from '../../src/domain/size';
import type { ComponentChildren, VNode } from 'preact';
import { useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';
import { queryGrid, type KeyMap } from '../../src/attention/reading';
import type { Cell } from '../../src/attention/tokenLayout';
import type { Probe } from '../../src/domain/probes';
import {
  bitmapOf,
  drawMarks,
  drawImageAndMap,
  drawWanted,
  heatBitmap,
  prepare,
  unseenBitmap,
} from '../marks/heatmap';
import { cellAt, cellRectangle, overlayOf, type Overlay } from '../marks/overlay';
import type { SampledPoint } from '../../src/attention/sampling';
import { SamplingPoints } from '../marks/samplingPoints';
import { useWidth } from '../kit/elements';
import type { Range } from './scale';
import type { Chosen } from './settings';

export interface ImageViewProps {
  readonly view: Run;
  /** What is shown of it: the image, or one frame of a clip. */
  readonly pixels: Pixels;
  readonly probe: Probe | undefined;
  readonly map: KeyMap | undefined;
  readonly range: Range;
  /** Of what is drawn. */
  readonly chosen: Chosen;
  /** The query whose map is on its way. */
  readonly wanted: Query | undefined;
  /** Says so over the image. */
  readonly children?: ComponentChildren;
  /** Height of the image at most, in CSS pixels. */
  readonly highest: number;
  readonly hovered: Cell | undefined;
  readonly onHover: (cell: Cell | undefined) => void;
  /** Told what a click would ask. */
  readonly onAim: (query: Query | undefined) => void;
  readonly onQuery: (query: Query) => void;
  /** Rows and columns of the patches that a click can ask for. */
  readonly patches: Grid | undefined;
  /** What is drawn of the answer; it answers whether a click on it was for it. */
  readonly drawing?: AnswerDrawing | undefined;
  /** What clicks and drags give to the model; with Alt they ask for a patch all the same. */
  readonly giving?: Giving | undefined;
  /** Places that the query looks at, if its attention has some. */
  readonly points?: readonly SampledPoint[] | undefined;
  readonly onKey: (key: string) => boolean;
  /** Says what the image shows, for those who do not see it. */
  readonly label: string;
}

/** An answer's own drawing on the image, and what the pointer does on it. */
export interface AnswerDrawing {
  readonly draw: (place: Overlay) => VNode;
  readonly onPoint: (place: Overlay, x: number, y: number) => void;
  readonly onLeave: () => void;
  /** What a click asks of it; a patch is asked for if nothing. */
  readonly queryAt: (place: Overlay, x: number, y: number) => Query | undefined;
}

/** A point of the drawing in CSS pixels. */
export type Place = readonly [x: number, y: number];

/** What clicks, drags and keys on the image give to the model. */
export interface Giving {
  readonly onClick: (place: Overlay, at: Place, isShift: boolean) => void;
  readonly onDrag: (place: Overlay, from: Place, to: Place) => void;
  readonly onUndo: (() => void) | undefined;
  readonly onClear: () => void;
  readonly draw: (place: Overlay) => VNode;
}

/** Pixels that the pointer moves in a click at most; more is a drag. */
const slip = 4;

/**
 * The image as decoded with the chosen map over what the model saw. A click makes a patch the
 * query.
 */
export function ImageView(props: ImageViewProps): VNode {
  const { view, pixels, probe, map, range, chosen, hovered, highest } = props;
  const place = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const marks = useRef<HTMLCanvasElement>(null);
  const width = useWidth(place);
  const overlay = useMemo(
    () => overlayOf(view.seen.size, view.seen.region, Math.max(1, width), highest),
    [view, width, highest],
  );
  const image = useMemo(() => bitmapOf(pixels), [pixels]);
  const keyGrid: Grid | undefined = map?.image && [map.image.rows, map.image.columns];
  const heat = useMemo(
    () =>
      map?.image &&
      heatBitmap(map.image.values, [map.image.rows, map.image.columns], {
        ...range,
        map: chosen.colourMap,
        fade: chosen.fade,
      }),
    [map, range.low, range.high, chosen.colourMap, chosen.fade],
  );

  const unseen = useMemo(
    () => map?.image && unseenBitmap(map.image.values, [map.image.rows, map.image.columns]),
    [map],
  );

  useLayoutEffect(() => {
    const context = width > 0 && canvas.current && prepare(canvas.current, overlay.width, overlay.height);
    if (context)
      drawImageAndMap(context, overlay, {
        image,
        heat,
        unseen,
        opacity: chosen.opacity,
        smooth: chosen.smooth,
      });
  }, [overlay, image, heat, unseen, chosen.opacity, chosen.smooth, width]);
  useLayoutEffect(() => {
    const context = width > 0 && marks.current && prepare(marks.current, overlay.width, overlay.height);
    if (!context) return;
    const { query } = chosen;
    drawMarks(
      context,
      overlay,
      queryGridOf(probe),
      query.kind === 'patch' ? query : undefined,
      keyGrid,
      hovered,
    );
    const grid = queryGridOf(probe);
    if (props.wanted?.kind === 'patch' && grid) drawWanted(context, overlay, grid, props.wanted);
  }, [overlay, chosen.query, props.wanted, hovered, probe, map, width]);

  const placeOf = (event: MouseEvent): Place => {
    const box = (marks.current as HTMLCanvasElement).getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  const cellUnder = (event: MouseEvent, grid: Grid | undefined): Cell | undefined =>
    grid && cellAt(overlay, grid, ...placeOf(event));
  const { drawing, giving, patches } = props;
  /** What a click asks: with Shift the patch, whatever lies on it. */
  const queryUnder = (event: MouseEvent): Query | undefined => {
    const drawn = event.shiftKey ? undefined : drawing?.queryAt(overlay, ...placeOf(event));
    const cell = cellUnder(event, patches);
    return drawn ?? (cell && { kind: 'patch', ...cell, grid: patches });
  };
  const drag = useDrag(placeOf, (from, to) => giving?.onDrag(overlay, from, to));
  const onKeyOfGiving = ({ key, shiftKey }: KeyboardEvent): boolean => {
    const grid = queryGridOf(probe);
    const { query } = chosen;
    if (key === 'Enter' && giving && grid && query.kind === 'patch') {
      const { x, y, width: wide, height: high } = cellRectangle(overlay, grid, query);
      giving.onClick(overlay, [x + wide / 2, y + high / 2], shiftKey);
    } else if (key === 'Backspace') giving?.onUndo?.();
    else if (key === 'Delete') giving?.onClear();
    else return false;
    return giving !== undefined;
  };
  return (
    <div ref={place} class="image">
      <div
        class="image-stack"
        role="application"
        aria-roledescription="image with attention"
        tabIndex={0}
        aria-label={props.label}
        onPointerDown={(event) => {
          if (giving && !event.altKey && event.button === 0) drag.start(event);
        }}
        onPointerUp={drag.end}
        onPointerCancel={drag.giveUp}
        onPointerMove={(event) => {
          drag.move(event);
          props.onHover(cellUnder(event, keyGrid));
          props.onAim(giving ? undefined : queryUnder(event));
          drawing?.onPoint(overlay, ...placeOf(event));
        }}
        onPointerLeave={() => {
          props.onHover(undefined);
          props.onAim(undefined);
          drawing?.onLeave();
        }}
        onClick={(event) => {
          // The end of a drag is a click as well.
          if (drag.wasDragged()) return;
          if (giving && !event.altKey) {
            giving.onClick(overlay, placeOf(event), event.shiftKey);
            return;
          }
          const query = queryUnder(event);
          if (query) props.onQuery(query);
        }}
        onKeyDown={(event) => {
          if (event.ctrlKey || event.metaKey || event.altKey) return;
          if (onKeyOfGiving(event) || props.onKey(event.key)) event.preventDefault();
        }}
      >
        <canvas ref={canvas} />
        <canvas ref={marks} class="marks" />
        {width > 0 && drawing?.draw(overlay)}
        {width > 0 && giving?.draw(overlay)}
        {drag.drawn}
        {width > 0 && props.points && <SamplingPoints points={props.points} place={overlay} />}
      </div>
      {props.children}
    </div>
  );
}

export const queryGridOf = (probe: Probe | undefined): Grid | undefined => probe && queryGrid(probe);

/** A rectangle that is drawn while the pointer is dragged, and handed on when it is let go. */
function useDrag(placeOf: (event: MouseEvent) => Place, onDrag: (from: Place, to: Place) => void) {
  const from = useRef<Place | undefined>(undefined);
  const dragged = useRef(false);
  const [to, setTo] = useState<Place>();
  const [x0, y0] = from.current ?? [0, 0];
  const giveUp = (): void => {
    from.current = undefined;
    setTo(undefined);
  };
  return {
    start(event: PointerEvent): void {
      from.current = placeOf(event);
      dragged.current = false;
    },
    move(event: PointerEvent): void {
      if (!from.current) return;
      const [x, y] = placeOf(event);
      if (!to && Math.hypot(x - x0, y - y0) <= slip) return;
      // From here on, the pointer may leave the image.
      if (!to) (event.currentTarget as Element).setPointerCapture(event.pointerId);
      setTo([x, y]);
    },
    end(event: PointerEvent): void {
      const start = from.current;
      if (start && to) {
        dragged.current = true;
        onDrag(start, placeOf(event));
      }
      giveUp();
    },
    giveUp,
    /** Whether the click that comes now is the end of a drag. */
    wasDragged(): boolean {
      const was = dragged.current;
      dragged.current = false;
      return was;
    },
    drawn: to && (
      <div
        class="dragged"
        style={{
          left: `${Math.min(x0, to[0])}px`,
          top: `${Math.min(y0, to[1])}px`,
          width: `${Math.abs(to[0] - x0)}px`,
          height: `${Math.abs(to[1] - y0)}px`,
        }}
      />
    ),
  };
}
