import { isBuffer } from '../architectures/buffers';
import type { TensorRole } from '../architectures/family';
import { limits } from '../checkpoint/limits';
import { dtypes, elementCount, type DType, type Tensor } from '../checkpoint/tensors';
import { at, largest, last } from '../domain/lists';
import type { Graph, Initializer } from '../graph/graph';
import type { NamedGraph } from '../models/model';
import type { Probe } from '../domain/probes';
import type { ModuleRow } from '../domain/report';
import { exact, exactSum } from './exact';
import { describeModule, type ModuleRole, type Note } from './moduleNotes';
import { withoutBatch } from './shapes';
import { mixingScope, sumMacs, workOf, type Work } from './work';

type Roles = ReadonlyMap<string, TensorRole>;

/** A module while the tree is built. */
interface Module {
  readonly path: string;
  readonly name: string;
  readonly children: Map<string, Module>;
  readonly own: Work[];
  /**
   * Elements of each of its own tensors (by index), which may be a part of a tensor that several
   * modules share.
   */
  readonly elements: Map<number, number>;
}

/** A module with everything summed up, before rows are numbered. */
interface Summary {
  readonly row: Omit<ModuleRow, 'parent' | 'depth' | 'kind' | 'count' | 'members' | 'folded' | 'part'>;
  readonly children: readonly Summary[];
  readonly role: ModuleRole;
  readonly own: readonly Work[];
  /** The last of its operators, its children's among them; absent if it has none. */
  readonly latest: Work | undefined;
  readonly stored: readonly Stored[];
  /** Equal for modules that can stand for each other. */
  readonly signature: number;
  /** Of a part's own row, and of no module inside: the part. */
  readonly part?: string;
}

/**
 * The model as a tree of modules in execution order: the operators of its graphs by scope, with the
 * tensors they read. Several parts are a row each, around their modules. A parameter that several
 * modules read counts where it is read first; tensors that no operator reads stand where their
 * names put them.
 */
export function moduleTree(
  parts: readonly NamedGraph[],
  tensors: readonly Tensor[],
  roles: Roles,
): readonly ModuleRow[] {
  const roots = parts.map(({ name, graph }): PartRoot => ({ name, graph, root: createModule('', '') }));
  const readers = new Map<number, Reader[]>();
  const places = new Map(tensors.map(({ name }, index) => [name, index] as const));
  for (const { graph, root } of roots)
    for (const [initializer, scope] of firstReads(graph, root)) {
      const index = places.get(initializer.data.tensor);
      if (index === undefined) continue;
      const { first } = initializer.data;
      const range = { first, end: first + elementCount(initializer.shape) };
      const known = readers.get(index) ?? [];
      // The same elements under another shape or name are the same parameter.
      if (uncovered(range, known) === 0) continue;
      const owner = ensure(root, ownerPath(initializer, scope));
      readers.set(index, [...known, { ...range, owner }]);
    }
  readers.forEach((own, index) => shareOut(index, elementCount(at(tensors, index).shape), own));
  const [alone, ...others] = roots;
  if (alone && others.length === 0) {
    placeUnread(() => alone.root, tensors, readers);
    return emitted(summariseRoot(alone.root, { graph: alone.graph, tensors, roles }));
  }
  const around = createModule('', '');
  placeUnread((path) => nearest(roots, path)?.root ?? around, tensors, readers);
  return emitted(joined(around, roots, { tensors, roles }));
}

/** A part while its tree is built. */
interface PartRoot extends NamedGraph {
  readonly root: Module;
}

/** The part that has most of the modules on a path; undefined if none has the outermost. */
function nearest(roots: readonly PartRoot[], path: string): PartRoot | undefined {
  const levels = roots.map(({ root }) => levelsWithin(root, path));
  const most = largest([0, ...levels]);
  return most > 0 ? roots[levels.indexOf(most)] : undefined;
}

