import type { Grid } from './size';

/** What a method's numbers were compared with, on models whose references are known. */
export interface Checked {
  /** `captum’s IntegratedGradients` */
  readonly against: string;
  /** Largest difference that was measured, in parts of the largest value of its array. */
  readonly within: number;
  /** Architectures of the models, one for each. */
  readonly architectures: readonly string[];
  /** The method is made of derivatives. */
  readonly isOfGradients: boolean;
  /** The model at hand is of one of them. */
  readonly isOfThis: boolean;
}

/** A sum that a method promises, as this image's numbers have it. */
export interface SumCheck {
  /** `the map’s sum` */
  readonly what: string;
  readonly found: number;
  /** What it has to be, and what that is. */
  readonly wanted: number;
  readonly wantedIs: string;
  /** Largest difference that was found, in the values' own unit. */
  readonly error: number;
  /** Above this the map is not what it says: rounding of float32, or too few steps. */
  readonly allowed: number;
}

/** A way to explain an answer, as it is offered for one model. */
export interface OfferedMethod {
  readonly name: string;
  readonly title: string;
  /** What it says and what it does not, in a paragraph. */
  readonly text: string;
  readonly formula: string;
  readonly source: string;
  /** What it costs in forward passes. */
  readonly forwards: number;
  /**
   * Bytes of the session with derivatives that it asks for: weights, and values kept on the way;
   * absent if it asks for none.
   */
  readonly bytes?: { readonly weights: number; readonly kept: number };
  /** Why it says nothing of this model; absent if it does. */
  readonly whyNot?: string;
  /** Absent if it was compared with nothing. */
  readonly checked?: Checked;
}

/** What can be explained of one image's answer. */
export interface Explainable {
  /** The graph's name of the output that is explained. */
  readonly output: string;
  /** It is scores of classes; else a vector of the image, whose values have no names. */
  readonly hasClasses: boolean;
  /** What each value of the output is called. */
  readonly labels: readonly string[];
  /** The values themselves, before a softmax. */
  readonly scores: Float32Array;
  readonly methods: readonly OfferedMethod[];
  /** Forward passes of one curve that tests a map. */
  readonly perCurve: number;
}

/** What a second column is about: what is absent is the panel's own. */
export interface Beside {
  /** Path of another image. */
  readonly image?: string;
  /** Path of another checkpoint. */
  readonly checkpoint?: string;
}

/** Whether it is the panel's own image and checkpoint. */
export const isOwn = ({ image, checkpoint }: Beside): boolean =>
  image === undefined && checkpoint === undefined;

/** One value of the output, explained by one method. */
export interface ExplainQuestion {
  /** `OfferedMethod.name` */
  readonly method: string;
  /** Index of the value. */
  readonly target: number;
}

/** A map over what the model saw of an image. */
export interface ExplainedMap {
  readonly grid: Grid;
  /** `[rows, columns]` */
  readonly values: Float32Array;
  /** Values have a sign: 0 is the middle of a diverging scale. */
  readonly signed: boolean;
  /** What the values are. */
  readonly legend: string;
}

/** Scores while more and more of an image is changed: the first before, the last after all. */
export interface ExplainedCurve {
  readonly name: string;
  readonly scores: Float32Array;
  /** Area under it, from 0 … 1 of what is changed. */
  readonly area: number;
}

/** Numbers of heads: a row for each layer. */
export interface HeadTable {
  readonly title: string;
  readonly rows: readonly { readonly label: string; readonly values: Float32Array }[];
  /** What the values are. */
  readonly legend: string;
  readonly signed: boolean;
}

/** What a method found, as it is looked at. */
export interface Shown {
  readonly map?: ExplainedMap;
  readonly curves: readonly ExplainedCurve[];
  readonly tables: readonly HeadTable[];
  readonly figures: readonly { readonly name: string; readonly value: number }[];
  /** Everything that was found, drawn or not. */
  readonly tensors: readonly { readonly name: string; readonly shape: readonly number[] }[];
  readonly notes: readonly string[];
  /** What the method promises of its numbers, computed for this image. */
  readonly sums: readonly SumCheck[];
}

/** Which patch goes through which block, as one head of it looks. */
export interface WalkQuestion {
  readonly block: number;
  readonly head: number;
  /** Row and column of the patch. */
  readonly patch: Grid;
}

/** A vector of a step: what the graph itself computed. */
export interface WalkVector {
  readonly name: string;
  readonly values: Float32Array;
}

/** One step of a patch's way, with this image's numbers. */
export interface WalkStep {
  readonly title: string;
  readonly formula: string;
  readonly vectors: readonly WalkVector[];
  /** The formula computed again from the vectors it reads, beside what the graph computed. */
  readonly sum?: SumCheck;
  readonly note?: string;
}

/** One patch through one block: from its pixels to the answer. */
export interface Walk {
  readonly question: WalkQuestion;
  /** Of the model, so that another can be asked for. */
  readonly blocks: number;
  readonly heads: number;
  readonly grid: Grid;
  readonly steps: readonly WalkStep[];
}

/** How well a map says what matters, beside an order that was drawn by lot. */
export interface Faithfulness {
  /** What the scores are: `probability of cat`. */
  readonly score: string;
  /** Cells that are changed, rows × columns. */
  readonly grid: Grid;
  readonly kinds: readonly FaithfulnessKind[];
}

export interface FaithfulnessKind {
  readonly name: string;
  /** Whether a small area speaks for the map. */
  readonly lowIsGood: boolean;
  /** By `OfferedMethod.name`; that of a random order has none. */
  readonly curves: readonly (ExplainedCurve & { readonly method?: string })[];
}
