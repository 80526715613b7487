import type { VNode } from 'preact';
import { useLayoutEffect, useRef } from 'preact/hooks';
import type { ColourMap } from '../../src/attention/colourMaps';
import { formatNumber } from '../../src/domain/units';
import { drawScale, prepare } from '../marks/heatmap';
import { scaleText, type Range, type ScaleKind, type Subject } from './scale';

export interface ScaleBarProps {
  readonly range: Range;
  readonly kind: ScaleKind;
  readonly subject: Subject;
  /** Of the layer that is shown. */
  readonly heads: number;
  readonly colourMap: ColourMap;
}

const WIDTH = 128;
const HEIGHT = 12;

/** The colours, the numbers at their ends, and what the scale is for. */
export function ScaleBar({ range, kind, subject, heads, colourMap }: ScaleBarProps): VNode {
  const canvas = useRef<HTMLCanvasElement>(null);
  useLayoutEffect(() => {
    const context = canvas.current && prepare(canvas.current, WIDTH, HEIGHT);
    if (context) drawScale(context, colourMap, { x: 0, y: 0, width: WIDTH, height: HEIGHT });
  }, [colourMap]);
  const text = scaleText(kind, subject, range, heads);
  return (
    <span class="scale-bar" title={`${range.low} … ${range.high}, ${text}`}>
      {formatNumber(range.low)}
      <canvas ref={canvas} role="img" aria-label={`Colours from ${range.low} to ${range.high}, ${text}`} />
      {formatNumber(range.high)}
      {range.largest > range.high && '+'}
      <span class="quiet">{text}</span>
    </span>
  );
}
