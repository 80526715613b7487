import type { VNode } from 'preact';
import { formatPercent } from '../../src/domain/units';
import type { Replies } from '../../src/tasks/answer';
import type { AnswerView, AnswerViewProps } from './answerView';
import { Bars } from './bars';
import { Question } from './question';

/** The replies to a question, the likeliest first, each with its score as a bar. */
export const replies: AnswerView<Replies> = {
  spoken: ({ question = '', replies: [first], missing }) =>
    first ? `${question} ${first.label}, ${formatPercent(first.score)}` : (missing ?? 'Nothing is answered.'),
  leads: true,
  View: ReplyList,
};

function ReplyList({ answer, given, onGive }: AnswerViewProps<Replies>): VNode {
  return (
    <div class="scores">
      <Question given={given} onGive={onGive} />
      {answer.missing === undefined && <Ranked answer={answer} />}
    </div>
  );
}

function Ranked({ answer }: { readonly answer: Replies }): VNode {
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
