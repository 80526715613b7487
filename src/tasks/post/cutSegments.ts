/**
 * Segments of queries whose masks are cut to the image's part of the input first, as EoMT's
 * processor of transformers has them. Sizes are [height, width] in pixels.
 */
import { product } from '../../domain/lists';
import type { Size } from '../../domain/size';
import { resizePlane } from './interpolate';
import {
  maskScore,
  type InstanceOptions,
  type MaskOutputs,
  type PanopticOptions,
  type Segment,
  type Segments,
} from './segmentation';
import { argmax, ofOneImage, OutputShapeError, sigmoid, softmax } from './values';

/** What a model of masks says of one image, and where the image lies in the input. */
export interface CutMasks extends MaskOutputs {
  /** Sides of the input, to which masks are brought first. */
  readonly inner: Size;
  /** Sides of the image inside of it, at its top left corner. */
  readonly content: Size;
}

/** Queries of one image: their shares of classes, "no object" last, and their masks. */
function queriesOf({ classes, masks, inner, content }: CutMasks, size: Size) {
  const { shape, values } = ofOneImage(classes, 2, 'class logits');
  const [queries = 0, columns = 0] = shape;
  const { shape: maskShape, values: planes } = ofOneImage(masks, 3, 'masks');
  const [count = 0, height = 0, width = 0] = maskShape;
  if (count !== queries)
    throw new OutputShapeError(`${count} masks and ${queries} rows of class logits found`);
  const pixels = height * width;
  return {
    classes: columns - 1,
    shares: Array.from({ length: queries }, (_, query) =>
      softmax(values.subarray(query * columns, (query + 1) * columns)),
    ),
    /** Logits of a mask at the image's own size; made when it is asked for, as they are large. */
    maskOf(query: number): Float32Array {
      const own = planes.subarray(query * pixels, (query + 1) * pixels);
      return resizePlane(
        resizePlane(own, [height, width], inner, 'bilinear', content),
        content,
        size,
        'bilinear',
      );
    },
  };
}

/** Six decimals, as segments_info has them. */
const rounded = (score: number): number => Number(score.toFixed(6));

/**
 * Instances: each query's best class times the mean probability inside of its mask; those of at
 * least `threshold` are drawn over one another in the order of the queries.
 */
export function cutInstancesOf(masks: CutMasks, size: Size, { threshold }: InstanceOptions): Segments {
  const { shares, classes, maskOf } = queriesOf(masks, size);
  const ids = new Int32Array(product(size)).fill(-1);
  const segments: Segment[] = [];
  shares.forEach((row, query) => {
    const label = argmax(row.subarray(0, classes));
    // No mask makes a score greater.
    if ((row[label] ?? 0) < threshold) return;
    const mask = maskOf(query);
    const score = (row[label] ?? 0) * maskScore(mask);
    if (score < threshold || !mask.some((logit) => logit > 0)) return;
    const id = segments.length;
    for (let pixel = 0; pixel < ids.length; pixel++) if ((mask[pixel] ?? 0) > 0) ids[pixel] = id;
    segments.push({ id, label_id: label, score: rounded(score) });
  });
  return { size, ids, segments };
}

interface Candidate {
  readonly query: number;
  readonly label: number;
  readonly score: number;
}

/** Which candidate wins each pixel and how probable its mask is there, and the areas of masks. */
function contest(
  candidates: readonly Candidate[],
  maskOf: (query: number) => Float32Array,
  pixels: number,
  threshold: number,
) {
  const best = new Float64Array(pixels).fill(-Infinity);
  const winners = new Int32Array(pixels);
  const probable = new Float32Array(pixels);
  const own = candidates.map(({ query, score }, k) => {
    const mask = maskOf(query);
    let area = 0;
    for (let pixel = 0; pixel < pixels; pixel++) {
      const probability = sigmoid(mask[pixel] ?? 0);
      if (probability >= threshold) area++;
      if (score * probability <= (best[pixel] ?? 0)) continue;
      best[pixel] = score * probability;
      winners[pixel] = k;
      probable[pixel] = probability;
    }
    return area;
  });
  return { winners, probable, own };
}

/**
 * Segments of things and stuff, from 0; −1 where no mask is. A pixel counts for the query that wins
 * it and only inside of that query's mask, so that none may have it.
 */
export function cutPanopticOf(masks: CutMasks, size: Size, options: PanopticOptions): Segments {
  const { shares, classes, maskOf } = queriesOf(masks, size);
  const { threshold, maskThreshold, overlapThreshold, fused } = options;
  const candidates = shares.flatMap((row, query): Candidate[] => {
    const label = argmax(row);
    const score = row[label] ?? 0;
    return label === classes || !(score > threshold) ? [] : [{ query, label, score }];
  });
  const pixels = product(size);
  const ids = new Int32Array(pixels).fill(-1);
  const segments: Segment[] = [];
  if (candidates.length === 0) return { size, ids, segments };
  const { winners, probable, own } = contest(candidates, maskOf, pixels, maskThreshold);
  const [won, inside] = [new Int32Array(own.length), new Int32Array(own.length)];
  winners.forEach((k, pixel) => {
    won[k] = (won[k] ?? 0) + 1;
    if ((probable[pixel] ?? 0) >= maskThreshold) inside[k] = (inside[k] ?? 0) + 1;
  });
  const stuff = new Map<number, number>();
  const idOf = candidates.map(({ label, score }, k) => {
    const [area = 0, wins = 0] = [own[k], won[k]];
    if (area === 0 || !inside[k] || !(wins / area > overlapThreshold)) return -1;
    const known = stuff.get(label);
    if (known !== undefined) return known;
    const id = segments.length;
    if (fused.includes(label)) stuff.set(label, id);
    segments.push({ id, label_id: label, score: rounded(score) });
    return id;
  });
  winners.forEach((k, pixel) => {
    if ((probable[pixel] ?? 0) >= maskThreshold) ids[pixel] = idOf[k] ?? -1;
  });
  return { size, ids, segments };
}
