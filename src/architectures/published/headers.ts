import type { Size } from '../../domain/size';
import { headerDigest } from '../../checkpoint/header';
import type { Tensor } from '../../checkpoint/tensors';
import type { DefaultsName } from '../../preprocessing/defaults';
import { headersOf } from '../../preprocessing/published/models';
import { isBuffer } from '../buffers';

/** What a published model's weights do not hold, found by their names and shapes. */
export interface PublishedHeader {
  readonly models: readonly string[];
  /** Heads of each group of attention blocks, in order; undefined if there is none. */
  readonly heads: readonly number[] | undefined;
  /** undefined if weights of the same names and shapes are published with several sizes. */
  readonly imageSize: Size | undefined;
  /**
   * Name of its pixels' normalisation in the preprocessing table; undefined if the library does
   * not say.
   */
  readonly pixels: DefaultsName | undefined;
}

/** Classifiers: fine-tuned models have others. */
const classifier = /(?:^|\.)(?:head|heads|head_dist|fc|classifier|cls_classifier|distillation_classifier)\./;

/**
 * Twelve hexadecimal digits of the names and shapes of all parameters but the classifier's, in any
 * order.
 */
export function publishedHeaderKey(
  tensors: readonly Pick<Tensor, 'name' | 'shape' | 'dtype' | 'buffer'>[],
): string {
  const counted = tensors.filter((tensor) => !isBuffer(tensor) && !classifier.test(tensor.name));
  return headerDigest(counted, 'sha1', 'x').slice(0, 12);
}

/** Published models with these names and shapes. */
export function publishedHeaders(tensors: readonly Tensor[]): readonly PublishedHeader[] {
  return headersOf(publishedHeaderKey(tensors)).map(({ row: [, heads, imageSize, pixels], models }) => ({
    models,
    heads: heads ?? undefined,
    imageSize: imageSize ?? undefined,
    pixels: pixels ?? undefined,
  }));
}
