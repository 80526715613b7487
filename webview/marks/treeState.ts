import type { ModuleRow } from '../../src/domain/report';

/**
 * A line of the tree as it is drawn: a module, a group of identical ones, or the line that unfolds
 * a group's members.
 */
export interface TreeLine {
  /** Stays the same while other lines open and close. */
  readonly key: string;
  readonly kind: 'module' | 'members';
  /** Index of the module row; for `members` that of the group. */
  readonly index: number;
  /** 1 at the root, as `aria-level` counts. */
  readonly level: number;
  readonly expandable: boolean;
  readonly expanded: boolean;
  /** 1-based place among its siblings, and how many they are. */
  readonly position: number;
  readonly siblings: number;
  /** Text that typing ahead looks at. */
  readonly name: string;
}

/** The tree's links, computed once per model. */
export interface Tree {
  readonly rows: readonly ModuleRow[];
  readonly roots: readonly number[];
  /**
   * Per row: what it shows when expanded (a group: the structure that its members have in common).
   */
  readonly children: readonly (readonly number[])[];
}

export function deriveTree(rows: readonly ModuleRow[]): Tree {
  const nested: number[][] = rows.map(() => []);
  const roots: number[] = [];
  const members = new Set(rows.flatMap((row) => row.members));
  rows.forEach((row, index) => {
    if (members.has(index)) return;
    (nested[row.parent] ?? roots).push(index);
  });
  const children = rows.map((row, index) => {
    const own = nested[index] ?? [];
    // A group without rows of its own shows its first member's.
    return own.length > 0 || row.kind === 'module' ? own : (nested[row.members[0] ?? -1] ?? []);
  });
  return { rows, roots, children };
}

/** Key of a row: its index is what tells a group from its first member, which has the same path. */
export const keyOf = (index: number): string => String(index);
export const membersKeyOf = (index: number): string => `${index}:members`;

/**
 * The lines to draw, in order. `shown`, if given, is the result of a search: only those rows,
 * all of them open.
 */
export function visibleLines(
  tree: Tree,
  expanded: ReadonlySet<string>,
  shown?: ReadonlySet<number>,
): readonly TreeLine[] {
  const lines: TreeLine[] = [];
  const visit = (indices: readonly number[], level: number, tail?: TreeLine): void => {
    const drawn = shown ? indices.filter((index) => shown.has(index)) : indices;
    const siblings = drawn.length + (tail ? 1 : 0);
    drawn.forEach((index, at) => visitRow(index, level, at + 1, siblings));
    if (tail) visitMembers({ ...tail, level, position: siblings, siblings });
  };
  const visitRow = (index: number, level: number, position: number, siblings: number): void => {
    const row = tree.rows[index];
    if (!row) return;
    const key = keyOf(index);
    const expandable = (tree.children[index]?.length ?? 0) > 0 || row.members.length > 0;
    const open = expandable && (shown ? hasShownChild(tree, index, shown) : expanded.has(key));
    lines.push({
      key,
      kind: 'module',
      index,
      level,
      expandable,
      expanded: open,
      position,
      siblings,
      name: row.name,
    });
    if (open)
      visit(tree.children[index] ?? [], level + 1, membersLine(row, index, level + 1, expanded, shown));
  };
  const visitMembers = (line: TreeLine): void => {
    lines.push(line);
    if (line.expanded) visit(tree.rows[line.index]?.members ?? [], line.level + 1);
  };
  visit(tree.roots, 1);
  return lines;
}

function membersLine(
  row: ModuleRow,
  index: number,
  level: number,
  expanded: ReadonlySet<string>,
  shown: ReadonlySet<number> | undefined,
): TreeLine | undefined {
  if (row.members.length === 0) return undefined;
  const found = row.members.some((member) => shown?.has(member));
  if (shown && !found) return undefined;
  const key = membersKeyOf(index);
  return {
    key,
    kind: 'members',
    index,
    level,
    expandable: true,
    expanded: shown ? found : expanded.has(key),
    position: 1,
    siblings: 1,
    name: membersText(row),
  };
}

/** `24 single modules, blocks.0 … 23`. */
const membersText = ({ members, path, name }: ModuleRow): string =>
  `${members.length} single modules, ${path} … ${name.split(' … ').at(-1)}`;

const hasShownChild = (tree: Tree, index: number, shown: ReadonlySet<number>): boolean =>
  [...(tree.children[index] ?? []), ...(tree.rows[index]?.members ?? [])].some((child) => shown.has(child));

/**
 * Rows that a search leaves: those that match, what is inside them, and what they are inside of.
 * Members of a group are searched only if their common structure does not match, else every hit
 * would come thirteen times.
 */
