import type { VNode } from 'preact';
import { useLayoutEffect, useRef } from 'preact/hooks';
import type { ColourMap } from '../../src/attention/colourMaps';
import type { KeyMap } from '../../src/attention/tokenLayout';
import { formatFigure } from '../../src/protocol/units';
import { heatBitmap, prepare } from '../marks/heatmap';
import { useWidth } from '../parts/hooks';
import type { Range } from './scale';

export interface MatrixProps {
  /** Weights of each head, none of which lie on the picture. */
  readonly heads: readonly (KeyMap | undefined)[];
  readonly range: Range;
  readonly colourMap: ColourMap;
}

const ROW_HEIGHT = 18;

/** Attention over channels or a sequence as a matrix, heads as rows: smearing it over the picture would mean nothing. */
export function Matrix({ heads, range, colourMap }: MatrixProps): VNode {
  const place = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const width = useWidth(place);
  const rows = heads.flatMap((map) => (map?.rest ? [map.rest] : []));
  const keys = Math.max(1, ...rows.map((row) => row.length));
  useLayoutEffect(() => {
    const context = width > 0 && canvas.current && prepare(canvas.current, width, rows.length * ROW_HEIGHT);
    if (!context) return;
    context.imageSmoothingEnabled = false;
    rows.forEach((row, index) => {
      const bitmap = heatBitmap(row, [1, row.length], { ...range, map: colourMap });
      context.drawImage(bitmap, 0, index * ROW_HEIGHT, width, ROW_HEIGHT - 2);
    });
  }, [heads, range.low, range.high, colourMap, width]);
  return (
    <div>
      <p class="quiet">
        This attention is over {keys} channels or tokens without a place on the picture: one row per head, one
        column each, {formatFigure(range.low)} … {formatFigure(range.high)}.
      </p>
      <div ref={place} role="img" aria-label={`Matrix of ${rows.length} heads and ${keys} keys`}>
        <canvas ref={canvas} />
      </div>
    </div>
  );
}
