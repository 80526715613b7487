import type { Query } from '../domain/query';
import type { Grid } from '../domain/size';

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
  /** What does not go together of labels and head. */
  readonly warnings?: readonly string[];
  /** Name of the head that says so; absent if nobody asked a head. */
  readonly head?: string;
  /** All heads, this one first, if the model has several. */
  readonly heads?: readonly Classes[];
}

/** How the numbers of an output are spread; those that are not finite are only counted. */
export interface Spread {
  readonly low: number;
  readonly high: number;
  readonly mean: number;
  /** Standard deviation over all of them. */
  readonly deviation: number;
  readonly notFinite: number;
}

/** What every output has, however it is drawn. */
interface Named {
  /** The graph's own name of it. */
  readonly name: string;
  readonly shape: readonly number[];
  readonly spread: Spread;
}

/** Rows × columns of numbers, of one channel or several. */
export interface MapOutput extends Named {
  readonly kind: 'map';
  readonly grid: Grid;
  readonly channels: number;
  /** It has the proportions of what the model saw, and lies on all of that. */
  readonly onImage: boolean;
  /** `[channels, rows, columns]`; the first channels alone if all are too many to hand on. */
  readonly values: Float32Array;
  /** Of a map of whole numbers of one channel: what each stands for, the largest area first. */
  readonly categories?: readonly Category[];
}

/** A whole number on a map, which stands for a class. */
export interface Category {
  readonly value: number;
  readonly name: string;
  /** Cells of the map. */
  readonly cells: number;
}

/** One number after another. */
export interface VectorOutput extends Named {
  readonly kind: 'vector';
  /** The first ones alone if all are too many to be handed on. */
  readonly values: Float32Array;
}

/** Numbers without a drawing: tokens and what has more axes. */
export interface ArrayOutput extends Named {
  readonly kind: 'array';
}

/** An output as it can be drawn. */
export type NamedOutput = MapOutput | VectorOutput | ArrayOutput;

/** What a model says that is no classifier: its outputs, each by its name. */
export interface Outputs {
  readonly kind: 'outputs';
  readonly outputs: readonly NamedOutput[];
}

/** What a model without a head says: a vector at most, but its attention can be seen. */
export interface Features {
  readonly kind: 'features';
  readonly vector?: VectorOutput;
}

/** One object of an image. */
export interface Box {
  /** Index of the class. */
  readonly label: number;
  readonly name: string;
  readonly score: number;
  /** Corners in pixels of the image as it was decoded, which they may leave. */
  readonly box: readonly [x0: number, y0: number, x1: number, y1: number];
  /** The query that answers so. */
  readonly query: number;
}

/** What a detector says. */
export interface Boxes {
  readonly kind: 'boxes';
  /** In the library's order, with those below the threshold that may still be asked for. */
  readonly boxes: readonly Box[];
  /** Score above which a box counts. */
  readonly threshold: number;
  /** Number of queries that the model asks with. */
  readonly queries: number;
  readonly labelSource: string;
  /** Of a model that finds whatever texts say: the texts, none if nobody gave any yet. */
  readonly texts?: readonly string[];
  /** Queries are patches of this grid, row by row; without it they are learned. */
  readonly grid?: Grid;
}

/** The query whose attention says where a box was looked for. */
export const queryOfBox = ({ grid }: Pick<Boxes, 'grid'>, { query: index }: Pick<Box, 'query'>): Query =>
  grid
    ? { kind: 'patch', row: Math.floor(index / grid[1]), column: index % grid[1], grid }
    : { kind: 'query', index };

/** How well each of several texts fits an image. */
export interface Scores {
  readonly kind: 'scores';
  /** The texts, best first. */
  readonly scores: readonly Guess[];
  /** One of all texts, or each by itself. */
  readonly scoreKind: 'softmax' | 'sigmoid';
  /** Why nothing is scored, and what is needed; absent if something is. */
  readonly missing?: string;
  /** The image alone, as the model has it. */
  readonly vector?: VectorOutput;
  /** The image in the space of images and texts, of unit length. */
  readonly embedding?: Float32Array;
}

/** What a model says to a question about an image, of the replies that it has learned. */
export interface Replies {
  readonly kind: 'replies';
  /** The likeliest, best first. */
  readonly replies: readonly Guess[];
  readonly scoreKind: 'softmax' | 'sigmoid';
  readonly labelSource: string;
  readonly question?: string;
  /** Why there are no replies. */
  readonly missing?: string;
}

/** A generated token. */
export interface WrittenToken {
  readonly id: number;
  /** The token by itself, special ones in their own words. */
  readonly text: string;
  /** Logarithm of its probability among those that could be chosen. */
  readonly score: number;
}

/** A text that a model has written. */
export interface WrittenText {
  /** What it was begun with, and the new tokens. */
  readonly ids: readonly number[];
  /** Without special tokens. */
  readonly text: string;
  readonly withSpecial: string;
  /** The new tokens. */
  readonly tokens: readonly WrittenToken[];
  /** Of beams: the sum of the tokens' scores over the length to the power of the penalty. */
  readonly score?: number;
  /** Whether the model ended it, or the most tokens were reached, or it was stopped. */
  readonly ending: 'end' | 'length' | 'stopped';
}

