import type { Size } from '../../domain/size';
import { headerDigest } from '../../checkpoint/header';
import type { Tensor } from '../../checkpoint/tensors';
import type { DefaultsName } from '../../preprocessing/defaults';
import { headersNamed, headersOf } from '../../preprocessing/published/models';
import { findPublished } from '../../preprocessing/published/published';
import { isBuffer } from '../buffers';
import { architectures } from './architectures';

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

/** Heads by stage, and image size. */
type Architecture = readonly [heads: readonly number[], height: number, width: number];

let byName: ReadonlyMap<string, Architecture> | undefined;

/** A timm architecture of which no header is known. */
function architectureNamed(name: string): Architecture | undefined {
  byName ??= new Map(Object.entries(JSON.parse(architectures) as Readonly<Record<string, Architecture>>));
  return byName.get(name);
}

/**
 * What timm's architecture of this name has, whatever the file's names and shapes; undefined if
 * nothing is known of it.
 */
export function publishedArchitecture(architecture: string): PublishedHeader | undefined {
  const [own, ...side] = architectureNamed(architecture) ?? [];
  const heads = own ?? headersNamed(architecture)[0]?.[1] ?? undefined;
  const images = findPublished(architecture);
  const profile = images?.kind === 'timm' ? images.profile.imageSize : undefined;
  const [height, width] = side;
  const imageSize: Size | undefined = height !== undefined && width !== undefined ? [height, width] : profile;
  return heads || imageSize ? { models: [architecture], heads, imageSize, pixels: undefined } : undefined;
}