/** How many of the modules on a path, from the outermost on, a tree has. */
function levelsWithin(root: Module, path: string): number {
  let module: Module | undefined = root;
  const names = levelsOf(path);
  const missing = names.findIndex((name) => (module = module?.children.get(name)) === undefined);
  return missing < 0 ? names.length : missing;
}

/** The parts of a model as the children of its root, and beside them what none of them reads. */
function joined(
  around: Module,
  roots: readonly PartRoot[],
  facts: Pick<Context, 'tensors' | 'roles'>,
): Summary {
  const parts = roots.map(({ name, graph, root }): Summary => {
    const summary = summariseRoot(root, { ...facts, graph });
    return { ...summary, part: name, row: { ...summary.row, name, title: `Part of the model: ${name}` } };
  });
  const beside = summariseRoot(around, facts);
  const children = [...parts, ...beside.children];
  const sum = (key: 'params' | 'buffers' | 'bytes' | 'activationBytes'): number =>
    exactSum(children.map(({ row }) => row[key]));
  const stored = sumStored([], children, contextOf(facts));
  return {
    ...beside,
    children,
    stored,
    row: {
      ...beside.row,
      title: `${parts.length} parts, each with inputs and outputs of its own`,
      params: sum('params'),
      buffers: sum('buffers'),
      bytes: sum('bytes'),
      macs: addedMacs(noMacs, children),
      activationBytes: sum('activationBytes'),
      output: parts.at(-1)?.row.output ?? [],
      dtype: stored.map(({ dtype }) => dtype).join(' + '),
    },
  };
}

const noMacs: ModuleRow['macs'] = { conv: 0, linear: 0, attention: 0 };

type Parameter = Initializer & { readonly data: { readonly kind: 'parameter' } };

const isParameter = (initializer: Initializer | undefined): initializer is Parameter =>
  initializer?.data.kind === 'parameter';

/**
 * Hangs every operator into its module and yields each parameter when it is read first, with the
 * reader's scope: modules and parameters come in execution order.
 */
function* firstReads(graph: Graph, root: Module): Generator<readonly [Parameter, scope: string]> {
  const seen = new Set<string>();
  for (const work of workOf(graph)) {
    ensure(root, work.node.scope).own.push(work);
    for (const input of work.node.inputs) {
      const initializer = graph.initializers.get(input);
      if (!isParameter(initializer) || seen.has(input)) continue;
      seen.add(input);
      yield [initializer, work.node.scope];
    }
  }
}

/** The tree that the names alone make, if no graph is known: parameters and bytes, no MACs. */
export function moduleTreeByName(tensors: readonly Tensor[], roles: Roles): readonly ModuleRow[] {
  const root = createModule('', '');
  placeUnread(() => root, tensors, new Map());
  return emitted(summariseRoot(root, { tensors, roles }));
}

const createModule = (path: string, name: string): Module => ({
  path,
  name,
  children: new Map(),
  own: [],
  elements: new Map(),
});

/**
 * Names of the modules on a path. What lies deeper than any network stays one name: rows are made
 * by recursion.
 */
function levelsOf(path: string): readonly string[] {
  const names = path.split('.');
  const kept = limits.moduleDepth - 1;
  return names.length > limits.moduleDepth ? [...names.slice(0, kept), names.slice(kept).join('.')] : names;
}

/** The module of a dotted path, made if it is not yet there. */
function ensure(root: Module, path: string): Module {
  if (path === '') return root;
  let module = root;
  for (const name of levelsOf(path)) {
    const known = module.children.get(name);
    const next = known ?? createModule(module.path === '' ? name : `${module.path}.${name}`, name);
    if (!known) module.children.set(name, next);
    module = next;
  }
  return module;
}

/**
 * The module that a parameter belongs to: a row of its own name, inside its module's. Exporters
 * give folded weights and shape constants names that say nothing (`onnx::MatMul_123`, `val_17`);
 * those belong to the operator that reads them.
 */
function ownerPath(initializer: Initializer, scope: string): string {
  const plain = initializer.name.replaceAll('/', '.');
  const made = !plain.includes('.') && (scope !== '' || isBuffer(initializer));
  return made ? scope : plain;
}