/** What a model writes of an image, or as the reply to a question about it. */
export interface Text {
  readonly kind: 'text';
  /** A search each, with its texts, the best first. */
  readonly searches: readonly {
    readonly name: string;
    readonly beams: number;
    /** Tokens that the text was begun with. */
    readonly prompt: number;
    readonly texts: readonly WrittenText[];
  }[];
  /** What a user may type for it: the question that is answered, or words to go on from. */
  readonly asks: 'question' | 'prompt';
  readonly question?: string;
  /** Why nothing is written, and what is needed; absent if something is. */
  readonly missing?: string;
  readonly warnings: readonly string[];
}

/** A token that was written. */
export interface TranslatedToken {
  readonly id: number;
  /** As the vocabulary writes it. */
  readonly text: string;
  /** As people read it, by itself. */
  readonly shown: string;
  /** Logarithm of its probability among those that the settings let through. */
  readonly score: number;
}

/** A text that a decoder has written. */
export interface TranslatedText {
  /** What it goes by where several were asked for: `greedy`. */
  readonly name: string;
  /** With the token that it begins with. */
  readonly ids: readonly number[];
  readonly text: string;
  readonly textWithSpecial: string;
  readonly tokens: readonly TranslatedToken[];
  /** Why it goes no further: an end token, its length, or somebody stopped it. */
  readonly ending: 'end' | 'length' | 'stopped';
  /** Of beams: the sum of the scores over the length to the power of the length penalty. */
  readonly score?: number;
}

/** What a model has made of a text. */
export interface Translation {
  readonly kind: 'translation';
  readonly texts: readonly TranslatedText[];
}

/** A class or an object, and how much of the image it covers. */
export interface Segment {
  /** Its number on the map. */
  readonly id: number;
  /** Index of the class. */
  readonly label: number;
  readonly name: string;
  /** Pixels of the image. */
  readonly area: number;
  /** Of objects alone: how sure the model is. */
  readonly score?: number;
  /** Several masks of the class became one. */
  readonly fused?: boolean;
}

/** One of several masks that a prompt may mean. */
export interface MaskChoice {
  readonly prompt: number;
  readonly mask: number;
  /** The decoder's token that it is of, by its name among the queries of attention. */
  readonly token: string;
  /** How much of the object the model thinks that the mask covers, as intersection over union. */
  readonly score: number;
  /** Pixels of the image. */
  readonly area: number;
  /** 1 in the mask, row by row. */
  readonly ids: Uint8Array;
}

/** What a segmenter says: for every pixel a class, or an object. */
export interface Masks {
  readonly kind: 'masks';
  /** Whether ids are classes, objects, objects and what lies between them, or masks of prompts. */
  readonly of: 'classes' | 'instances' | 'panoptic' | 'prompts';
  /** Rows and columns of the image as it was decoded. */
  readonly grid: Grid;
  /** An id for each pixel, row by row; −1 is nothing. */
  readonly ids: Int16Array;
  /** In the library's order; of classes those that are there, the largest first. */
  readonly segments: readonly Segment[];
  readonly labelSource: string;
  /** Of prompts, all masks that each may mean; the likeliest are drawn in `ids`. */
  readonly choices?: readonly MaskChoice[];
}

/** What a model of depth says. */
export interface Depth {
  readonly kind: 'depth';
  /** Rows and columns of the image as it was decoded. */
  readonly grid: Grid;
  /** For each pixel, row by row. */
  readonly values: Float32Array;
  /** Relative values have no unit, and no library says whether near is low or high. */
  readonly unit: 'relative' | 'metres';
  readonly spread: Spread;
}

/** A part of a body on an image. */
export interface Keypoint {
  /** Its number among the model's keypoints. */
  readonly label: number;
  readonly name: string;
  /** The highest value of its map, about 1 where the model is sure. */
  readonly score: number;
  /** In pixels of the image as it was decoded, counted from the first pixel's middle. */
  readonly point: readonly [x: number, y: number];
  /** The pixel of its map that it lies nearest to. */
  readonly place: readonly [row: number, column: number];
}

/** Where a person's keypoints are. */
export interface Keypoints {
  readonly kind: 'keypoints';
  /** All of them in the model's order, those below the threshold as well. */
  readonly points: readonly Keypoint[];
  /** Score above which a keypoint counts. */
  readonly threshold: number;
  /** Pairs that are joined by a line, by their numbers. */
  readonly bones: readonly (readonly [from: number, to: number])[];
  /** Rows and columns of the maps, which lie on all that the model saw. */
  readonly grid: Grid;
  readonly labelSource: string;
  readonly warnings: readonly string[];
}

/** The query whose attention says what the patch under a keypoint looked at. */
export const queryOfKeypoint = (
  { grid }: Pick<Keypoints, 'grid'>,
  { place: [row, column] }: Pick<Keypoint, 'place'>,
): Query => ({ kind: 'patch', row, column, grid });

