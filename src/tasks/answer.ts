/** One class of the answer. */
export interface Guess {
  readonly index: number;
  readonly label: string;
  /** Probability (softmax or per-class sigmoid), or the value itself for a regression head. */
  readonly score: number;
}

/** What a classifier says. */
export interface Classes {
  readonly kind: 'classes';
  /** The best classes, likeliest first. */
  readonly top: readonly Guess[];
  /** Number of classes of the head. */
  readonly classes: number;
  readonly scoreKind: 'softmax' | 'sigmoid' | 'value';
  /** Where the labels come from: `config.json: id2label`. */
  readonly labelSource: string;
  /** Name of the head that says so; absent if nobody asked a head. */
  readonly head?: string;
  /** All heads, this one first, if the model has several. */
  readonly heads?: readonly Classes[];
}

/** What a model without a head says: nothing to read, but its attention can be seen. */
export interface Features {
  readonly kind: 'features';
}

/** What a model answers, by kind of task. */
export type Answer = Classes | Features;

/** Returns the classes of an answer; none if it is of another kind. */
export const guessesOf = (answer: Answer): readonly Guess[] => (answer.kind === 'classes' ? answer.top : []);

/** What one of several heads says of an image. */
export interface HeadGuesses {
  readonly head: string;
  readonly top: readonly Guess[];
}

/** Returns the guesses of every head by its name; undefined if there are not several. */
export const headGuessesOf = (answer: Answer): readonly HeadGuesses[] | undefined =>
  answer.kind === 'classes' ? answer.heads?.map(({ head = '', top }) => ({ head, top })) : undefined;
