import type { VNode } from 'preact';
import { formatPercent } from '../../src/domain/units';
import type { Replies } from '../../src/tasks/answer';
import type { AnswerView, AnswerViewProps } from './answerView';
import { Bars } from './bars';

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
      <Bars
        bars={all.map(({ index, label, score }) => ({
          key: index,
          label,
          share: score,
          text: formatPercent(score),
          tip: `answer ${index}: ${score}`,
        }))}
      />
      <p class="quiet">
        {scoreKind === 'sigmoid' ? 'Each answer by itself (sigmoid).' : 'One of these answers (softmax).'}
      </p>
    </div>
  );
}
