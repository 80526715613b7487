import type { VNode } from 'preact';
import { formatExact, formatPercent } from '../../src/domain/units';
import type { Masks, Segment } from '../../src/tasks/answer';
import type { AnswerView } from './answerView';

/** What the parts of an answer are called, one and several. */
const nouns: Readonly<Record<Masks['of'], readonly [one: string, several: string]>> = {
  classes: ['class', 'classes'],
  instances: ['object', 'objects'],
  panoptic: ['segment', 'segments'],
  prompts: ['mask', 'masks'],
};

/** `3 classes` */
const counted = ({ of, segments: { length } }: Masks): string =>
  `${length} ${nouns[of][length === 1 ? 0 : 1]}`;

/** What is to be said if there is nothing. */
const nothing = ({ of }: Masks): string => (of === 'prompts' ? 'No point or box is given' : 'Nothing found');

/** What is where: classes by the share that they cover, or objects in the library's order. */
export const masks: AnswerView<Masks> = {
  spoken: (answer) =>
    answer.segments.length === 0
      ? `${nothing(answer)}.`
      : `${counted(answer)}: ${answer.segments.map(({ name }) => name).join(', ')}.`,
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
            <span class="number">
              {of === 'prompts' ? formatPercent(segment.score ?? 0) : formatPercent(segment.area / pixels)}
            </span>
          </li>
        ))}
      </ol>
      <p class="quiet">
        {segments.length === 0
          ? nothing(answer)
          : of === 'prompts'
            ? `${counted(answer)} that may be meant, with how much of it each may cover`
            : `${counted(answer)} on ${formatPercent(covered / pixels)} of the image`}
        {labelSource === '' ? '' : `, labels: ${labelSource}`}
      </p>
    </div>
  );
}
