import type { Masks, Segment } from '../../src/tasks/answer';
import { apart } from '../marks/classColours';

/** The class of what is nothing else, as data sets and torchvision call it. */
const isBackground = ({ name }: Segment): boolean => /^_*background_*$/i.test(name);

/**
 * Numbers of the segments' colours, by their numbers on the map: of classes each has its own,
 * objects of one class are told apart by their numbers. What is behind all of them has none, and
 * the image is seen there.
 */
export function segmentColours({ of, segments }: Masks): ReadonlyMap<number, number> {
  const drawn = segments.filter((segment) => of !== 'classes' || !isBackground(segment));
  const numbers = apart(drawn.map(({ label, id }) => (of === 'classes' ? label : id)));
  return new Map(drawn.map(({ id }, index) => [id, numbers[index] ?? id]));
}
