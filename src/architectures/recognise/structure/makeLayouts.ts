/** Composes the table of layouts out of header-only descriptions of published models. */
import type { DType } from '../../../checkpoint/tensors';
import { isBuffer } from '../../buffers';
import type { Line } from '../../published/lines';
import type { WrittenItem, WrittenLayout, WrittenVariant } from './written';

interface DescribedLine extends Line {
  readonly dialect: string;
  readonly class?: string;
}

/** Models of which the image network is a part, and networks without transformer blocks. */
const leftOut =
  /^(?:detr|conditional_detr|deformable_detr|rt_detr|yolos|owlvit|owlv2|grounding_dino|upernet|maskformer|mask2former|dpt|depth_anything|glpn|timesformer|vivit|videomae|vilt|blip|git|trocr|dual-encoder|cnn|resnet|convnext|convnextv2|bit|mobilenet_v2|efficientnet|vgg|densenet|regnet|alexnet)$/;

/** A number that may count the members of a list, behind what it counts in a name. */
const numbers = /(^|[./]|encoder_layer_|encoderblock_)(\d+)(?=[./])/g;
const anyNumber = (name: string): string => name.replace(numbers, '$1*');

/** Characters of a layout's row: those of networks in which nothing repeats are far longer. */
const longest = 28_000;

/** A tensor by what is left of its name, and the list that it was found in. */
interface Entry {
  readonly rest: string;
  readonly within: string;
  readonly shape: readonly number[];
}

/** A model's tensors as items: lists, whose names end in `#`, modules, and what they hold. */
type Built =
  | { readonly leaf: string; readonly shape: readonly number[] }
  | { readonly list: string; readonly members: readonly (readonly Built[])[] };

/** What holds of an axis in all models. */
interface Axis {
  readonly one: boolean;
  readonly many: boolean;
  readonly few: boolean;
  readonly measured: boolean;
  readonly tripled: boolean;
}

/** An item of a layout as it grows. */
interface Grown {
  readonly key: string;
  models: number;
  axes?: readonly Axis[];
  variants?: Map<string, Variant>;
}

/** Where members of a kind have been seen. */
interface Seen {
  first: boolean;
  later: boolean;
  last: boolean;
  earlier: boolean;
}

interface Variant {
  readonly items: readonly Grown[];
  readonly seen: Seen;
}

interface Growing {
  items: Grown[];
  models: number;
  readonly published: Map<string, number>;
}

/** Whether members have half of their names in common. */
function areAlike(left: ReadonlySet<string>, right: ReadonlySet<string>): boolean {
  const both = [...left].filter((name) => right.has(name)).length;
  return both / (left.size + right.size - both) >= 0.5;
}

/** Names of what numbered members hold, by the name before the number and the number. */
function membersIn(names: readonly string[]): ReadonlyMap<string, ReadonlyMap<number, Set<string>>> {
  const found = new Map<string, Map<number, Set<string>>>();
  for (const name of names)
    for (const hit of name.matchAll(numbers)) {
      const [, before = '', number = ''] = hit;
      const start = hit.index + before.length;
      const members = found.get(name.slice(0, start)) ?? new Map<number, Set<string>>();
      found.set(name.slice(0, start), members);
      const member = members.get(Number(number)) ?? new Set();
      members.set(Number(number), member.add(anyNumber(name.slice(start + number.length))));
    }
  return found;
}

/** Names before the numbers of lists: members count from 0, and some follow upon one alike. */
function listsOf(lines: readonly Line[]): ReadonlySet<string> {
  const alike = new Set<string>();
  const broken = new Set<string>();
  for (const { tensors } of lines)
    for (const [before, members] of membersIn(tensors.map(([name]) => name))) {
      const inOrder = Array.from({ length: members.size }, (_, index) => members.get(index));
      if (inOrder.includes(undefined)) broken.add(anyNumber(before));
      const follows = inOrder.some((member, index) => {
        const next = inOrder[index + 1];
        return member !== undefined && next !== undefined && areAlike(member, next);
      });
      if (follows) alike.add(anyNumber(before));
    }
  return new Set([...alike].filter((name) => !broken.has(name)));
}

/** What files have of a model in any case: integers are buffers that not all of them store. */
const entriesOf = (tensors: Line['tensors']): readonly Entry[] =>
  tensors
    .filter(([, dtype]) => !isBuffer({ name: '', dtype: dtype as DType }))
    .map(([rest, , shape]) => ({ rest, within: '', shape }));

