import type { VNode } from 'preact';
import type { Query } from '../../src/domain/query';
import type { SimilarImage } from '../../src/protocol/image';
import type { Answer } from '../../src/tasks/answer';
import type { Given, SeenImage } from '../../src/tasks/run';
import type { Overlay } from '../marks/overlay';

/** How an answer is looked at; kept with the panel, from one run to the next. */
export interface Look {
  /** Score above which things are shown; the answer's own if nobody moved it. */
  readonly threshold?: number;
  /** Indices of classes that are left out. */
  readonly hidden: readonly number[];
  /** Of what covers the image, 0 … 1. */
  readonly opacity: number;
}

export const initialLook: Look = { hidden: [], opacity: 0.6 };

/** What the list of an answer and its drawing on the image have in common. */
export interface Looking {
  readonly look: Look;
  /** The thing that is pointed at, in either, by its place in the answer. */
  readonly pointed: number | undefined;
  /** The query whose attention was asked for: what was chosen. */
  readonly query: Query | undefined;
  /** The one of several answers that is drawn; the answer's own choice if nobody chose. */
  readonly choice: number | undefined;
}

/** What the view of an answer is given. */
export interface AnswerViewProps<A extends Answer> extends Looking {
  readonly answer: A;
  readonly topK: number;
  /** The image that it is about, and which part of it the model saw. */
  readonly seen: SeenImage;
  readonly onLook: (change: Partial<Look>) => void;
  readonly onPoint: (index: number | undefined) => void;
  readonly onChoice: (index: number) => void;
  /** Asks for the attention of a query; of none goes back to the first one. */
  readonly onQuery: (query: Query | undefined) => void;
  /** What the user gave to the model beside the image. */
  readonly given: Given | undefined;
  /** Runs the model with something else beside the image. */
  readonly onGive: (given: Given) => void;
  /** Gives what was given before; absent if nothing was. */
  readonly onUndo?: (() => void) | undefined;
  /** Asks for other images, and says how alike each is to this one. */
  readonly onCompare?: (() => Promise<readonly SimilarImage[]>) | undefined;
  /** Copies text; absent where nothing can be copied. */
  readonly onCopy?: ((text: string) => void) | undefined;
  /** Asks where to save text or a picture (a data URL), under a name of its own ending. */
  readonly onSave?: ((ending: string, content: string) => void) | undefined;
}

/** What is drawn of an answer on the image is given. */
export interface OverlayProps<A extends Answer> extends Looking {
  readonly answer: A;
  readonly seen: SeenImage;
  /** Where the image lies in the drawing, and how its pixels become CSS pixels. */
  readonly place: Overlay;
  /** An attention map lies under it: all but what was chosen steps back. */
  readonly overMap: boolean;
  /** Something else was given since: its answer is on its way. */
  readonly isBehind: boolean;
}

/** A point of the image in its full-size pixels. */
export interface ImagePoint {
  readonly x: number;
  readonly y: number;
}

/** What clicks and drags on the image give to the model. */
export interface Gestures {
  /** Says how, under the image. */
  readonly hint: string;
  readonly keys: readonly (readonly [key: string, meaning: string])[];
  /**
   * What is given after a click; `reach` is how far, in pixels of the image, a click may be beside
   * what it means.
   */
  readonly onClick: (
    given: Given,
    at: ImagePoint,
    how: { readonly isShift: boolean; readonly reach: number },
  ) => Given;
  /** What is given after a drag from one corner to the other. */
  readonly onDrag: (given: Given, from: ImagePoint, to: ImagePoint) => Given;
  /** Draws what is given. */
  readonly View: (props: { readonly given: Given; readonly place: Overlay }) => VNode;
}

/** What is under the pointer. */
export interface Hit {
  /** Its place in the answer. */
  readonly index: number;
  /** Whether it is its line or name, or a place that it holds beside others. */
  readonly part: 'line' | 'inside';
}

/** How an answer is drawn on the image. */
export interface OverlayView<A extends Answer> {
  readonly View: (props: OverlayProps<A>) => VNode;
  /** Says, while it stands alone, how attention is asked for. */
  readonly hint: string;
  /** The thing under a point of the drawing, in CSS pixels. */
  readonly at: (props: OverlayProps<A>, x: number, y: number) => Hit | undefined;
  /** The query whose attention a thing stands for; undefined if it has none. */
  readonly queryOf: (answer: A, index: number) => Query | undefined;
  /** What can be given on the image; a click asks for attention without it. */
  readonly gesturesOf?: (answer: A) => Gestures | undefined;
}

/** How answers of one kind are shown. */
export interface AnswerView<A extends Answer> {
  /** What a screen reader says once the answer is there. */
  readonly spoken: (answer: A) => string;
  /** There is something to read, so that the answer may stand before the maps. */
  readonly leads: boolean;
  readonly View: (props: AnswerViewProps<A>) => VNode;
  /** Absent if nothing of it lies on the image. */
  readonly overlay?: OverlayView<A>;
}
