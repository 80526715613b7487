import {
  combinations,
  isList,
  withParts,
  type Item,
  type Layout,
  type Leaf,
  type List,
  type Sequence,
} from './layouts';

type Shape = readonly number[];

/** A reading of a file: the name of each of its tensors, in the file's order. */
export interface Match {
  readonly layout: Layout;
  readonly names: readonly string[];
  /** Parts by which it differs from the published model that it is nearest to. */
  readonly apart: number;
  /** How many published models have those parts. */
  readonly published: number;
}

/** Steps after which a layout is given up: shapes that go on and on fit it in too many ways. */
const mostSteps = 200_000;
/** Readings of one sequence that are looked at: one that fits is mostly the only one. */
const mostFound = 24;

/** Registers that a model has at most; a longer table is one of positions. */
const mostTokens = 16;

/** A list as it is walked through: its number of members is known once it has ended. */
interface Run {
  count: number;
}

/** Where a tensor lies: in member `index` of a list, which may itself lie in another's. */
interface Place {
  readonly outer: Place | undefined;
  readonly list: List;
  readonly run: Run;
  readonly index: number;
}

interface Placed {
  readonly name: string;
  readonly place: Place | undefined;
}

/** Where the search stands: what follows does not depend on the numbers of members before it. */
interface Site {
  readonly key: string;
  readonly place: Place | undefined;
  /** The length `d` of the block. */
  readonly measure: number | undefined;
}

/** The member of a list that was found last. */
interface From {
  readonly variant: Sequence;
  readonly position: number;
}

interface Started {
  readonly run: Run;
  readonly from: From | undefined;
}

/** The kinds of a list's members, that of the last one first. */
const variantsBehind = ({ variants }: List, last: Sequence | undefined): readonly Sequence[] =>
  last ? [last, ...variants.filter((each) => each !== last)] : variants;

/** Goes on behind a position; true ends the search. */
type Next = (position: number) => boolean;

/** Number of a member: files sorted by name have `10` before `2`. */
function numberOf({ list, run, index }: Place, order: Layout['order']): string {
  if (!list.numbered) return '';
  const numbers = Array.from({ length: run.count }, (_, number) => String(number));
  return (order === 'module' ? numbers : numbers.toSorted())[index] ?? String(index);
}

function fits(spec: string, shape: Shape, measure: number | undefined): boolean {
  if (shape.length !== spec.length) return false;
  return shape.every((length, axis) => {
    const wanted = spec[axis];
    if (wanted === '1') return length === 1;
    if (wanted === '+') return length > 1;
    if (wanted === 'f') return length > 1 && length <= mostTokens;
    if (measure === undefined || wanted === '*') return true;
    return length === (wanted === 't' ? 3 * measure : measure);
  });
}

/** A vector beside a weight, in either order, is as long as the weight's first axis. */
const arePaired = (left: Shape, right: Shape): boolean =>
  (left.length !== 1 && right.length !== 1) || left[0] === right[0];

/** The length that a block is measured by: a vector's, a matrix' input's, a kernel's output's. */
const measureOf = (shape: Shape): number | undefined => (shape.length === 4 ? shape[0] : shape.at(-1));

/** Whether members of a list stand where those of published models do, or anywhere. */
export type Standing = 'published' | 'any';

/** A search for the ways in which shapes, one after the other, are those of a sequence. */
class Search {
  private steps = 0;
  private readonly placed: Placed[] = [];
  private readonly hopeless = new Set<string>();
  readonly found: (readonly string[])[] = [];

  constructor(
    private readonly order: Layout['order'],
    private readonly shapes: readonly Shape[],
    private readonly standing: Standing,
  ) {}

  run(sequence: Sequence): readonly (readonly string[])[] {
    this.sequence(sequence, 0, 0, { key: '', place: undefined, measure: undefined }, (end) => {
      if (end === this.shapes.length)
        this.found.push(this.placed.slice(0, end).map((placed) => this.fullName(placed)));
      return this.found.length >= mostFound;
    });
    return this.found;
  }

