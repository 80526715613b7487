import type { Translation } from '../../src/tasks/answer';
import type { AnswerView } from './answerView';

/** A text about a text, as a panel of images would show it; the text's own panel shows more. */
export const translation: AnswerView<Translation> = {
  spoken: ({ texts: [first] }) => first?.text ?? 'Nothing was written.',
  leads: true,
  View: ({ answer }) => <p>{answer.texts[0]?.text ?? 'Nothing was written.'}</p>,
};
