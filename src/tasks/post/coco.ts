/** Answers as a COCO data set (cocodataset.org, "Data format"): what annotation tools open. */
import type { Size } from '../../domain/size';
import type { Box } from './box';
import { areaOf, boundsOf, compressed, runsOf, type Ids } from './rle';

/** A box or a segment, before it has a number. */
export interface Annotation {
  readonly category_id: number;
  /** Left, top, width, height. */
  readonly bbox: readonly [number, number, number, number];
  readonly area: number;
  readonly iscrowd: 0;
  readonly score: number;
  readonly segmentation?: { readonly size: Size; readonly counts: string };
  /** x, y and 2 of every keypoint of the category, in its order; 0, 0, 0 of one not seen. */
  readonly keypoints?: readonly number[];
  readonly num_keypoints?: number;
}

/** An image with what was found on it. */
export interface AnnotatedImage {
  readonly file: string;
  readonly size: Size;
  readonly annotations: readonly Annotation[];
}

/** A map of ids with what each is; without a score it is certain. */
export interface CocoSegments extends Ids {
  readonly segments: readonly { readonly id: number; readonly label: number; readonly score?: number }[];
}

/** Returns the annotation of a box, which may reach outside of the image. */
export function annotationOfBox(label: number, score: number, [x0, y0, x1, y1]: Box): Annotation {
  const [width, height] = [x1 - x0, y1 - y0];
  return { category_id: label, bbox: [x0, y0, width, height], area: width * height, iscrowd: 0, score };
}

/**
 * Returns the annotations of segments, their masks as compressed runs; without those that are drawn
 * over whole.
 */
export function annotationsOfSegments(found: CocoSegments): readonly Annotation[] {
  return found.segments.flatMap(({ id, label, score = 1 }) => {
    const runs = runsOf(found, id);
    const area = areaOf(runs);
    if (area === 0) return [];
    const segmentation = { size: runs.size, counts: compressed(runs) };
    return [{ category_id: label, bbox: boundsOf(runs), area, iscrowd: 0, score, segmentation }];
  });
}

/** A class by the model's own number. */
export interface Category {
  readonly id: number;
  readonly name: string;
  readonly keypoints?: readonly string[];
  /** Pairs of keypoints, counted from 1. */
  readonly skeleton?: readonly (readonly [number, number])[];
}

/** Returns the data set: images and annotations count from 1, categories as the model does. */
export function cocoOf(images: readonly AnnotatedImage[], categories: readonly Category[]) {
  let id = 0;
  return {
    images: images.map(({ file, size: [height, width] }, i) => ({
      id: i + 1,
      file_name: file,
      width,
      height,
    })),
    annotations: images.flatMap(({ annotations }, i) =>
      annotations.map((annotation) => ({ id: ++id, image_id: i + 1, ...annotation })),
    ),
    categories: [...categories].sort((left, right) => left.id - right.id),
  };
}

/** Returns the data set of one image as text. */
export const cocoText = (image: AnnotatedImage, categories: readonly Category[]): string =>
  `${JSON.stringify(cocoOf([image], categories), undefined, 2)}\n`;

/** Each class once. */
export const categoriesOf = (
  found: readonly { readonly label: number; readonly name: string }[],
): readonly Category[] => [
  ...new Map(found.map(({ label, name }) => [label, { id: label, name }] as const)).values(),
];

interface CocoSet {
  readonly images: readonly { readonly id: number }[];
  readonly annotations: readonly { readonly id: number; readonly image_id: number }[];
  readonly categories: readonly Category[];
}

/** Returns one data set of several texts of `cocoText`: images and annotations count on. */
export function joinCoco(texts: readonly string[]): string {
  const sets = texts.map((text) => JSON.parse(text) as CocoSet);
  const categories = new Map(sets.flatMap((set) => set.categories).map((each) => [each.id, each] as const));
  let [images, id] = [0, 0];
  const annotations = sets.flatMap((set) => {
    const before = images;
    images += set.images.length;
    return set.annotations.map((each) => ({ ...each, id: ++id, image_id: before + each.image_id }));
  });
  const joined = {
    images: sets.flatMap((set) => set.images).map((image, index) => ({ ...image, id: index + 1 })),
    annotations,
    categories: [...categories.values()].sort((left, right) => left.id - right.id),
  };
  return `${JSON.stringify(joined, undefined, 2)}\n`;
}
