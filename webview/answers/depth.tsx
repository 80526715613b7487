import type { VNode } from 'preact';
import { useMemo } from 'preact/hooks';
import { formatNumber } from '../../src/domain/units';
import type { Depth } from '../../src/tasks/answer';
import { colourAt } from '../../src/attention/colourMaps';
import { depthFormats } from '../../src/tasks/depth/export';
import type { AnswerView, AnswerViewProps, OverlayProps } from './answerView';
import { ExportMenu } from './exportMenu';
import { Opacity } from './opacity';
import { pixelAt, pixelBitmap, PixelsOverlay } from './pixelsOverlay';
import { ScaleStrip } from './outputs';
import './outputs.css';

/** How far away things are: the scale, in its unit if it has one. */
export const depth: AnswerView<Depth> = {
  spoken: ({ spread, unit }) =>
    `Depth from ${formatNumber(spread.low)} to ${formatNumber(spread.high)}, ${unit === 'metres' ? 'in metres' : 'relative'}.`,
  leads: true,
  View: DepthScale,
  overlay: {
    View: DepthDrawing,
    hint: 'Click a patch to see where it looks; Esc shows the depth again.',
    at: ({ answer, place }, x, y) => {
      const index = pixelAt(place, answer.grid, x, y);
      return index === undefined ? undefined : { index, part: 'inside' };
    },
    queryOf: () => undefined,
  },
};

function DepthDrawing({ answer, place, look, overMap }: OverlayProps<Depth>): VNode {
  const bitmap = useMemo(() => {
    const { low, high } = answer.spread;
    return pixelBitmap(answer.grid, (pixel) => {
      const value = answer.values[pixel] ?? NaN;
      return Number.isFinite(value) ? colourAt('viridis', (value - low) / (high - low || 1)) : undefined;
    });
  }, [answer]);
  return <PixelsOverlay place={place} bitmap={bitmap} opacity={overMap ? 0 : look.opacity} />;
}

function DepthScale({ answer, look, pointed, seen, onLook, onSave }: AnswerViewProps<Depth>): VNode {
  const { spread, unit } = answer;
  const sign = unit === 'metres' ? ' m' : '';
  const here = pointed === undefined ? undefined : answer.values[pointed];
  const columns = answer.grid[1];
  return (
    <div class="output" aria-label="Depth">
      <p class="output-scale">
        {formatNumber(spread.low)}
        {sign}
        <ScaleStrip colours="viridis" low={spread.low} high={spread.high} />
        {formatNumber(spread.high)}
        {sign}
      </p>
      <div class="controls">
        <Opacity look={look} onLook={onLook} />
        <ExportMenu
          what="values"
          formats={depthFormats}
          answer={answer}
          seen={seen}
          lacking=""
          onSave={onSave}
        />
      </div>
      <p class="depth-value">
        {here === undefined || pointed === undefined
          ? 'Point at the image to read values.'
          : `row ${Math.floor(pointed / columns)}, column ${pointed % columns}: ${formatNumber(here, 4)}${sign}`}
      </p>
      <p class="quiet">
        {unit === 'metres'
          ? `Metres; mean ${formatNumber(spread.mean)} m`
          : `Relative: values compare within the image and have no unit; mean ${formatNumber(spread.mean)}`}
      </p>
    </div>
  );
}
