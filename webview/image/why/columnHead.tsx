import type { VNode } from 'preact';
import type { ExplainQuestion } from '../../../src/domain/explanation';
import { formatNumber, formatPercent } from '../../../src/domain/units';
import { guessesOf, type Guess } from '../../../src/tasks/answer';
import type { Run } from '../../../src/tasks/run';
import { IconButton } from '../../kit/toolkit';
import { methodOf } from './column';
import { ClassPicker, MethodInfo, MethodPicker } from './pickers';
import { shortLabel, type ColumnChoice, type Subject } from './state';

export interface AnswerLineProps {
  readonly subject: Subject;
  readonly chosen: number;
  readonly onChoose: (target: number) => void;
}

/** The answer, each of whose classes can be asked about. */
export function AnswerLine({ subject, chosen, onChoose }: AnswerLineProps): VNode | null {
  const guesses = guessesFor(subject);
  if (guesses.length === 0) return null;
  const text = sharesOf(subject.view) ? formatPercent : formatNumber;
  return (
    <div class="answer-line" role="group" aria-label="Classes of the answer">
      {guesses.map(({ index, label, score }) => (
        <button
          key={index}
          type="button"
          class="class-choice"
          title={label}
          aria-pressed={index === chosen}
          onClick={() => onChoose(index)}
        >
          <span>{shortLabel(label)}</span> <span class="number">{text(score)}</span>
        </button>
      ))}
    </div>
  );
}

export interface ColumnHeadProps {
  readonly subject: Subject;
  readonly ranked: readonly number[];
  readonly question: ExplainQuestion;
  readonly onChoose: (choice: Partial<ColumnChoice>) => void;
  /** Which files the column is of, if there are several. */
  readonly files: VNode | undefined;
  readonly save: VNode;
  readonly onClose: (() => void) | undefined;
}

/** What a column explains, and by which method. */
export function ColumnHead(props: ColumnHeadProps): VNode {
  const { subject, ranked, question, onChoose, files, save, onClose } = props;
  const { explainable, view } = subject;
  const method = methodOf(explainable, question);
  return (
    <>
      {files}
      <MethodPicker
        methods={explainable.methods}
        chosen={question.method}
        perForward={view.times.run}
        onChoose={(name) => onChoose({ method: name })}
      />
      {method && <MethodInfo method={method} />}
      <span class="quiet">of</span>
      <ClassPicker
        explainable={explainable}
        ranked={ranked}
        chosen={question.target}
        guesses={guessesFor(subject)}
        areShares={sharesOf(view)}
        onChoose={(target) => onChoose({ target })}
      />
      <span class="control-end">
        {save}
        {onClose && <CloseColumn onClose={onClose} />}
      </span>
    </>
  );
}

export const CloseColumn = ({ onClose }: { readonly onClose: () => void }): VNode => (
  <IconButton icon="close" label="Close this column" onClick={onClose} />
);

/** Classes of the answer that are those of the explained output. */
const guessesFor = ({ view: { answer }, explainable: { scores } }: Subject): readonly Guess[] =>
  answer.kind === 'classes' && answer.classes === scores.length ? guessesOf(answer) : [];

const sharesOf = ({ answer }: Run): boolean => answer.kind === 'classes' && answer.scoreKind !== 'value';
