/**
 * From logits and masks to maps of classes and of segments at the image's own size, as
 * transformers' processors have them. Sizes are [height, width] in pixels.
 */
import { at, product } from '../../domain/lists';
import type { Size } from '../../domain/size';
import { eachRow, largestPlane, nearestPositions, resizePlane, type Planes } from './interpolate';
import { topUnsorted } from './topk';
import { argmax, ofOneImage, OutputShapeError, sigmoid, softmax, type Values } from './values';

/** A number per pixel of the image, row by row. */
export interface IdMap {
  readonly size: Size;
  /** Classes or segments; -1 for none. */
  readonly ids: Int32Array;
}

/** What is known of a segment: the library's `segments_info`. */
export interface Segment {
  readonly id: number;
  readonly label_id: number;
  /** Absent where the library does not say so. */
  readonly was_fused?: boolean;
  readonly score: number;
}

export interface Segments extends IdMap {
  readonly segments: readonly Segment[];
}

const planesOf = (values: Values, what: string): Planes => {
  const { shape, values: numbers } = ofOneImage(values, 3, what);
  const [count = 0, height = 0, width = 0] = shape;
  return { count, size: [height, width], values: numbers };
};

/**
 * Class of every pixel of dense logits [classes, rows, columns]: SegFormer's, UperNet's, BEiT's and
 * DPT's `post_process_semantic_segmentation`. Throws `OutputShapeError` if they have other sides.
 */
export const semanticOf = (logits: Values, size: Size): IdMap => ({
  size,
  ids: largestPlane(planesOf(logits, 'logits'), size),
});

/** What a model of masks says of one image. */
export interface MaskOutputs {
  /** [queries, classes + 1], the last class is no object. */
  readonly classes: Values;
  /** [queries, rows, columns], logits. */
  readonly masks: Values;
  /** Masks are brought to this size before anything else: Mask2Former's 384 × 384. */
  readonly inner?: Size | undefined;
}

/** Mask2Former's processor brings masks to this size, whatever the image's and the input's. */
export const mask2FormerSize: Size = [384, 384];

interface Queries {
  /** Softmax over the classes, no object included: one row a query. */
  readonly shares: readonly Float64Array[];
  readonly classes: number;
  readonly masks: Planes;
}

function queriesOf({ classes, masks, inner }: MaskOutputs): Queries {
  const { shape, values } = ofOneImage(classes, 2, 'class logits');
  const [queries = 0, columns = 0] = shape;
  const planes = planesOf(masks, 'masks');
  if (planes.count !== queries)
    throw new OutputShapeError(`${planes.count} masks and ${queries} rows of class logits found`);
  const shares = Array.from({ length: queries }, (_, query) =>
    softmax(values.subarray(query * columns, (query + 1) * columns)),
  );
  return { shares, classes: columns - 1, masks: inner ? resized(planes, inner) : planes };
}

function resized({ count, size, values }: Planes, to: Size): Planes {
  const out = new Float32Array(count * product(to));
  for (let plane = 0; plane < count; plane++) {
    const own = values.subarray(plane * product(size), (plane + 1) * product(size));
    out.set(resizePlane(own, size, to, 'bilinear'), plane * product(to));
  }
  return { count, size: to, values: out };
}

const sigmoids = (planes: Planes): Planes => ({ ...planes, values: planes.values.map(sigmoid) });

/** What a class adds to a pixel beneath this, no picture's argmax hangs on. */
const leastShare = 1e-8;

/**
 * Class of every pixel by masks of queries: the sum over queries of their share of the class times
 * their mask (MaskFormer, section 3.4), resized to the image, and the largest wins.
 */
