import type { VNode } from 'preact';
import { formatPercent } from '../../src/domain/units';
import type { Scores } from '../../src/tasks/answer';
import { Banner } from '../kit/status';
import type { AnswerView, AnswerViewProps } from './answerView';
import { Output } from './outputs';

/** The texts that were given, the best first, each with its score as a bar. */
export const scores: AnswerView<Scores> = {
  spoken: ({ scores: [first], missing }) =>
    first ? `${first.label}, ${formatPercent(first.score)}` : (missing ?? 'Nothing is scored.'),
  leads: true,
  View: ScoreList,
};

function ScoreList({ answer, seen, onCopy }: AnswerViewProps<Scores>): VNode {
  const { scores: all, scoreKind, missing, vector } = answer;
  if (missing !== undefined)
    return (
      <>
        <Banner icon="info">This model compares images with texts: {missing}.</Banner>
        {vector && <Output output={vector} seen={seen} onCopy={onCopy} />}
      </>
    );
  return (
    <div>
      <ol class="guesses">
        {all.map(({ index, label, score }, rank) => (
          <li key={index} class={rank === 0 ? 'first' : ''} title={`text ${index}: ${score}`}>
            <span class="guess-label">{label}</span>
            <span class="share">
              <span style={{ width: `${100 * score}%` }} />
            </span>
            <span class="number">{formatPercent(score)}</span>
          </li>
        ))}
      </ol>
      <p class="quiet">
        {scoreKind === 'sigmoid' ? 'Each text by itself (sigmoid).' : 'One of these texts (softmax).'}
      </p>
    </div>
  );
}
