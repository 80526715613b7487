import type { VNode } from 'preact';
import type { Answer } from '../../src/tasks/answer';

/** How answers of one kind are shown. */
export interface AnswerView<A extends Answer> {
  /** What a screen reader says once the answer is there. */
  readonly spoken: (answer: A) => string;
  /** There is something to read, so that the answer may stand before the maps. */
  readonly leads: boolean;
  readonly View: (props: { readonly answer: A; readonly topK: number }) => VNode;
}