export function semanticOfMasks(outputs: MaskOutputs, size: Size): IdMap {
  const { shares, classes, masks } = queriesOf(outputs);
  const [probabilities, pixels] = [sigmoids(masks).values, product(masks.size)];
  const values = new Float32Array(classes * pixels);
  const sums = new Float64Array(chunk);
  for (let start = 0; start < pixels; start += chunk) {
    const length = Math.min(chunk, pixels - start);
    for (let c = 0; c < classes; c++) {
      sums.fill(0);
      shares.forEach((row, query) => {
        const share = row[c] ?? 0;
        if (share >= leastShare) add(sums, share, probabilities, query * pixels + start, length);
      });
      values.set(sums.subarray(0, length), c * pixels + start);
    }
  }
  return { size, ids: largestPlane({ count: classes, size: masks.size, values }, size) };
}

/** Pixels of all queries that fit a processor's cache. */
const chunk = 1024;

function add(sums: Float64Array, share: number, values: Float32Array, from: number, length: number): void {
  for (let i = 0; i < length; i++) sums[i] = (sums[i] ?? 0) + share * (values[from + i] ?? 0);
}

/** Six decimals, as segments_info has them. */
const rounded = (score: number): number => Number(score.toFixed(6));

/** Mean probability of a mask where it is set; 0 of one that is set nowhere. */
export function maskScore(mask: Float32Array): number {
  let [total, count] = [0, 0];
  for (const logit of mask) {
    if (logit <= 0) continue;
    total += sigmoid(logit);
    count++;
  }
  return total / (count + 1e-6);
}

export interface InstanceOptions {
  readonly threshold: number;
}

/**
 * Instances: the best pairs of query and class, as many as queries; each at least at `threshold` is
 * drawn over those before it, in the order of torch's unsorted `topk`. Masks are set where their
 * logit is above 0, and enlarged to the image by nearest: `post_process_instance_segmentation`.
 */
export function instancesOf(outputs: MaskOutputs, size: Size, { threshold }: InstanceOptions): Segments {
  const { shares, classes, masks } = queriesOf(outputs);
  const pixels = product(masks.size);
  const pairs = Float64Array.from(
    { length: shares.length * classes },
    (_, pair) => shares[Math.floor(pair / classes)]?.[pair % classes] ?? 0,
  );
  const [rows, columns] = [
    nearestPositions(masks.size[0], size[0]),
    nearestPositions(masks.size[1], size[1]),
  ];
  const ids = new Int32Array(product(size)).fill(-1);
  const segments: Segment[] = [];
  for (const pair of topUnsorted(pairs, shares.length)) {
    const query = Math.floor(pair / classes);
    const mask = masks.values.subarray(query * pixels, (query + 1) * pixels);
    const score = at(pairs, pair) * maskScore(mask);
    if (score < threshold) continue;
    if (
      !drawn(
        ids,
        segments.length,
        (y, x) => (mask[at(rows, y) * masks.size[1] + at(columns, x)] ?? 0) > 0,
        size,
      )
    )
      continue;
    segments.push({
      id: segments.length,
      label_id: pair % classes,
      was_fused: false,
      score: rounded(score),
    });
  }
  return { size, ids, segments };
}

/** Sets the id where a mask is; returns whether it is anywhere. */
function drawn(ids: Int32Array, id: number, isSet: (y: number, x: number) => boolean, [height, width]: Size) {
  let any = false;
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++)
      if (isSet(y, x)) {
        ids[y * width + x] = id;
        any = true;
      }
  return any;
}

export interface PanopticOptions {
  /** Queries whose best class has no more are dropped. */
  readonly threshold: number;
  /** A mask's own area is where its weighted probability reaches it. */
  readonly maskThreshold: number;
  /** Share of its own area that a mask must win against the others. */
  readonly overlapThreshold: number;
  /** Classes whose segments become one: "stuff". */
  readonly fused: readonly number[];
}

interface Candidate {
  readonly query: number;
  readonly label: number;
  readonly score: number;
}

