import type { VNode } from 'preact';
import { useLayoutEffect, useRef } from 'preact/hooks';
import type { ExplainedMap } from '../../../src/domain/explanation';
import { formatNumber } from '../../../src/domain/units';
import { drawScale, prepare } from '../../marks/heatmap';
import type { MapScale } from './mapScale';
import { cellOf, type Cursor } from './whyMap';

const strip = { width: 128, height: 12 } as const;

/** The colours, the numbers at their ends, and what they are numbers of. */
export function Legend({ map, scale }: { readonly map: ExplainedMap; readonly scale: MapScale }): VNode {
  const canvas = useRef<HTMLCanvasElement>(null);
  const { low, high, colours, text, notes } = scale;
  useLayoutEffect(() => {
    const context = canvas.current && prepare(canvas.current, strip.width, strip.height);
    if (context) drawScale(context, colours, { x: 0, y: 0, ...strip });
  }, [colours]);
  return (
    <>
      <p class="why-what">{map.legend}</p>
      <span class="scale-bar" title={`${low} … ${high}, ${text}`}>
        {formatNumber(low)}
        <canvas ref={canvas} role="img" aria-label={`Colours from ${low} to ${high}, ${text}`} />
        {formatNumber(high)}
        <span class="quiet">{text}</span>
      </span>
      {notes.map((note) => (
        <p key={note}>{note}</p>
      ))}
    </>
  );
}

interface ReadoutProps {
  readonly map: ExplainedMap;
  readonly cursor: Cursor | undefined;
  /** Said while there is no cursor. */
  readonly hint: string;
}

/** The value under the cursor. */
export function Readout({ map, cursor, hint }: ReadoutProps): VNode {
  if (!cursor) return <p class="readout quiet">{hint}</p>;
  const { row, column } = cellOf(map.grid, cursor);
  return (
    <p class="readout">
      row {row}, column {column} of {map.grid.join(' × ')}:{' '}
      <strong>{formatNumber(map.values[row * map.grid[1] + column] ?? NaN)}</strong>
    </p>
  );
}
