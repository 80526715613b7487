import { largest } from '../../src/domain/lists';
import type { VNode } from 'preact';
import { formatNumber, formatPercent } from '../../src/domain/units';
import type { Classes } from '../../src/tasks/answer';
import type { AnswerView } from './answerView';
import { Bars } from './bars';

/** The likeliest classes, each with its share as a bar; values of a regression head as they are. */
export const classes: AnswerView<Classes> = {
  spoken: ({ top: [first], scoreKind }) => {
    if (!first) return 'The model has no classes.';
    const { label, score } = first;
    return scoreKind === 'value' ? `${label}: ${score}` : `${label}, ${formatPercent(score)}`;
  },
  leads: true,
  View: Heads,
};

/** Several heads side by side, each under its name. */
function Heads({ answer, topK }: { answer: Classes; topK: number }): VNode {
  if (!answer.heads) return <Guesses answer={answer} topK={topK} />;
  return (
    <div class="heads">
      {answer.heads.map((head) => (
        <section key={head.head}>
          <h3>{head.head}</h3>
          <Guesses answer={head} topK={topK} />
        </section>
      ))}
    </div>
  );
}

function Guesses({ answer, topK }: { answer: Classes; topK: number }): VNode {
  const guesses = answer.top.slice(0, topK);
  const isValue = answer.scoreKind === 'value';
  const most = largest([Number.MIN_VALUE, ...guesses.map((guess) => Math.abs(guess.score))]);
  const text = (score: number): string => (isValue ? formatNumber(score, 4) : formatPercent(score));
  return (
    <div>
      <Bars
        bars={guesses.map(({ index, label, score }) => ({
          key: index,
          label,
          share: isValue ? Math.abs(score) / most : score,
          text: text(score),
          tip: `${label}\nclass ${index}: ${score}`,
        }))}
      />
      <p class="quiet">
        {answer.scoreKind === 'sigmoid' && <>Each class by itself (sigmoid). </>}
        {answer.classes} classes, labels: {answer.labelSource}
      </p>
    </div>
  );
}
