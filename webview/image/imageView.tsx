import type { Run } from '../../src/tasks/run';
import type { Query } from '../../src/domain/query';
import type { Grid } from '../../src/domain/size';
import type { ComponentChildren, VNode } from 'preact';
import { useLayoutEffect, useMemo, useRef } from 'preact/hooks';
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
import { cellAt, overlayOf, type Overlay } from '../marks/overlay';
import { useWidth } from '../kit/elements';
import type { Range } from './scale';
import type { Chosen } from './settings';

export interface ImageViewProps {
  readonly view: Run;
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
  readonly onQuery: (query: Query) => void;
  /** Rows and columns of the patches that a click can ask for. */
  readonly patches: Grid | undefined;
  /** What is drawn of the answer; it answers whether a click on it was for it. */
  readonly drawing?: AnswerDrawing | undefined;
  readonly onKey: (key: string) => boolean;
  /** Says what the image shows, for those who do not see it. */
  readonly label: string;
}

/** An answer's own drawing on the image, and what the pointer does on it. */
export interface AnswerDrawing {
  readonly draw: (place: Overlay) => VNode;
  readonly onPoint: (place: Overlay, x: number, y: number) => void;
  readonly onLeave: () => void;
  /** Returns whether something of it was chosen; a patch is asked for if not. */
  readonly onChoose: (place: Overlay, x: number, y: number) => boolean;
}

/**
 * The image as decoded with the chosen map over what the model saw. A click makes a patch the
 * query.
 */
export function ImageView(props: ImageViewProps): VNode {
  const { view, probe, map, range, chosen, hovered, highest } = props;
  const place = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const marks = useRef<HTMLCanvasElement>(null);
  const width = useWidth(place);
  const overlay = useMemo(
    () => overlayOf(view.seen.size, view.seen.region, Math.max(1, width), highest),
    [view, width, highest],
  );
  const image = useMemo(() => bitmapOf(view.seen.pixels), [view.seen.pixels]);
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

  const placeOf = (event: MouseEvent): readonly [x: number, y: number] => {
    const box = (marks.current as HTMLCanvasElement).getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  const cellUnder = (event: MouseEvent, grid: Grid | undefined): Cell | undefined =>
    grid && cellAt(overlay, grid, ...placeOf(event));
  const { drawing, patches } = props;
  return (
    <div ref={place} class="image">
      <div
        class="image-stack"
        role="application"
        aria-roledescription="image with attention"
        tabIndex={0}
        aria-label={props.label}
        onPointerMove={(event) => {
          props.onHover(cellUnder(event, keyGrid));
          drawing?.onPoint(overlay, ...placeOf(event));
        }}
        onPointerLeave={() => {
          props.onHover(undefined);
          drawing?.onLeave();
        }}
        onClick={(event) => {
          // With Shift it is the patch, whatever lies on it.
          if (!event.shiftKey && drawing?.onChoose(overlay, ...placeOf(event))) return;
          const cell = cellUnder(event, patches);
          if (cell && patches) props.onQuery({ kind: 'patch', ...cell, grid: patches });
        }}
        onKeyDown={(event) => {
          if (!event.ctrlKey && !event.metaKey && !event.altKey && props.onKey(event.key))
            event.preventDefault();
        }}
      >
        <canvas ref={canvas} />
        <canvas ref={marks} class="marks" />
        {width > 0 && drawing?.draw(overlay)}
      </div>
      {props.children}
    </div>
  );
}

export const queryGridOf = (probe: Probe | undefined): Grid | undefined => probe && queryGrid(probe);
