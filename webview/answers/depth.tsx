import type { VNode } from 'preact';
import { formatNumber } from '../../src/domain/units';
import type { Depth } from '../../src/tasks/answer';
import type { AnswerView } from './answerView';
import { ScaleStrip } from './outputs';
import './outputs.css';

/** How far away things are: the scale, in its unit if it has one. */
export const depth: AnswerView<Depth> = {
  spoken: ({ spread, unit }) =>
    `Depth from ${formatNumber(spread.low)} to ${formatNumber(spread.high)}, ${unit === 'metres' ? 'in metres' : 'relative'}.`,
  leads: true,
  View: DepthScale,
};

function DepthScale({ answer }: { answer: Depth }): VNode {
  const { spread, unit } = answer;
  const sign = unit === 'metres' ? ' m' : '';
  return (
    <div class="output" aria-label="Depth">
      <p class="output-scale">
        {formatNumber(spread.low)}
        {sign}
        <ScaleStrip colours="viridis" low={spread.low} high={spread.high} />
        {formatNumber(spread.high)}
        {sign}
      </p>
      <p class="quiet">
        {unit === 'metres'
          ? `Metres; mean ${formatNumber(spread.mean)} m`
          : `Relative: values compare within the image and have no unit; mean ${formatNumber(spread.mean)}`}
      </p>
    </div>
  );
}
