import type { VNode } from 'preact';
import { useMemo } from 'preact/hooks';
import type { ColourMap } from '../../../src/attention/colourMaps';
import type { ExplainQuestion } from '../../../src/domain/explanation';
import { Legend, Readout } from './legend';
import { differenceOf, mapScale } from './mapScale';
import type { SheetPart } from './sheet';
import { isSameSubject, type Drawn, type WhySettings } from './state';
import { WhyMap, type WhyMapProps } from './whyMap';

/** The first map minus the second, if both lie on one image and are of one method. */
export function useDifference(
  drawn: readonly Drawn[],
  questions: readonly (ExplainQuestion | undefined)[],
  { clipped }: WhySettings,
  colourMap: ColourMap,
): SheetPart | undefined {
  const [one, other] = drawn;
  return useMemo(() => {
    const isAsked = (each: Drawn, index: number): boolean =>
      JSON.stringify(each.question) === JSON.stringify(questions[index]);
    if (!one?.shown.map || !other?.shown.map || ![one, other].every(isAsked)) return undefined;
    const names = namesOf(one, other);
    if (!names) return undefined;
    const map = differenceOf(one.shown.map, other.shown.map, names);
    const { seen } = one.subject.view;
    return map && { title: names.join(' − '), seen, map, scale: mapScale(map, { clipped, colourMap }) };
  }, [one, other, JSON.stringify(questions), clipped, colourMap]);
}

/** What the two maps are called in what is between them; undefined if they cannot be compared. */
function namesOf(one: Drawn, other: Drawn): readonly [string, string] | undefined {
  if (one.question.method !== other.question.method) return undefined;
  const label = ({ subject: { explainable }, question: { target } }: Drawn): string =>
    explainable.labels[target] ?? String(target);
  if (isSameSubject(one.subject.about, other.subject.about))
    return one.question.target === other.question.target ? undefined : [label(one), label(other)];
  // Of two images, or of two parts of one, the same place is another thing.
  const place = ({ subject: { view } }: Drawn): string =>
    JSON.stringify([view.seen.image, view.seen.size, view.seen.region]);
  if (place(one) !== place(other)) return undefined;
  const named = (each: Drawn): string => `${label(each)} (${each.subject.title})`;
  return [named(one), named(other)];
}

export interface DifferenceProps extends Pick<WhyMapProps, 'look' | 'highest' | 'cursor' | 'onCursor'> {
  readonly part: SheetPart;
}

/** A column of its own, behind the two that it is between. */
export const Difference = ({ part, ...shared }: DifferenceProps): VNode => (
  <section class="why-column" aria-label={`Difference: ${part.title}`}>
    <div class="why-head">
      <strong>{part.title}</strong>
    </div>
    <WhyMap
      {...shared}
      seen={part.seen}
      map={part.map}
      scale={part.scale}
      onKey={() => false}
      label={`Difference: ${part.title}. Arrow keys move the cursor.`}
    />
    <Legend map={part.map} scale={part.scale} />
    <Readout map={part.map} cursor={shared.cursor} hint="" />
  </section>
);
