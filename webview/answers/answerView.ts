import type { VNode } from 'preact';
import type { Answer } from '../../src/tasks/answer';
import type { SeenImage } from '../../src/tasks/run';

/** What the view of an answer is given. */
export interface AnswerViewProps<A extends Answer> {
  readonly answer: A;
  readonly topK: number;
  /** The image that it is about, and which part of it the model saw. */
  readonly seen: SeenImage;
  /** Copies text; absent where nothing can be copied. */
  readonly onCopy?: ((text: string) => void) | undefined;
}

/** How answers of one kind are shown. */
export interface AnswerView<A extends Answer> {
  /** What a screen reader says once the answer is there. */
  readonly spoken: (answer: A) => string;
  /** There is something to read, so that the answer may stand before the maps. */
  readonly leads: boolean;
  readonly View: (props: AnswerViewProps<A>) => VNode;
}