function build(entries: readonly Entry[], lists: ReadonlySet<string>): readonly Built[] {
  const built: Built[] = [];
  const open = new Map<string, Map<number, Entry[]>>();
  for (const { rest, within, shape } of entries) {
    const hit = [...rest.matchAll(numbers)].find(({ index, 1: before = '' }) =>
      lists.has(anyNumber(`${within}${rest.slice(0, index + before.length)}`)),
    );
    if (!hit) {
      built.push({ leaf: rest, shape });
      continue;
    }
    const [, before = '', number = ''] = hit;
    const prefix = rest.slice(0, hit.index + before.length);
    if (!open.has(prefix)) built.push({ list: `${prefix}#`, members: [] });
    const members = open.get(prefix) ?? new Map<number, Entry[]>();
    open.set(prefix, members);
    const inside = {
      rest: rest.slice(prefix.length + number.length),
      within: `${within}${prefix}*`,
      shape,
    };
    members.set(Number(number), [...(members.get(Number(number)) ?? []), inside]);
  }
  return built.map((item) =>
    'leaf' in item
      ? item
      : {
          ...item,
          members: [...(open.get(item.list.slice(0, -1))?.values() ?? [])].map((each) => build(each, lists)),
        },
  );
}

const parentOf = (name: string): string => name.replace(/[^./]+$/, '');

/**
 * The items outside of lists with those of one module together: a norm has its weight and its bias
 * or is not there. A module that holds others stays apart, since files sorted by name part it.
 */