/** Elements `first … end` of a tensor. */
interface Range {
  readonly first: number;
  readonly end: number;
}

interface Reader extends Range {
  readonly owner: Module;
}

/**
 * Gives each element of a tensor to the first module that reads it, and what nobody reads to the
 * first reader.
 */
function shareOut(index: number, total: number, readers: readonly Reader[]): void {
  const give = (owner: Module, count: number): unknown =>
    owner.elements.set(index, (owner.elements.get(index) ?? 0) + count);
  const first = at(readers, 0).owner;
  if (readers.every(({ owner }) => owner === first)) return void give(first, total);
  let rest = total;
  readers.forEach((reader, earlier) => {
    const count = uncovered(reader, readers.slice(0, earlier));
    rest -= count;
    give(reader.owner, count);
  });
  if (rest > 0) give(first, rest);
}

/** Elements of a range that none of the earlier ranges covers. */
function uncovered({ first, end }: Range, taken: readonly Range[]): number {
  let [next, count] = [first, 0];
  for (const other of taken.toSorted((a, b) => a.first - b.first)) {
    count += Math.max(0, Math.min(end, other.first) - next);
    next = Math.max(next, other.end);
  }
  return count + Math.max(0, end - next);
}

function placeUnread(
  rootOf: (path: string) => Module,
  tensors: readonly Tensor[],
  readers: ReadonlyMap<number, unknown>,
): void {
  tensors.forEach(({ name, shape }, index) => {
    if (!readers.has(index)) ensure(rootOf(name), name).elements.set(index, elementCount(shape));
  });
}

interface Context {
  readonly graph?: Graph;
  readonly tensors: readonly Tensor[];
  readonly roles: Roles;
  /** Probes by the scope that applies their map. */
  readonly probes: ReadonlyMap<string, Probe>;
  /** Place in execution order. */
  readonly order: ReadonlyMap<Work, number>;
  /** Numbers of the signatures met so far: as texts they would grow with every level. */
  readonly signatures: Map<string, number>;
}

/** What the summaries of a part's modules are made with. */
function contextOf({ graph, tensors, roles }: Pick<Context, 'graph' | 'tensors' | 'roles'>): Context {
  const work = graph ? workOf(graph) : [];
  const probes = graph?.probes.map((probe) => [mixingScope(graph, probe), probe] as const);
  const order = new Map(work.map((row, index) => [row, index] as const));
  return { graph, tensors, roles, probes: new Map(probes), order, signatures: new Map() };
}

const summariseRoot = (root: Module, facts: Pick<Context, 'graph' | 'tensors' | 'roles'>): Summary =>
  summarise(root, contextOf(facts));

/** The rows of a tree, numbered. */
function emitted(summary: Summary): readonly ModuleRow[] {
  const rows: ModuleRow[] = [];
  emit(summary, { parent: -1, depth: 0, folded: false }, rows);
  return rows;
}

/** A row that is nothing but a tensor, such as `pos_embed`. */
const isTensor = (module: Module): boolean => module.children.size === 0 && module.own.length === 0;

function summarise(module: Module, context: Context): Summary {
  const modules = [...module.children.values()];
  // Weight and bias of a layer are tensors of its row; beside modules they are rows of their own.
  const absorbed = module.path !== '' && modules.every(isTensor) ? modules : [];
  const children = absorbed.length > 0 ? [] : modules.map((child) => summarise(child, context));
  const elements = [module, ...absorbed].flatMap((part) => [...part.elements]);
  const latest = latestOf([...module.own, ...children.flatMap((child) => child.latest ?? [])], context);
  const stored = sumStored(elements, children, context);
  const { note, role } = noteOf(module, children, context);
  const row = {
    path: module.path,
    name: module.name,
    params: exactSum(stored.map(({ params }) => params)),
    buffers: exactSum(stored.map(({ buffers }) => buffers)),
    bytes: exactSum(
      stored.map(({ dtype, params, buffers }) => Math.ceil((params + buffers) * dtypes[dtype].bytes)),
    ),
    macs: addedMacs(sumMacs(module.own), children),
    activationBytes: exactSum([
      ...module.own.map(({ bytes }) => bytes),
      ...children.map((child) => child.row.activationBytes),
    ]),
    output: outputShape(latest, context),
    dtype: stored.map(({ dtype }) => dtype).join(' + '),
    tensors: elements.map(([index]) => index),
    ...note,
  };
  const signature = signatureOf(row, children, context);
  return { row, role, children, own: module.own, latest, stored, signature };
}

