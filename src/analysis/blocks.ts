import { at } from '../domain/lists';
import type { Graph } from '../graph/graph';
import { readBy } from '../graph/order';
import { perGraph } from '../graph/perGraph';
import { isWithin, mixingScope, outputOf, workOf, type Work } from './work';

/** A repeated module of a network: a block of a transformer or of a stage. */
export interface Block {
  readonly path: string;
  /** What its list is called: `stages.1.blocks.` of `stages.1.blocks.0`. */
  readonly list: string;
  /** Places of its first and last operator in execution order. */
  readonly first: number;
  readonly last: number;
  /** Shape of what it hands on, with the batch. */
  readonly output: readonly number[];
}

/** `a.b`, `a` for `a.b.c`. */
export function ancestors(path: string): readonly string[] {
  const parts = path.split('.');
  return parts.slice(1).map((_, index) => parts.slice(0, parts.length - 1 - index).join('.'));
}

/** The module itself and all around it, but for the root. */
const around = (scope: string): readonly string[] => (scope === '' ? [] : [scope, ...ancestors(scope)]);

/**
 * Modules that libraries number: `blocks.0`, `layer1`, `denseblock2`, RegNet's `s1.b1`; not `conv1`
 * or `fc2`.
 */
const numbered = /(?:^|\.)(?:(?:[a-z_]*(?:block|layer|stage)s?_?|b|s)?\d+)$/;
const listOf = (path: string): string => path.replace(/\d+$/, '');
/**
 * What stands before the first block and between stages is no block, though some libraries number
 * its convolutions.
 */
const betweenStages = /(?:^|\.)(?:stem|downsample|patch_embeds?\.\d+)(?:\.|$)/;

/** A numbered module while its level is looked for. */
interface Candidate extends Block {
  /** Modules in it with multiply-accumulates, which count once however often they are used. */
  readonly products: number;
}

/**
 * The blocks of a network in execution order; if nothing is numbered, the modules that attend.
 */
export function blocksOf(graph: Graph): readonly Block[] {
  const candidates = candidatesOf(graph);
  const lists = [...new Set(candidates.map(({ list }) => list))];
  const membersOf = (list: string): readonly Candidate[] => candidates.filter((each) => each.list === list);
  const inside = ({ path }: Candidate): readonly string[] =>
    lists.filter((list) => list.startsWith(`${path}.`) && membersOf(list).some(isNetwork));
  const chosen = (list: string): readonly Candidate[] => {
    const members = membersOf(list);
    const nested = members.flatMap(inside);
    return areBlocks(members, nested.map(membersOf)) ? members : outermost(nested).flatMap(chosen);
  };
  const blocks = outermost(lists).flatMap(chosen);
  return (blocks.length > 0 ? blocks : attentionModules(graph)).toSorted((a, b) => a.first - b.first);
}

/** A block mixes and expands, or at least does two things. */
const isNetwork = ({ products }: Candidate): boolean => products > 1;

/**
 * Whether the members of a list are blocks, not stages or parts of blocks: stages are numbered too,
 * but hand on other shapes each, and the only stage of a network holds a list whose members do. Of
 * nested lists whose members are alike the outer one counts.
 */
function areBlocks(members: readonly Candidate[], nested: readonly (readonly Candidate[])[]): boolean {
  if (nested.length === 0) return members.some(isNetwork);
  const [only] = nested;
  const isStage = members.length === 1 && nested.length === 1 && only !== undefined && !haveOneShape(only);
  return members.every(isNetwork) && areAlike(members) && !isStage;
}

/** Lists that lie in no member of another one. */
const outermost = (lists: readonly string[]): readonly string[] =>
  lists.filter((list) => !lists.some((other) => other !== list && isInside(list, other)));

/** Whether a list lies in a member of another: `stages.0.blocks.` in `stages.`. */
const isInside = (list: string, other: string): boolean =>
  list.startsWith(other) && /^\d+\./.test(list.slice(other.length));

const sameAsBefore = (members: readonly Candidate[]): readonly Candidate[] =>
  members.slice(1).filter(({ output }, index) => output.join() === at(members, index).output.join());

const haveOneShape = (members: readonly Candidate[]): boolean =>
  sameAsBefore(members).length === members.length - 1;

/** Most members hand on what the one before them does. */
const areAlike = (members: readonly Candidate[]): boolean =>
  members.length === 1 || 2 * sameAsBefore(members).length > members.length - 1;

function candidatesOf(graph: Graph): readonly Candidate[] {
  return modulesOf(graph, ({ node: { scope } }) =>
    around(scope).filter((path) => numbered.test(path) && !betweenStages.test(path)),
  ).filter(({ products }) => products > 0);
}

/** If nothing is numbered: the modules that attend. */
function attentionModules(graph: Graph): readonly Block[] {
  const scopes = new Set(
    graph.probes.filter(({ kind }) => kind !== 'pool').map((probe) => mixingScope(graph, probe)),
  );
  return modulesOf(graph, ({ node: { scope } }) => around(scope).filter((path) => scopes.has(path)));
}

/** Whether what an operator makes is read where `isInside` does not hold, or is a result. */
export function leaves(graph: Graph, work: Work, isInside: (reader: Work) => boolean): boolean {
  const { readers, results } = usesOf(graph);
  return work.node.outputs.some(
    (output) => results.has(output) || (readers.get(output) ?? []).some((reader) => !isInside(reader)),
  );
}

interface Uses {
  readonly readers: ReadonlyMap<string, readonly Work[]>;
  readonly results: ReadonlySet<string>;
}

/** Who reads each value, and what comes out. */
const usesOf = perGraph((graph): Uses => {
  const readers = new Map<string, Work[]>();
  for (const work of workOf(graph))
    for (const input of readBy(work.node)) {
      const list = readers.get(input);
      if (list) list.push(work);
      else readers.set(input, [work]);
    }
  return { readers, results: new Set(graph.outputs.map(({ value }) => value)) };
});

/** Extent, size and output of the modules that `modulesAround` names for an operator. */
function modulesOf(graph: Graph, modulesAround: (work: Work) => readonly string[]): readonly Candidate[] {
  const found = new Map<string, Candidate>();
  const counted = new Set<string>();
  const around = new Map<string, readonly string[]>();
  workOf(graph).forEach((each, place) => {
    const { scope } = each.node;
    const isNew = each.macs > 0 && !counted.has(scope);
    if (isNew) counted.add(scope);
    const modules = around.get(scope) ?? modulesAround(each);
    around.set(scope, modules);
    for (const path of modules) {
      const known = found.get(path) ?? {
        path,
        list: listOf(path),
        first: place,
        last: place,
        output: [],
        products: 0,
      };
      const isIn = ({ node }: Work): boolean => isWithin(node.scope, path);
      const output = leaves(graph, each, isIn) ? outputOf(each).shape : known.output;
      const products = known.products + (isNew ? 1 : 0);
      found.set(path, { ...known, last: place, output, products });
    }
  });
  return [...found.values()];
}
