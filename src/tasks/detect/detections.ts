import type { OutputValues } from '../task';

/** A box as a model answers it, best named first by its query. */
export interface Detection {
  /** Index of the class. */
  readonly label: number;
  readonly score: number;
  /** Corners in pixels of the image, not clipped to it. */
  readonly box: readonly [x0: number, y0: number, x1: number, y1: number];
  /** The query that answers so. */
  readonly query: number;
}

export interface DetectionOptions {
  readonly rule: 'softmax' | 'pairs' | 'texts' | 'phrases';
  readonly top?: number;
  readonly square?: boolean;
}

type Picked = Pick<Detection, 'label' | 'score' | 'query'>;
type Rule = (logits: Float32Array, queries: number, classes: number, options: DetectionOptions) => Picked[];

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));

/** Index and value of the greatest of `count` numbers from `first` on. */
function best(values: ArrayLike<number>, first: number, count: number): readonly [number, number] {
  let [index, value] = [0, -Infinity];
  for (let each = 0; each < count; each++) {
    const here = values[first + each] ?? -Infinity;
    if (here > value) [index, value] = [each, here];
  }
  return [index, value];
}

const rules: Readonly<Record<DetectionOptions['rule'], Rule>> = {
  // Carion et al. 2020: the best class but the last, which is "no object".
  softmax: (logits, queries, classes) =>
    Array.from({ length: queries }, (_, query) => {
      const first = query * classes;
      const [label, value] = best(logits, first, classes - 1);
      const highest = Math.max(value, logits[first + classes - 1] ?? -Infinity);
      let total = 0;
      for (let each = 0; each < classes; each++) total += Math.exp((logits[first + each] ?? 0) - highest);
      return { label, score: Math.exp(value - highest) / total, query };
    }),
  // Zhu et al. 2021 (Deformable DETR): the best pairs of query and class, each by itself.
  pairs: (logits, queries, classes, { top = queries }) =>
    Array.from(logits, (value, index) => ({ value, index }))
      .sort((left, right) => right.value - left.value || left.index - right.index)
      .slice(0, Math.min(top, logits.length))
      .map(({ value, index }) => ({
        label: index % classes,
        score: sigmoid(value),
        query: Math.floor(index / classes),
      })),
  texts: (logits, queries, classes) =>
    Array.from({ length: queries }, (_, query) => {
      const [label, value] = best(logits, query * classes, classes);
      return { label, score: sigmoid(value), query };
    }),
  phrases: (logits, queries, classes) =>
    Array.from({ length: queries }, (_, query) => {
      const [label, value] = best(logits, query * classes, classes);
      return { label, score: sigmoid(value), query };
    }),
};

/**
 * Boxes of a detector, in its library's order.
 *
 * @param logits `[1, queries, classes]`
 * @param boxes `[1, queries, 4]`: centre x, centre y, width, height in 0 … 1
 * @param size `[height, width]` of the image, whatever padding the model saw
 */
export function detections(
  logits: OutputValues,
  boxes: OutputValues,
  [height, width]: readonly [number, number],
  options: DetectionOptions,
): readonly Detection[] {
  const [queries = 0, classes = 0] = logits.shape.slice(-2);
  const longer = Math.max(height, width);
  const [across, down] = options.square ? [longer, longer] : [width, height];
  return rules[options.rule](logits.values, queries, classes, options).map((picked) => {
    const [x = 0, y = 0, w = 0, h = 0] = boxes.values.subarray(picked.query * 4, picked.query * 4 + 4);
    const box = [(x - w / 2) * across, (y - h / 2) * down, (x + w / 2) * across, (y + h / 2) * down] as const;
    return { ...picked, box };
  });
}
