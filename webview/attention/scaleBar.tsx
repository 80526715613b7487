import type { VNode } from 'preact';
import { useLayoutEffect, useRef } from 'preact/hooks';
import type { ColourMap } from '../../src/attention/colourMaps';
import { formatFigure } from '../../src/protocol/units';
import { drawScale, prepare } from '../marks/heatmap';
import { SCALES, type Range, type ScaleKind } from './scale';

export interface ScaleBarProps {
  readonly range: Range;
  readonly kind: ScaleKind;
  readonly colourMap: ColourMap;
}

const WIDTH = 128;
const HEIGHT = 12;

/** The colours and the numbers at their ends. */
export function ScaleBar({ range, kind, colourMap }: ScaleBarProps): VNode {
  const canvas = useRef<HTMLCanvasElement>(null);
  useLayoutEffect(() => {
    const context = canvas.current && prepare(canvas.current, WIDTH, HEIGHT);
    if (context) drawScale(context, colourMap, { x: 0, y: 0, width: WIDTH, height: HEIGHT });
  }, [colourMap]);
  return (
    <span class="scale-bar" title={`${range.low} … ${range.high}, ${SCALES[kind]}`}>
      {formatFigure(range.low)}
      <canvas
        ref={canvas}
        role="img"
        aria-label={`Colours from ${range.low} to ${range.high}, ${SCALES[kind]}`}
      />
      {formatFigure(range.high)}
    </span>
  );
}