/** Keypoints above a threshold, by default the answer's own. */
export const shownKeypoints = (
  { points, threshold }: Pick<Keypoints, 'points' | 'threshold'>,
  least = threshold,
): readonly Keypoint[] => points.filter(({ score }) => score > least);

/** What a model of masked images draws; planes of red, green and blue, 0 … 255 and not clipped. */
export interface Rebuilt {
  readonly kind: 'pixels';
  /** Rows and columns of what the model saw. */
  readonly grid: Grid;
  /** All patches as the model draws them, `[3, rows, columns]`. */
  readonly reconstruction: Float32Array;
  /** What the model saw, with the hidden patches drawn in, `[3, rows, columns]`. */
  readonly pasted: Float32Array;
  /** 1 where the model saw nothing, `[rows, columns]`. */
  readonly hidden: Float32Array;
  readonly patches: number;
  readonly hiddenPatches: number;
  /** By which patches were hidden. */
  readonly seed: number;
  /** Root of the mean squared difference to the image where it was hidden, in levels of 255. */
  readonly error: number;
  /** Patches were drawn without their mean and deviation, which are those of the hidden ones. */
  readonly normalised: boolean;
}

/** An image as a model makes it anew: larger, or mended. */
export interface Restored {
  readonly kind: 'restored';
  /** Rows and columns of what came out, without what was padded. */
  readonly grid: Grid;
  /** How many times as many rows and columns it has. */
  readonly scale: number;
  /** Bytes of red, green and blue, `[3, rows, columns]`. */
  readonly planes: Uint8Array;
}

/** What a model answers, by kind of task. */
export type Answer =
  | Classes
  | Boxes
  | Masks
  | Depth
  | Keypoints
  | Rebuilt
  | Restored
  | Scores
  | Replies
  | Text
  | Translation
  | Outputs
  | Features;

/** Returns the classes of an answer; none if it is of another kind. */
export const guessesOf = (answer: Answer): readonly Guess[] => (answer.kind === 'classes' ? answer.top : []);

/**
 * What a table has of an answer, the first the best: classes, texts, replies, objects and keypoints
 * above the threshold; segments by the share of the image that they cover.
 */
export function rankedOf(answer: Answer): readonly Guess[] {
  if (answer.kind === 'scores') return answer.scores;
  if (answer.kind === 'replies') return answer.replies;
  if (answer.kind === 'masks') return coveredOf(answer);
  const found =
    answer.kind === 'keypoints'
      ? shownKeypoints(answer)
      : answer.kind === 'boxes'
        ? answer.boxes.filter(({ score }) => score > answer.threshold)
        : undefined;
  if (!found) return guessesOf(answer);
  return found
    .map(({ label, name, score }) => ({ index: label, label: name, score }))
    .sort((one, other) => other.score - one.score);
}

/** Whether what a table has of an answer are shares of the image, not of sureness. */
export const ranksAreas = ({ kind }: Answer): boolean => kind === 'masks';

/** Segments as guesses, each class once with all that it covers. */
function coveredOf({ segments, grid: [rows, columns] }: Masks): readonly Guess[] {
  const areas = new Map<number, number>();
  for (const { label, area } of segments) areas.set(label, (areas.get(label) ?? 0) + area);
  const names = new Map(segments.map(({ label, name }) => [label, name] as const));
  return [...areas]
    .map(([index, area]) => ({ index, label: names.get(index) ?? '', score: area / (rows * columns) }))
    .sort((one, other) => other.score - one.score);
}

/** The image in a space where near means alike; undefined if the model has none. */
export const embeddingOf = (answer: Answer): Float32Array | undefined =>
  answer.kind === 'scores' ? answer.embedding : undefined;

/** Cosine of the angle between two vectors of one length; 0 if one is of no length. */
export function cosineOf(one: Float32Array, other: Float32Array): number {
  let [dot, left, right] = [0, 0, 0];
  for (const [index, value] of one.entries()) {
    const second = other[index] ?? 0;
    dot += value * second;
    left += value ** 2;
    right += second ** 2;
  }
  return left > 0 && right > 0 ? dot / Math.sqrt(left * right) : 0;
}

/** How many objects were found; undefined if the answer is not of objects. */
export const countOf = (answer: Answer): number | undefined =>
  answer.kind === 'boxes' ? rankedOf(answer).length : undefined;

/** What one of several heads says of an image. */
export interface HeadGuesses {
  readonly head: string;
  readonly top: readonly Guess[];
}

/** Returns the guesses of every head by its name; undefined if there are not several. */
export const headGuessesOf = (answer: Answer): readonly HeadGuesses[] | undefined =>
  answer.kind === 'classes' ? answer.heads?.map(({ head = '', top }) => ({ head, top })) : undefined;

/** Returns what is to be said of an answer, of all heads once. */
export const warningsOf = (answer: Answer): readonly string[] =>
  answer.kind === 'text' || answer.kind === 'keypoints'
    ? answer.warnings
    : answer.kind === 'classes'
      ? [...new Set((answer.heads ?? [answer]).flatMap(({ warnings = [] }) => warnings))]
      : [];
