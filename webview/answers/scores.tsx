import type { VNode } from 'preact';
import { formatPercent } from '../../src/domain/units';
import type { Scores } from '../../src/tasks/answer';
import type { AnswerView, AnswerViewProps } from './answerView';
import { Bars } from './bars';
import { Output } from './outputs';
import { Prompts } from './prompts';
import { Similar } from './similar';

/** Texts to score the image with, and their scores as bars, the best first. */
export const scores: AnswerView<Scores> = {
  spoken: ({ scores: [first], missing }) =>
    first ? `${first.label}, ${formatPercent(first.score)}` : (missing ?? 'Nothing is scored.'),
  leads: true,
  View: ({ answer, seen, given, onGive, onCopy, onCompare }: AnswerViewProps<Scores>) => (
    <div class="scores">
      <Prompts given={given} onGive={onGive} />
      {answer.missing === undefined ? (
        <ScoreList answer={answer} />
      ) : (
        answer.vector && <Output output={answer.vector} seen={seen} onCopy={onCopy} />
      )}
      {answer.embedding && onCompare && <Similar onCompare={onCompare} />}
    </div>
  ),
};

const ScoreList = ({ answer: { scores: all, scoreKind } }: { answer: Scores }): VNode => (
  <div>
    <Bars
      class="score-list"
      label="Scores"
      bars={all.map(({ index, label, score }) => ({
        key: index,
        label,
        share: score,
        text: formatPercent(score),
        tip: `${label}: ${score}`,
      }))}
    />
    <p class="quiet">
      {scoreKind === 'sigmoid'
        ? 'Each text by itself (sigmoid).'
        : 'Shares among these texts alone (softmax): another text changes all of them.'}
    </p>
  </div>
);
