import type { VNode } from 'preact';
import { useLayoutEffect, useRef } from 'preact/hooks';
import { KINDS, standaloneSvg, type Chart } from '../marks/charts';
import { useWidth } from '../kit/elements';
import { IconButton } from '../kit/toolkit';

export interface ChartFrameProps {
  readonly title: string;
  readonly draw: (width: number) => Chart;
  /** What the drawing depends on, beside its width. */
  readonly keys: readonly unknown[];
  readonly legend?: boolean;
  readonly onSave: (svg: string) => void;
}

/** Pixels below which the margins leave no place for a chart: its frame is not laid out yet. */
const NARROWEST = 200;

/** A chart that follows the width of its place and can be saved as a file. */
export function ChartFrame({ title, draw, keys, legend, onSave }: ChartFrameProps): VNode {
  const place = useRef<HTMLDivElement>(null);
  const chart = useRef<Chart | null>(null);
  const width = useWidth(place);
  useLayoutEffect(() => {
    if (width < NARROWEST) return;
    chart.current = draw(width);
    place.current?.replaceChildren(chart.current);
  }, [width, ...keys]);
  return (
    <section class="chart">
      <div class="chart-head">
        <h2>{title}</h2>
        {legend && (
          <div class="legend">
            {KINDS.map(({ kind, title: name }) => (
              <span key={kind}>
                <span class={`swatch swatch-${kind}`} />
                {name}
              </span>
            ))}
          </div>
        )}
        <IconButton
          icon="save"
          label={`Save as SVG: ${title}`}
          onClick={() => chart.current && onSave(standaloneSvg(chart.current))}
        />
      </div>
      <div ref={place} class="chart-place" />
    </section>
  );
}
