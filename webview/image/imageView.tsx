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
import { cellAt, overlayOf } from '../marks/overlay';
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
  readonly onKey: (key: string) => boolean;
  /** Says what the image shows, for those who do not see it. */
  readonly label: string;
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

  const cellUnder = (event: MouseEvent, grid: Grid | undefined): Cell | undefined => {
    const box = (marks.current as HTMLCanvasElement).getBoundingClientRect();
    return grid && cellAt(overlay, grid, event.clientX - box.left, event.clientY - box.top);
  };
  return (
    <div ref={place} class="image">
      <div
        class="image-stack"
        role="application"
        aria-roledescription="image with attention"
        tabIndex={0}
        aria-label={props.label}
        onPointerMove={(event) => props.onHover(cellUnder(event, keyGrid))}
        onPointerLeave={() => props.onHover(undefined)}
        onClick={(event) => {
          const cell = cellUnder(event, queryGridOf(probe));
          if (cell) props.onQuery({ kind: 'patch', ...cell, grid: queryGridOf(probe) as Grid });
        }}
        onKeyDown={(event) => {
          if (!event.ctrlKey && !event.metaKey && !event.altKey && props.onKey(event.key))
            event.preventDefault();
        }}
      >
        <canvas ref={canvas} />
        <canvas ref={marks} class="marks" />
      </div>
      {props.children}
    </div>
  );
}

export const queryGridOf = (probe: Probe | undefined): Grid | undefined => probe && queryGrid(probe);