  private fullName({ name, place }: Placed): string {
    return place
      ? this.fullName({
          name: `${place.list.prefix}${numberOf(place, this.order)}${name}`,
          place: place.outer,
        })
      : name;
  }

  /** Items from `from` on at a position; then what `next` says. */
  private sequence(sequence: Sequence, from: number, at: number, site: Site, next: Next): boolean {
    let position = at;
    for (let index = from; index < sequence.items.length; index++) {
      const item = sequence.items[index] as Item;
      if (isList(item)) {
        const inner = { ...site, key: `${site.key}/${index}` };
        return this.list(item, { run: { count: 0 }, from: undefined }, position, inner, (end) =>
          this.sequence(sequence, index + 1, end, site, next),
        );
      }
      if (!this.leaf(item, position++, site)) return false;
    }
    return next(position);
  }

  private leaf({ name, spec, paired }: Leaf, position: number, { place, measure }: Site): boolean {
    const shape = this.shapes[position];
    if (++this.steps > mostSteps || !shape || !fits(spec, shape, measure)) return false;
    if (paired && !arePaired(this.shapes[position - 1] ?? [], shape)) return false;
    this.placed[position] = { name, place };
    return true;
  }

  /**
   * One more member of a list, of the kind of the one before it if that fits, or what follows: at
   * once if the member would have other sizes, for it may be the first of another list.
   */
  private list(list: List, { run, from }: Started, position: number, site: Site, next: Next): boolean {
    const state = `${site.key}@${position}:${from?.variant.standing}:${run.count > 0}`;
    if (this.hopeless.has(state) || this.steps > mostSteps) return false;
    const known = this.found.length;
    const { count } = run;
    const ends = (): boolean => {
      run.count = count;
      return from !== undefined && !this.stands(from.variant, 'm') && next(position);
    };
    const goesOn = (): boolean =>
      (list.numbered || count === 0) &&
      !(from && this.stands(from.variant, 'l')) &&
      variantsBehind(list, from?.variant)
        .filter((variant) => !this.stands(variant, count === 0 ? 'n' : 'f'))
        .some((variant) => this.member(list, { run, from: { variant, position } }, position, site, next));
    const found = this.repeats(from, position) ? goesOn() || ends() : ends() || goesOn();
    if (!found && this.found.length === known) this.hopeless.add(state);
    return found;
  }

  private stands({ standing }: Sequence, mark: 'f' | 'n' | 'l' | 'm'): boolean {
    return this.standing === 'published' && standing.includes(mark);
  }

  private member(
    list: List,
    started: Started & { from: From },
    position: number,
    site: Site,
    next: Next,
  ): boolean {
    const { run, from } = started;
    const index = run.count;
    const measure = this.measured(from.variant, position);
    const inside = {
      key: `${site.key}.${list.variants.indexOf(from.variant)}:${measure}`,
      place: { outer: site.place, list, run, index },
      measure: measure ?? site.measure,
    };
    const found = this.sequence(from.variant, 0, position, inside, (end) => {
      run.count = index + 1;
      return end > position && this.list(list, started, end, site, next);
    });
    if (!found) run.count = index;
    return found;
  }

  /** Whether tensors from a position on have the shapes of the member before it. */
  private repeats(from: From | undefined, position: number): boolean {
    if (!from) return true;
    const length = position - from.position;
    return this.shapes
      .slice(position, position + length)
      .every((shape, index) => shape.join() === this.shapes[from.position + index]?.join());
  }

  private measured({ measured }: Sequence, position: number): number | undefined {
    const shape = measured === undefined ? undefined : this.shapes[position + measured];
    return shape && measureOf(shape);
  }
}

/** The ways in which shapes, in the order of the file, are those of a layout; a few at most. */
export const matchesOf = (
  layout: Layout,
  shapes: readonly Shape[],
  standing: Standing = 'published',
): readonly Match[] =>
  combinations(layout).flatMap((parts) =>
    new Search(layout.order, shapes, standing)
      .run(withParts(layout, parts))
      .map((names) => ({ layout, names, apart: parts.apart, published: parts.models })),
  );
