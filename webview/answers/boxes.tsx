import type { VNode } from 'preact';
import { formatPercent } from '../../src/domain/units';
import type { Boxes } from '../../src/tasks/answer';
import type { AnswerView } from './answerView';

/** Objects above the threshold, in the library's order. */
export const boxes: AnswerView<Boxes> = {
  spoken: (answer) => {
    const { length } = above(answer);
    return length === 1 ? 'One object found.' : `${length} objects found.`;
  },
  leads: true,
  View: BoxList,
};

const above = ({ boxes: all, threshold }: Boxes): Boxes['boxes'] =>
  all.filter(({ score }) => score > threshold);

function BoxList({ answer }: { answer: Boxes }): VNode {
  const found = above(answer);
  return (
    <div>
      <ol class="guesses">
        {found.map(({ query, label, name, score }, rank) => (
          <li key={`${query} ${label}`} class={rank === 0 ? 'first' : ''} title={`query ${query}: ${score}`}>
            <span class="guess-label">{name}</span>
            <span class="share">
              <span style={{ width: `${100 * score}%` }} />
            </span>
            <span class="number">{formatPercent(score)}</span>
          </li>
        ))}
      </ol>
      <p class="quiet">
        {found.length} of {answer.queries} queries above {formatPercent(answer.threshold)}, labels:{' '}
        {answer.labelSource}
      </p>
    </div>
  );
}
