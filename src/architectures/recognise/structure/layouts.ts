import { ownOrders } from './ownOrders';
import { table } from './table';
import { unlisted } from './unlisted';
import type { WrittenItem, WrittenLayout, WrittenVariant } from './written';

/**
 * A tensor of a layout. `spec` has a character for each of its axes: `1`, `+` (more than 1), `f`
 * (few: 2 to 16), `d` (as long as the first vector or the input of the first matrix of the block),
 * `t` (three times that), `*` (any length).
 */
export interface Leaf {
  readonly name: string;
  readonly spec: string;
  readonly optional: boolean;
  /** Vectors as long as the weight before them: a bias, a norm's second vector or statistics. */
  readonly paired: boolean;
}

/**
 * A numbered list of modules, or a module alone; each holds the tensors of one of the variants.
 */
export interface List {
  /** What stands before the number, or the module's names: `encoder.layer.`. */
  readonly prefix: string;
  readonly numbered: boolean;
  readonly variants: readonly Sequence[];
  readonly optional: boolean;
}

export type Item = Leaf | List;

/** Tensors in the order in which a file has them. */
export interface Sequence {
  readonly items: readonly Item[];
  /**
   * Where members of a list with these tensors stand: `f` only first, `n` never first, `l` only
   * last, `m` never last.
   */
  readonly standing: string;
  /** Place of the tensor that `d` and `t` are measured by, if no list stands before it. */
  readonly measured: number | undefined;
}

/** The order of the tensors in a file. */
export type Order = 'module' | 'name';

/** How one library writes the tensors of one kind of models, one after the other. */
export interface Layout {
  /** `timm VisionTransformer`: for people. */
  readonly title: string;
  readonly order: Order;
  readonly sequence: Sequence;
  /** Which parts outside of lists models have, the most usual first. */
  readonly published: readonly Parts[];
}

/** Names of optional items that are there, and by how many published models. */
interface Parts {
  readonly present: ReadonlySet<string>;
  readonly models: number;
  /** Parts by which they differ from those models: a head that is left out. */
  readonly apart: number;
}

export const isList = (item: Item): item is List => 'prefix' in item;

/** What items are told by: the name, or what all names of a list or module begin with. */
export const nameOf = (item: Item): string => (isList(item) ? item.prefix : item.name);

/** The first of an item's names, as far as they are the same for all variants. */
const sortedBy = (item: Item): string =>
  isList(item) && !item.numbered ? item.prefix + nameOf(item.variants[0]?.items[0] ?? item) : nameOf(item);

const parentOf = (name: string): string => name.replace(/[^./]+$/, '');

/** Leaves whose vectors are as long as their sibling's first axis. */
const pairs = /(?:^|[./])(?:weight|bias|running_mean|running_var)$/;

const arePair = (item: Item | undefined, next: Item): boolean =>
  item !== undefined &&
  !isList(item) &&
  !isList(next) &&
  parentOf(item.name) === parentOf(next.name) &&
  pairs.test(item.name) &&
  pairs.test(next.name);

