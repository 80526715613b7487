import type { VNode } from 'preact';
import { formatExact, formatPercent, quantity } from '../../src/domain/units';
import type { Masks, Segment } from '../../src/tasks/answer';
import type { AnswerView } from './answerView';

/** What is where: classes by the share that they cover, or objects in the library's order. */
export const masks: AnswerView<Masks> = {
  spoken: ({ segments, of }) =>
    segments.length === 0
      ? 'Nothing found.'
      : `${quantity(segments.length, of === 'classes' ? 'class' : 'segment')}: ${segments.map(({ name }) => name).join(', ')}.`,
  leads: true,
  View: SegmentList,
};

const titleOf = ({ id, area, score, fused }: Segment): string =>
  [
    `number ${id} on the map`,
    `${formatExact(area)} pixels`,
    ...(score === undefined ? [] : [`score ${score}`]),
    ...(fused ? ['several masks of the class together'] : []),
  ].join(', ');

function SegmentList({ answer }: { answer: Masks }): VNode {
  const { segments, grid, of, labelSource } = answer;
  const pixels = grid[0] * grid[1];
  const covered = segments.reduce((sum, { area }) => sum + area, 0);
  return (
    <div>
      <ol class="guesses">
        {segments.map((segment, rank) => (
          <li key={rank} class={rank === 0 && of === 'classes' ? 'first' : ''} title={titleOf(segment)}>
            <span class="guess-label">{segment.name}</span>
            <span class="share">
              <span style={{ width: `${(100 * segment.area) / pixels}%` }} />
            </span>
            <span class="number">{formatPercent(segment.area / pixels)}</span>
          </li>
        ))}
      </ol>
      <p class="quiet">
        {segments.length === 0
          ? 'Nothing found'
          : `${quantity(segments.length, of === 'classes' ? 'class' : 'segment')} on ${formatPercent(covered / pixels)} of the image`}
        {labelSource === '' ? '' : `, labels: ${labelSource}`}
      </p>
    </div>
  );
}