/** Elements of one stored type in a subtree. */
interface Stored {
  readonly dtype: DType;
  readonly params: number;
  readonly buffers: number;
}

/** Parameters and buffers of a subtree by stored type, most elements first. */
function sumStored(
  elements: readonly (readonly [tensor: number, count: number])[],
  children: readonly Summary[],
  { tensors, roles }: Context,
): readonly Stored[] {
  const own = elements.map(([index, count]): Stored => {
    const tensor = at(tensors, index);
    const role = roles.get(tensor.name);
    const buffer = role === 'buffer' || (role !== 'parameter' && isBuffer(tensor));
    const counted = role === 'copy' ? 0 : count;
    return { dtype: tensor.dtype, params: buffer ? 0 : counted, buffers: buffer ? counted : 0 };
  });
  const sums = new Map<DType, Stored>();
  for (const { dtype, params, buffers } of [...own, ...children.flatMap((child) => child.stored)]) {
    const sum = sums.get(dtype) ?? { dtype, params: 0, buffers: 0 };
    sums.set(dtype, { dtype, params: sum.params + params, buffers: sum.buffers + buffers });
  }
  return [...sums.values()].sort((a, b) => b.params + b.buffers - a.params - a.buffers);
}

function noteOf(
  module: Module,
  children: readonly Summary[],
  context: Context,
): { readonly note: Note; readonly role: ModuleRole } {
  const nothing = { title: '', formula: '', details: [] };
  if (isTensor(module)) return { note: { ...nothing, title: tensorTitle(module, context) }, role: 'other' };
  if (!context.graph) return { note: nothing, role: 'other' };
  const described = { path: module.path, own: module.own, children };
  const { role, ...note } = describeModule(context.graph, described, context.probes.get(module.path));
  return { note, role };
}

const tensorTitles: Readonly<Record<TensorRole, string>> = {
  parameter: 'Parameter',
  buffer: 'Buffer',
  unused: 'Not used by the model',
  copy: 'Copy of another parameter',
};

function tensorTitle({ elements }: Module, { tensors, roles }: Context): string {
  const [index = -1] = elements.keys();
  return tensorTitles[roles.get(tensors[index]?.name ?? '') ?? 'parameter'];
}

/** Shape of what a module hands on, for one image. */
const outputShape = (latest: Work | undefined, { graph }: Context): readonly number[] =>
  graph && latest ? withoutBatch(graph, latest.outputs[0]?.shape ?? []) : [];

function latestOf([first, ...others]: readonly Work[], { order }: Context): Work | undefined {
  const place = (row: Work): number => order.get(row) ?? -1;
  return first && others.reduce((found, row) => (place(row) > place(found) ? row : found), first);
}

/** A module's own multiply-accumulates and its children's. */
function addedMacs(own: ModuleRow['macs'], children: readonly Summary[]): ModuleRow['macs'] {
  const total = (kind: keyof ModuleRow['macs']): number =>
    exactSum([own[kind], ...children.map(({ row }) => row.macs[kind])]);
  return { conv: total('conv'), linear: total('linear'), attention: total('attention') };
}

function signatureOf(
  row: Summary['row'],
  children: readonly Summary[],
  { tensors, signatures }: Context,
): number {
  const { title, formula, params, buffers, macs, output, dtype } = row;
  const own = row.tensors.map((index) => {
    const { dtype: stored, shape } = at(tensors, index);
    return `${stored}[${shape.join()}]`;
  });
  const inner = children.map((child) => [child.row.name, child.signature]);
  const text = JSON.stringify([title, formula, params, buffers, macs, output, dtype, own, inner]);
  const known = signatures.get(text) ?? signatures.size;
  signatures.set(text, known);
  return known;
}

