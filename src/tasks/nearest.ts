import { cosineOf } from './answer';

/** An image, and the cosine of the angle between its vector and another's. */
export interface NearImage {
  readonly image: string;
  readonly cosine: number;
}

/** Images by how near their vectors are to one, the nearest first; all without a count. */
export const nearestOf = (
  own: Float32Array,
  others: readonly { readonly image: string; readonly vector: Float32Array }[],
  count = others.length,
): readonly NearImage[] =>
  others
    .map(({ image, vector }) => ({ image, cosine: cosineOf(own, vector) }))
    .sort((one, other) => other.cosine - one.cosine)
    .slice(0, count);