function parseItem(written: WrittenItem, order: Order): Item {
  const [text, variants] = typeof written === 'string' ? [written, undefined] : written;
  const optional = text.startsWith('?');
  const bare = optional ? text.slice(1) : text;
  if (variants)
    return {
      prefix: bare.replace(/#$/, ''),
      numbered: bare.endsWith('#'),
      optional,
      variants: variants.map((variant) => variantOf(variant, order)),
    };
  const colon = bare.lastIndexOf(':');
  return { name: bare.slice(0, colon), spec: bare.slice(colon + 1), optional, paired: false };
}

function variantOf([standing, ...items]: WrittenVariant, order: Order): Sequence {
  return { ...sequenceOf(items, order), standing };
}

function sequenceOf(written: readonly WrittenItem[], order: Order): Sequence {
  const items = written.map((item) => parseItem(item, order));
  const first = items.find((item) => !isList(item));
  const ordered = order === 'module' ? items : items.toSorted(byName);
  const place = first ? ordered.indexOf(first) : -1;
  const measured = place >= 0 && !ordered.slice(0, place).some(isList) ? place : undefined;
  return {
    items: ordered.map((item, index) =>
      arePair(ordered[index - 1], item) ? { ...item, paired: true } : item,
    ),
    measured,
    standing: '',
  };
}

// Names are compared as safetensors' writers compare them: byte by byte.
function byName(left: Item, right: Item): number {
  const [a, b] = [sortedBy(left), sortedBy(right)];
  return a < b ? -1 : Number(a > b);
}

/**
 * What an optional item is told by: of a module also which tensors it has, of a tensor its axes,
 * for a table of positions is one or the other.
 */
function partOf(item: Item): string {
  if (!isList(item)) return `${item.name}:${item.spec}`;
  if (item.numbered) return nameOf(item);
  return `${item.prefix} ${item.variants.map(({ items }) => items.map(nameOf).toSorted().join()).join()}`;
}

const optionalParts = (items: readonly Item[]): readonly string[] =>
  items.filter(({ optional }) => optional).map(partOf);

function publishedOf({ items }: Sequence, written: WrittenLayout[2]): readonly Parts[] {
  const names = optionalParts(items);
  return written.map(([bits, models]) => ({
    present: new Set(names.filter((_, index) => bits[index] === '1')),
    models,
    apart: 0,
  }));
}

/** A row of the table in the order of the modules, and sorted by name. */
export function layoutsOf([title, items, published]: WrittenLayout): readonly [module: Layout, name: Layout] {
  const parts = publishedOf(sequenceOf(items, 'module'), published);
  const inOrder = (order: Order): Layout => ({
    title,
    order,
    sequence: sequenceOf(items, order),
    published: parts,
  });
  return [inOrder('module'), inOrder('name')];
}

/** Optional items that models have together or not at all: the modules of an attention pooling. */
function bundles({ sequence, published }: Layout): readonly (readonly string[])[] {
  const byModels = new Map<string, string[]>();
  for (const name of optionalParts(sequence.items)) {
    const models = published.map(({ present }) => Number(present.has(name))).join('');
    byModels.set(models, [...(byModels.get(models) ?? []), name]);
  }
  return [...byModels.values()];
}

const withToggled = (present: ReadonlySet<string>, names: readonly string[]): ReadonlySet<string> => {
  const isThere = names.some((name) => present.has(name));
  return new Set(isThere ? [...present].filter((name) => !names.includes(name)) : [...present, ...names]);
};

/**
 * The parts of published models, and those with one bundle more or less: a network whose head was
 * taken off or that was given one.
 */
export function combinations(layout: Layout): readonly Parts[] {
  const near = layout.published.flatMap(({ present, models }) =>
    bundles(layout).map((names) => ({ present: withToggled(present, names), models, apart: 1 })),
  );
  const known = new Map<string, Parts>();
  for (const parts of [...layout.published, ...near]) {
    const key = [...parts.present].toSorted().join();
    const before = known.get(key);
    if (!before || (before.apart > 0 && before.models < parts.models)) known.set(key, parts);
  }
  return [...known.values()];
}

/** A layout's tensors with these of the optional ones. */
export const withParts = ({ sequence }: Layout, { present }: Parts): Sequence => ({
  ...sequence,
  items: sequence.items.filter((item) => !item.optional || present.has(partOf(item))),
});

let parsed: readonly Layout[] | undefined;

/** Every layout, in the order in which modules stand and sorted by name as safetensors has it. */
export function layouts(): readonly Layout[] {
  if (parsed) return parsed;
  const written = JSON.parse(table) as readonly WrittenLayout[];
  parsed = [...[...written, ...unlisted].flatMap(layoutsOf), ...ownOrders.map((row) => layoutsOf(row)[0])];
  return parsed;
}
