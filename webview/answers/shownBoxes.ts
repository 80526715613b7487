import type { Query } from '../../src/domain/query';
import { queryOfBox, type Box, type Boxes } from '../../src/tasks/answer';
import { lowestThreshold } from '../../src/tasks/detect/thresholds';
import type { Look } from './answerView';

/** A box with its place in the answer, which names it. */
export interface IndexedBox {
  readonly index: number;
  readonly box: Box;
}

/** Objects of a class above the threshold. */
export interface ClassCount {
  readonly label: number;
  readonly name: string;
  readonly count: number;
}

/** What a box is called: no word of a text may be sure enough to be its name. */
export const nameOf = ({ name }: Pick<Box, 'name'>): string => (name === '' ? 'no word' : name);

/** Whether the attention of a box's query was asked for. */
export function isQueryOf(answer: Boxes, box: Box, query: Query | undefined): boolean {
  const own = queryOfBox(answer, box);
  if (own.kind === 'query') return query?.kind === 'query' && query.index === own.index;
  return (
    own.kind === 'patch' && query?.kind === 'patch' && query.row === own.row && query.column === own.column
  );
}

/** The score that a box must be above. */
export const thresholdOf = ({ threshold }: Boxes, look: Pick<Look, 'threshold'>): number =>
  look.threshold ?? threshold;

/** The lowest threshold that can be asked for: no box below it was kept. */
export const leastThreshold = ({ threshold }: Boxes): number => Math.min(threshold, lowestThreshold);

/** Boxes above the threshold, the best first. */
function aboveThreshold(answer: Boxes, look: Pick<Look, 'threshold'>): readonly IndexedBox[] {
  const threshold = thresholdOf(answer, look);
  return answer.boxes
    .map((box, index) => ({ index, box }))
    .filter(({ box }) => box.score > threshold)
    .sort((one, other) => other.box.score - one.box.score);
}

/** Boxes that are listed and drawn, the best first: above the threshold, of no class left out. */
export const shownBoxes = (answer: Boxes, look: Pick<Look, 'threshold' | 'hidden'>): readonly IndexedBox[] =>
  aboveThreshold(answer, look).filter(({ box }) => !look.hidden.includes(box.label));

/** Classes above the threshold with their numbers, those left out as well, the most first. */
export function classCounts(answer: Boxes, look: Pick<Look, 'threshold'>): readonly ClassCount[] {
  const counts = new Map<number, ClassCount>();
  for (const { box } of aboveThreshold(answer, look)) {
    const { label, name } = box;
    counts.set(label, { label, name, count: (counts.get(label)?.count ?? 0) + 1 });
  }
  return [...counts.values()].sort((one, other) => other.count - one.count || one.label - other.label);
}