export function searchRows(tree: Tree, query: string, text: (row: ModuleRow) => string): Found {
  const wanted = query.toLowerCase().split(/\s+/).filter(Boolean);
  const shown = new Set<number>();
  let hits = 0;
  const matches = (row: ModuleRow): boolean => {
    const own = text(row).toLowerCase();
    return wanted.every((word) => own.includes(word));
  };
  const visit = (index: number): boolean => {
    const row = tree.rows[index];
    if (!row) return false;
    const self = matches(row);
    const common = (tree.children[index] ?? []).filter(visit).length > 0;
    const single = !common && !self && row.members.filter(visit).length > 0;
    if (self) hits++;
    if (self || common || single) shown.add(index);
    return self || common || single;
  };
  tree.roots.forEach(visit);
  return { shown, hits };
}

/** What a search leaves of the tree, and how many rows match by themselves. */
export interface Found {
  readonly shown: ReadonlySet<number>;
  readonly hits: number;
}

/**
 * The row of a module by its path, the file's own path of it or one inside of it that has no row;
 * those that are not folded into a group come first.
 */
export function findModule(rows: readonly ModuleRow[], path: string): number | undefined {
  const named = (wanted: string): number | undefined => {
    const all = rows.flatMap((row, index) => (row.path === wanted || row.ownPath === wanted ? [index] : []));
    return all.find((index) => !rows[index]?.folded) ?? all[0];
  };
  // JAX's own names are divided by slashes.
  for (let wanted = path; wanted !== ''; wanted = wanted.replace(/(?:^|[./])[^./]*$/, '')) {
    const found = named(wanted);
    if (found !== undefined) return found;
  }
  return path === '' ? named('') : undefined;
}

/** The row that stands for one inside of a group's member: the same place in what they share. */
export function standIn(rows: readonly ModuleRow[], index: number): number {
  const row = rows[index];
  if (!row?.folded) return index;
  let member = row;
  let group = rows[row.parent];
  while (group && group.folded) [member, group] = [group, rows[group.parent]];
  if (!group) return index;
  const inside = row.path.slice(member.path.length);
  const shared = rows.findIndex((each) => !each.folded && each.path === `${group.path}${inside}`);
  return shared < 0 ? rows.indexOf(group) : shared;
}

/** The row of the module that holds a tensor: what it shares with others before its own. */
export function holderOf(rows: readonly ModuleRow[], tensor: number): number | undefined {
  const found = rows.findIndex(({ kind, tensors }) => kind === 'module' && tensors.includes(tensor));
  return found < 0 ? undefined : found;
}

export interface TreeMove {
  /** Key of the line to go to. */
  readonly active?: string;
  /** Line to open or close. */
  readonly toggle?: { readonly keys: readonly string[]; readonly open: boolean };
}

/**
 * What a key does in ARIA's tree-grid pattern with rows as the only focusable part; undefined if
 * it does nothing.
 */
export function moveInTree(
  lines: readonly TreeLine[],
  activeKey: string | undefined,
  key: string,
  page: number,
): TreeMove | undefined {
  const at = Math.max(
    0,
    lines.findIndex((line) => line.key === activeKey),
  );
  const line = lines[at];
  if (!line) return undefined;
  const go = (target: number): TreeMove => {
    const found = lines[Math.min(lines.length - 1, Math.max(0, target))];
    return found ? { active: found.key } : {};
  };
  switch (key) {
    case 'ArrowDown':
      return go(at + 1);
    case 'ArrowUp':
      return go(at - 1);
    case 'PageDown':
      return go(at + page);
    case 'PageUp':
      return go(at - page);
    case 'Home':
      return go(0);
    case 'End':
      return go(lines.length - 1);
    case 'ArrowRight':
      if (line.expandable && !line.expanded) return { toggle: { keys: [line.key], open: true } };
      return line.expanded ? go(at + 1) : {};
    case 'ArrowLeft':
      if (line.expanded) return { toggle: { keys: [line.key], open: false } };
      return go(parentAt(lines, at));
    case '*':
      return { toggle: { keys: siblingKeys(lines, at), open: true } };
    default:
      return undefined;
  }
}

/** The next line, wrapping around, whose name begins with what was typed. */
export function typeAhead(
  lines: readonly TreeLine[],
  activeKey: string | undefined,
  typed: string,
): TreeMove | undefined {
  const at = lines.findIndex((line) => line.key === activeKey);
  // One letter looks for the next line; more letters refine and may stay where they are.
  const start = typed.length > 1 ? Math.max(0, at) : at + 1;
  const ordered = [...lines.slice(start), ...lines.slice(0, start)];
  const found = ordered.find((line) => line.name.toLowerCase().startsWith(typed.toLowerCase()));
  return found && { active: found.key };
}

function parentAt(lines: readonly TreeLine[], at: number): number {
  const level = lines[at]?.level ?? 1;
  for (let index = at - 1; index >= 0; index--) if ((lines[index]?.level ?? 0) < level) return index;
  return at;
}

function siblingKeys(lines: readonly TreeLine[], at: number): readonly string[] {
  const parent = parentAt(lines, at);
  const level = lines[at]?.level ?? 1;
  const first = parent === at ? 0 : parent + 1;
  const rest = lines.slice(first);
  const end = rest.findIndex((line) => line.level < level);
  return (end < 0 ? rest : rest.slice(0, end))
    .filter((line) => line.level === level && line.expandable)
    .map((line) => line.key);
}
