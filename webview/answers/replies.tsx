import type { VNode } from 'preact';
import { formatPercent } from '../../src/domain/units';
import type { Replies } from '../../src/tasks/answer';
import type { AnswerView, AnswerViewProps } from './answerView';

/** The replies to a question, the likeliest first, each with its score as a bar. */
export const replies: AnswerView<Replies> = {
  spoken: ({ question = '', replies: [first] }) =>
    first ? `${question} ${first.label}, ${formatPercent(first.score)}` : 'Nothing is answered.',
  leads: true,
  View: ReplyList,
};

function ReplyList({ answer }: AnswerViewProps<Replies>): VNode {
  const { question, replies: all, scoreKind } = answer;
  return (
    <div>
      {question !== undefined && <p>{question}</p>}
      <ol class="guesses">
        {all.map(({ index, label, score }, rank) => (
          <li key={index} class={rank === 0 ? 'first' : ''} title={`answer ${index}: ${score}`}>
            <span class="guess-label">{label}</span>
            <span class="share">
              <span style={{ width: `${100 * score}%` }} />
            </span>
            <span class="number">{formatPercent(score)}</span>
          </li>
        ))}
      </ol>
      <p class="quiet">
        {scoreKind === 'sigmoid' ? 'Each answer by itself (sigmoid).' : 'One of these answers (softmax).'}
      </p>
    </div>
  );
}