/** Which candidate wins each pixel, how many each wins, and how many it would have alone. */
function contest(
  masks: Planes,
  candidates: readonly Candidate[],
  size: Size,
  threshold: number,
  valueOf: (logit: number) => number = sigmoid,
) {
  const pixels = product(masks.size);
  const values = new Float32Array(candidates.length * pixels);
  candidates.forEach(({ query }, k) =>
    values.set(masks.values.subarray(query * pixels, (query + 1) * pixels).map(valueOf), k * pixels),
  );
  const [winners, won, own] = [
    new Int32Array(product(size)),
    new Int32Array(candidates.length),
    new Int32Array(candidates.length),
  ];
  const width = size[1];
  const scores = Float64Array.from(candidates, ({ score }) => score);
  eachRow({ count: candidates.length, size: masks.size, values }, size, 'bilinear', (y, rows) => {
    for (let x = 0; x < width; x++) {
      let [best, most] = [0, -Infinity];
      for (let k = 0; k < scores.length; k++) {
        const value = (rows[k * width + x] ?? 0) * (scores[k] ?? 0);
        if (value >= threshold) own[k] = (own[k] ?? 0) + 1;
        if (value > most) [best, most] = [k, value];
      }
      winners[y * width + x] = best;
      won[best] = (won[best] ?? 0) + 1;
    }
  });
  return { winners, won, own };
}

/**
 * Segments of things and stuff: `post_process_panoptic_segmentation`. 0 is no segment, or -1
 * everywhere if no query is left. After a fused segment the library goes on counting from that
 * segment's id, so that two segments may have one id; what it answers is answered here.
 */
export function panopticOf(outputs: MaskOutputs, size: Size, options: PanopticOptions): Segments {
  const { shares, classes, masks } = queriesOf(outputs);
  const candidates = shares.flatMap((row, query): Candidate[] => {
    const label = argmax(row);
    const score = row[label] ?? 0;
    return label === classes || !(score > options.threshold) ? [] : [{ query, label, score }];
  });
  if (candidates.length === 0) return { size, ids: new Int32Array(product(size)).fill(-1), segments: [] };
  return numbered(candidates, contest(masks, candidates, size, options.maskThreshold), size, options);
}

/** Segments of those candidates that win enough of their own area, counted from 1. */
function numbered(
  candidates: readonly Candidate[],
  { winners, won, own }: ReturnType<typeof contest>,
  size: Size,
  options: PanopticOptions,
): Segments {
  const idOf = new Int32Array(candidates.length);
  const stuff = new Map<number, number>();
  const segments: Segment[] = [];
  let current = 0;
  candidates.forEach(({ label, score }, k) => {
    if (at(won, k) === 0 || at(own, k) === 0 || !(at(won, k) / at(own, k) > options.overlapThreshold)) return;
    current = stuff.get(label) ?? current + 1;
    const isFused = options.fused.includes(label);
    if (isFused) stuff.set(label, current);
    idOf[k] = current;
    segments.push({ id: current, label_id: label, was_fused: isFused, score: rounded(score) });
  });
  return { size, ids: winners.map((k) => idOf[k] ?? 0), segments };
}

/**
 * Instances as OneFormer's processor has them: the best pairs of query and class, as many as
 * queries, whose share is above `threshold`, contest each pixel by share times logit, not
 * probability; a mask's own area is where that reaches the mask threshold.
 */
export function contestedInstancesOf(outputs: MaskOutputs, size: Size, options: PanopticOptions): Segments {
  const { shares, classes, masks } = queriesOf(outputs);
  const pairs = Float64Array.from(
    { length: shares.length * classes },
    (_, pair) => shares[Math.floor(pair / classes)]?.[pair % classes] ?? 0,
  );
  const candidates = [...topUnsorted(pairs, shares.length)].flatMap((pair): Candidate[] => {
    const score = at(pairs, pair);
    return score > options.threshold
      ? [{ query: Math.floor(pair / classes), label: pair % classes, score }]
      : [];
  });
  if (candidates.length === 0) return { size, ids: new Int32Array(product(size)).fill(-1), segments: [] };
  const contested = contest(masks, candidates, size, options.maskThreshold, (logit) => logit);
  return numbered(candidates, contested, size, { ...options, fused: [] });
}