function byModule(items: readonly Built[]): readonly Built[] {
  const names = items.map((item) => ('leaf' in item ? item.leaf : item.list));
  const holdsOthers = (parent: string): boolean =>
    names.some((name) => name.startsWith(parent) && parentOf(name.replace(/#$/, '')) !== parent);
  const modules = new Map<string, Built[]>();
  const all: Built[] = [];
  for (const item of items) {
    const parent = 'leaf' in item ? parentOf(item.leaf) : '';
    if (!('leaf' in item) || parent === '' || holdsOthers(parent)) {
      all.push(item);
      continue;
    }
    const known = modules.get(parent);
    const leaf = { ...item, leaf: item.leaf.slice(parent.length) };
    if (known) known.push(leaf);
    else {
      const members = [leaf];
      modules.set(parent, members);
      all.push({ list: parent, members: [members] });
    }
  }
  return all;
}

/** What items are the same by: of a module alone all that it holds, too. */
function keyOf(item: Built): string {
  if ('leaf' in item) return `${item.leaf}:${item.shape.length}`;
  if (item.list.endsWith('#')) return `[${item.list}`;
  return `[${item.list}]${item.members.map((body) => body.map(keyOf).join()).join()}`;
}

/** Tables have a row for each token, of which small models have few. */
const table = /pos/;

/** Tensors whose lengths are the width of their block by rule, not by chance. */
const byWidth = /(?:weight|bias|gamma(?:_\d)?|lambda1|kernel|scale)$/;

/** Triples are told of fused projections alone: hidden layers may be as wide by chance. */
const fused = /qkv|in_proj/;

function axesOf(name: string, shape: readonly number[], measure: number): readonly Axis[] {
  return shape.map((length) => ({
    one: length === 1,
    // Tokens and tables are `[1, rows, width]`.
    many: length > 1 && shape.length === 3 && shape[0] === 1,
    few: length > 1 && length <= 16 && shape.length === 3 && shape[0] === 1 && !table.test(name),
    measured: length === measure && byWidth.test(name),
    tripled: fused.test(name) && length === 3 * measure,
  }));
}

/** The length that a block is measured by: of the first vector, or the first matrix' input. */
function measureOf(body: readonly Built[]): number {
  const first = body.find((item) => 'leaf' in item);
  const shape = first && 'leaf' in first ? first.shape : [];
  return (shape.length === 4 ? shape[0] : shape.at(-1)) ?? -1;
}

function grow(grown: Grown, item: Built, measure: number): void {
  grown.models++;
  if ('leaf' in item) {
    const axes = axesOf(item.leaf, item.shape, measure);
    grown.axes = (grown.axes ?? axes).map((axis, index) => ({
      one: axis.one && axes[index]?.one === true,
      many: axis.many && axes[index]?.many === true,
      few: axis.few && axes[index]?.few === true,
      measured: axis.measured && axes[index]?.measured === true,
      tripled: axis.tripled && axes[index]?.tripled === true,
    }));
    return;
  }
  const variants = (grown.variants ??= new Map<string, Variant>());
  item.members.forEach((body, place) => {
    const key = body.map(keyOf).join(' ');
    const variant = variants.get(key) ?? {
      items: body.map((each): Grown => ({ key: keyOf(each), models: 0 })),
      seen: { first: false, later: false, last: false, earlier: false },
    };
    variants.set(key, variant);
    variant.seen[place === 0 ? 'first' : 'later'] = true;
    variant.seen[place === item.members.length - 1 ? 'last' : 'earlier'] = true;
    variant.items.forEach((each, index) => {
      const own = body[index];
      // A module alone has its width by what is around it.
      if (own) grow(each, own, item.list.endsWith('#') ? measureOf(body) : -1);
    });
  });
}

/** The items with those of another model put where it has them; undefined if the orders differ. */
function merged(items: readonly Grown[], model: readonly Built[]): Grown[] | undefined {
  const all = [...items];
  let position = 0;
  for (const item of model) {
    const known = all.findIndex(({ key }) => key === keyOf(item));
    if (known >= 0 && known < position) return undefined;
    if (known < 0) all.splice(position, 0, { key: keyOf(item), models: 0 });
    position = known < 0 ? position + 1 : known + 1;
  }
  return all;
}

function add(growing: Growing[], model: readonly Built[]): void {
  const fitting = growing.find(({ items }) => merged(items, model)) ?? {
    items: [],
    models: 0,
    published: new Map<string, number>(),
  };
  if (fitting.models === 0) growing.push(fitting);
  fitting.items = merged(fitting.items, model) ?? fitting.items;
  fitting.models++;
  const byKey = new Map(fitting.items.map((item) => [item.key, item]));
  for (const item of model) {
    const known = byKey.get(keyOf(item));
    // Outside of lists there is no block whose width the lengths could be measured by.
    if (known) grow(known, item, -1);
  }
  const present = model.map(keyOf).join(' ');
  fitting.published.set(present, (fitting.published.get(present) ?? 0) + 1);
}

const specOf = (axes: readonly Axis[]): string =>
  axes
    .map(({ one, many, few, measured, tripled }) => {
      const known = [one && '1', measured && 'd', tripled && 't', few && 'f', many && '+'];
      return known.find((each) => each !== false) ?? '*';
    })
    .join('');

const nameOfKey = (key: string): string => key.replace(/^\[|\].*$|:\d+$/g, '');

/** Where members stand in the lists of all models, as far as that is the same. */
function standingOf({ first, later, last, earlier }: Seen): string {
  const marks = [
    first && !later && 'f',
    later && !first && 'n',
    last && !earlier && 'l',
    earlier && !last && 'm',
  ];
  return `@${marks.filter((mark) => mark !== false).join('')}`;
}

function written(item: Grown, optional: boolean): WrittenItem {
  const text = `${optional ? '?' : ''}${nameOfKey(item.key)}`;
  if (!item.variants) return `${text}:${specOf(item.axes ?? [])}`;
  return [
    text,
    [...item.variants.values()].map(({ items, seen }): WrittenVariant => [
      item.key.endsWith('#') ? standingOf(seen) : '@',
      ...items.map((each) => written(each, false)),
    ]),
  ];
}

function row(title: string, { items, models, published }: Growing): WrittenLayout {
  const optional = items.filter((item) => item.models < models);
  return [
    title,
    items.map((item) => written(item, item.models < models)),
    [...published].map(([present, count]) => {
      const keys = new Set(present.split(' '));
      return [optional.map(({ key }) => (keys.has(key) ? '1' : '0')).join(''), count];
    }),
  ];
}

/** The text of table.ts. */
export function layoutTable(lines: readonly Line[]): string {
  const kinds = new Map<string, DescribedLine[]>();
  for (const line of lines as readonly DescribedLine[]) {
    if (leftOut.test(line.family)) continue;
    const title = `${line.dialect} ${line.family} ${line.class ?? ''}`.trim();
    kinds.set(title, [...(kinds.get(title) ?? []), line]);
  }
  const rows = [...kinds].flatMap(([title, own]) => {
    const lists = listsOf(own);
    const growing: Growing[] = [];
    for (const { tensors } of own) add(growing, byModule(build(entriesOf(tensors), lists)));
    return growing.map((each) => JSON.stringify(row(title, each)));
  });
  const kept = rows.filter((text) => text.length <= longest);
  return [
    '/** Written by src/architectures/recognise/structure/make.ts; layouts.ts describes and parses it. */',
    `export const table = \`[${kept.join(',\n')}]\`;`,
    '',
  ].join('\n');
}
