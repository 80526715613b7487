/**
 * From logits and boxes of queries to detections, as transformers' `post_process_object_detection`
 * of each processor has them. Boxes come in as centre x, centre y, width, height in 0 … 1 of the
 * input, and go out as corners in pixels of the image, not clipped to it.
 *
 * The libraries scale boxes by the image's own size even if the input was padded to a batch; one
 * image alone is never padded, so that this is right here.
 */
import type { Size } from '../../domain/size';
import type { Box } from './box';
import { argmax, ofOneImage, sigmoid, softmax, type Values } from './values';

export interface Detection {
  /** Class, or the text's number if classes are texts. */
  readonly label: number;
  readonly score: number;
  readonly box: Box;
  /** Which query said so: its attention is the answer to "where did it look". */
  readonly query: number;
}

export interface DetectionOutputs {
  /** [queries, classes] or [queries, texts] */
  readonly logits: Values;
  /** [queries, 4] */
  readonly boxes: Values;
}

export interface DetectionOptions {
  /** Scores must be above it. */
  readonly threshold: number;
  /** Pairs of a query and a class that are looked at, best first; as many as queries without it. */
  readonly top?: number | undefined;
  /** Boxes are shares of the longer side: the image was padded to a square (OWLv2). */
  readonly square?: boolean | undefined;
}

interface Found {
  readonly query: number;
  readonly label: number;
  readonly score: number;
}

/**
 * How scores come of logits:
 * - `softmax`: softmax with a last class for no object, one detection a query in their order (DETR,
 *   YOLOS);
 * - `pairs`: sigmoid, the `top` best pairs of query and class, best first (Conditional, DAB and
 *   Deformable DETR: 100; RT-DETR: as many as queries);
 * - `texts`: sigmoid of the best text, one detection a query in their order (OWL-ViT, OWLv2).
 */
export type DetectionRule = 'softmax' | 'pairs' | 'texts';

type Rule = (logits: Values, options: DetectionOptions) => readonly Found[];

const rowsOf = ({ shape: [rows = 0, columns = 0], values }: Values): readonly Float32Array[] =>
  Array.from({ length: rows }, (_, row) => values.subarray(row * columns, (row + 1) * columns));

const rules: Readonly<Record<DetectionRule, Rule>> = {
  softmax: (logits) =>
    rowsOf(logits).map((row, query) => {
      const shares = softmax(row).subarray(0, -1);
      const label = argmax(shares);
      return { query, label, score: shares[label] ?? 0 };
    }),
  pairs: ({ shape: [queries = 0, classes = 1], values }, { top = queries }) => {
    const order = Array.from(values.keys()).sort((a, b) => (values[b] ?? 0) - (values[a] ?? 0));
    return order.slice(0, top).map((pair) => ({
      query: Math.floor(pair / classes),
      label: pair % classes,
      score: sigmoid(values[pair] ?? 0),
    }));
  },
  texts: (logits) =>
    rowsOf(logits).map((row, query) => {
      const label = argmax(row);
      return { query, label, score: sigmoid(row[label] ?? 0) };
    }),
};

/** Corners of a query's box in pixels. */
function cornersOf({ values }: Values, query: number, [height, width]: Size): Box {
  const [x = 0, y = 0, w = 0, h = 0] = values.subarray(query * 4, query * 4 + 4);
  return [(x - 0.5 * w) * width, (y - 0.5 * h) * height, (x + 0.5 * w) * width, (y + 0.5 * h) * height];
}

const squareOf = ([height, width]: Size): Size => [Math.max(height, width), Math.max(height, width)];

/**
 * Returns what was detected in one image of `size` (height, width). Throws `OutputShapeError` if
 * logits or boxes have other sides.
 */
export function detectionsOf(
  rule: DetectionRule,
  outputs: DetectionOutputs,
  size: Size,
  options: DetectionOptions,
): readonly Detection[] {
  const logits = ofOneImage(outputs.logits, 2, 'logits');
  const boxes = ofOneImage(outputs.boxes, 2, 'boxes');
  const scale = options.square ? squareOf(size) : size;
  return rules[rule](logits, options)
    .filter(({ score }) => score > options.threshold)
    .map(({ query, label, score }) => ({ label, score, box: cornersOf(boxes, query, scale), query }));
}

/** A detection that names itself by the words that it lights up (Grounding DINO). */
export interface Phrase {
  readonly score: number;
  readonly box: Box;
  readonly query: number;
  /** Positions of the prompt's tokens, which its words are decoded from. */
  readonly tokens: readonly number[];
}

export interface PhraseOptions {
  /** The score, the probability of the best token, must be above it. */
  readonly threshold: number;
  /** Tokens of the phrase are those whose probability is above it. */
  readonly textThreshold: number;
}

/**
 * Returns what was detected by Grounding DINO, in the order of queries: its
 * `post_process_grounded_object_detection`. Logits are [queries, tokens], as many as the text may
 * have; those beyond the prompt are -Infinity. The first position and the last one of the logits
 * never belong to a phrase, but the prompt's own end token may.
 */
export function phrasesOf(
  outputs: DetectionOutputs,
  size: Size,
  { threshold, textThreshold }: PhraseOptions,
): readonly Phrase[] {
  const boxes = ofOneImage(outputs.boxes, 2, 'boxes');
  return rowsOf(ofOneImage(outputs.logits, 2, 'logits')).flatMap((row, query) => {
    const score = sigmoid(row[argmax(row)] ?? -Infinity);
    if (!(score > threshold)) return [];
    const inside = Array.from({ length: Math.max(0, row.length - 2) }, (_, i) => i + 1);
    const tokens = inside.filter((token) => sigmoid(row[token] ?? -Infinity) > textThreshold);
    return [{ score, box: cornersOf(boxes, query, size), query, tokens }];
  });
}