interface Place {
  readonly parent: number;
  readonly depth: number;
  readonly folded: boolean;
  readonly part?: string;
}

/** Appends a module's row and those below it. */
function emit(summary: Summary, around: Place, rows: ModuleRow[]): number {
  const index = rows.length;
  const place = summary.part === undefined ? around : { ...around, part: summary.part };
  rows.push({ ...summary.row, ...place, kind: 'module', count: 1, members: [] });
  emitChildren(summary.children, { ...place, parent: index, depth: place.depth + 1 }, rows);
  return index;
}

/**
 * Groups within groups: stages, blocks, branches and layers. What lies deeper stands one by one,
 * because rows double with every level.
 */
const groupDepth = 4;

function emitChildren(children: readonly Summary[], place: Place, rows: ModuleRow[]): void {
  for (const run of runs(children)) {
    const [first, ...others] = run;
    if (others.length === 0) emit(first, place, rows);
    else if (groupsAround(place, rows) >= groupDepth) for (const member of run) emit(member, place, rows);
    else emitGroup(run, place, rows);
  }
}

/** Groups that a place is in. */
function groupsAround({ parent }: Place, rows: readonly ModuleRow[]): number {
  let count = 0;
  for (let row = rows[parent]; row; row = rows[row.parent]) if (row.kind === 'group') count++;
  return count;
}

/** Siblings that stand for each other. Never empty. */
type Members = readonly [first: Summary, ...others: Summary[]];

/** Consecutive siblings that are numbered and alike. */
function runs(children: readonly Summary[]): readonly Members[] {
  const result: [Summary, ...Summary[]][] = [];
  for (const child of children) {
    const run = result.at(-1);
    const numbered = /^\d+$/.test(child.row.name) && /^\d+$/.test(run?.[0].row.name ?? '');
    if (run && numbered && run[0].signature === child.signature) run.push(child);
    else result.push([child]);
  }
  return result;
}

/**
 * A group: numbers of all members, the structure of one below it, then the members themselves,
 * folded away.
 */
function emitGroup(members: Members, place: Place, rows: ModuleRow[]): void {
  const [first] = members;
  const index = rows.length;
  const count = members.length;
  const { conv, linear, attention } = first.row.macs;
  const row: ModuleRow = {
    ...first.row,
    ...place,
    name: `${first.row.name} … ${last(members).row.name}`,
    kind: 'group',
    count,
    members: [],
    params: exactSum(members.map((member) => member.row.params)),
    buffers: exactSum(members.map((member) => member.row.buffers)),
    bytes: exactSum(members.map((member) => member.row.bytes)),
    macs: { conv: exact(conv * count), linear: exact(linear * count), attention: exact(attention * count) },
    activationBytes: exactSum(members.map((member) => member.row.activationBytes)),
    tensors: members.flatMap((member) => member.row.tensors),
  };
  rows.push(row);
  const inside = { ...place, parent: index, depth: place.depth + 1 };
  emitChildren(first.children, inside, rows);
  rows[index] = { ...row, members: members.map((member) => emit(member, { ...inside, folded: true }, rows)) };
}

/** Every single module once, in tree order and with its depth as if nothing were grouped. */
export function everyModule(rows: readonly ModuleRow[]): readonly ModuleRow[] {
  const children = rows.map((): number[] => []);
  rows.forEach(({ parent }, index) => children[parent]?.push(index));
  const visit = (index: number, depth: number): readonly ModuleRow[] => {
    const row = at(rows, index);
    if (row.kind === 'group') return row.members.flatMap((member) => visit(member, depth));
    return [{ ...row, depth }, ...at(children, index).flatMap((child) => visit(child, depth + 1))];
  };
  return rows.flatMap((row, index) => (row.parent < 0 ? visit(index, 0) : []));
}
