import type { HeadChain, HeadLayer, HeadStep } from '../heads/ownHead';
import {
  distance,
  endOf,
  groupsOf,
  isNorm,
  modulesBefore,
  widthOf,
  type Group,
  type Layers,
} from './headLayers';
import type { Leftover } from './leftovers';

/** A place between layers whose function no file tells. */
export interface FunctionPlace {
  /** Modules stand next to one another there: a list of layers that code joins, or no function. */
  readonly isTight: boolean;
  /** A norm stands between the layers, and the function before or behind it. */
  readonly hasNorm: boolean;
  /** Where it stands then if nobody says it. */
  readonly side: FunctionSide;
}

/** Where the function between two linear layers stands if a norm is between them as well. */
export type FunctionSide = 'before' | 'behind';

/** Heads that were found beside a network, and what of it is left. */
export interface FoundHeads {
  readonly chains: readonly HeadChain[];
  /** Leftovers that the chains read. */
  readonly read: readonly Leftover[];
  /** Places whose function no file tells, in the order of the steps that stand for them. */
  readonly places: readonly FunctionPlace[];
  /** Modules of sequences that are taken to change nothing, as dropout does: `head.0`. */
  readonly silent: readonly string[];
  /** Linear layers without a bias at the end of a chain, each of which may be one of cosines. */
  readonly biasFree: readonly string[];
  /** Norms without statistics, in the order of the steps. */
  readonly norms: readonly HeadLayer[];
  /** Where the functions stand that both sides of a norm are open to. */
  readonly side: FunctionSide;
  /** The same heads with these functions on one side. */
  sided(side: FunctionSide): FoundHeads;
}

/** What training puts beside a network and no image ever passes. */
const besidePath =
  /decod|mask|moment|(?:^|[._])ema(?:[._]|$)|teacher|queue|prototype|loss|criteri|contrast|rotat|jigsaw/i;
/** Projections: no heads, but a head may stand behind one. */
const projections = /proj|predict/i;

/**
 * What is computed on the way, from other inputs or over the tokens: embeddings of time or place,
 * prompts, gates, pooling by attention.
 */
const ofTheWay =
  /embed|prompt|(?:^|[._])(?:time|temporal)(?:[._]|$)|(?:^|[._])(?:att(?:n|ention)|gat(?:e|ing)|pool)/i;

/** Whether a leftover is computed on the way to a head by its name. */
export const isOnTheWay = ({ path }: Leftover): boolean => ofTheWay.test(path);

/** Whether a leftover is a moving average of the weights by its name: `model_ema`. */
export const isAverage = ({ path }: Leftover): boolean => /(?:^|[._])ema(?:[._]|$)/i.test(path);

/** Whether a leftover is of training alone by its name: no head reads what it makes. */
export const isOfTraining = (leftover: Leftover): boolean =>
  besidePath.test(leftover.path) || projections.test(leftover.path) || isAverage(leftover);

/**
 * Heads behind a pooled vector of `width` that follow from names and shapes: linear layers and
 * norms whose widths join, one after the other in a module or from one module to the next, or each
 * from the vector. Undefined if there is none, more than one way to join them, or something beside
 * them that they may read instead.
 */
export function headsFrom(beside: readonly Leftover[], width: number): FoundHeads | undefined {
  const others = beside.filter((leftover) => isOfTraining(leftover) || isOnTheWay(leftover));
  const found = beside
    .filter((leftover) => !others.includes(leftover))
    .flatMap((leftover) => {
      const groups = groupsOf(leftover);
      return groups ? [{ leftover, groups }] : [];
    });
  const chains = chained(
    found.flatMap(({ groups }) => groups),
    width,
  );
  if (!chains || others.some((other) => mayStandBetween(other, width, chains))) return undefined;
  return headsOf(
    chains,
    found.map(({ leftover }) => leftover),
    undefined,
  );
}

function headsOf(
  chains: readonly (readonly Group[])[],
  read: readonly Leftover[],
  side: FunctionSide | undefined,
): FoundHeads {
  const places: FunctionPlace[] = [];
  const silent = new Set<string>();
  const named = chains.map((groups): HeadChain => ({
    name: chains.length === 1 ? 'logits' : (groups.at(-1)?.path ?? ''),
    steps: withFunctions(groups, side, places, silent),
  }));
  const ends = named.flatMap(({ steps }) => steps.findLast((step) => step.kind === 'linear') ?? []);
  return {
    chains: named,
    read,
    places,
    side: places.find(({ hasNorm }) => hasNorm)?.side ?? 'before',
    silent: [...silent],
    norms: normsOf(named),
    biasFree: ends.flatMap((end) => (end.kind === 'linear' && !end.bias ? [end.path] : [])),
    sided: (other) => headsOf(chains, read, other),
  };
}

/** Norms that no statistics tell, each once: heads may share a trunk. */
const normsOf = (chains: readonly HeadChain[]): readonly HeadLayer[] => {
  const steps = chains.flatMap((chain) => chain.steps);
  const norms = steps.flatMap((step) => (step.kind === 'norm' ? [step] : []));
  return [...new Map(norms.map((step) => [step.path, step])).values()];
};

/** Whether a module that is no head may hand on what the heads read, or read what they hand on. */
function mayStandBetween(leftover: Leftover, width: number, chains: readonly (readonly Group[])[]): boolean {
  const { path, members } = leftover;
  if (besidePath.test(path) || isAverage(leftover)) return false;
  const matrices = members.map(({ tensor }) => tensor.shape).filter((shape) => shape.length === 2);
  const [entry, exit] = [matrices[0]?.[1], matrices.at(-1)?.[0]];
  if (ofTheWay.test(path)) return matrices.some((shape) => shape[1] === width);
  const ends = chains.map((groups) => groups.at(-1)).flatMap((group) => (group ? [endOf(group)] : []));
  return (entry === width && exit === width) || ends.some((end) => end === entry);
}

/**
 * Groups of layers as chains that begin at the vector, each to its end: a group follows the one
 * whose end it takes.
 */
function chained(groups: readonly Group[], width: number): readonly (readonly Group[])[] | undefined {
  const norms = groups.filter(isNorm);
  const linear = groups.filter((group) => !isNorm(group));
  const isSquare = linear.some((group) => endOf(group) === width);
  // A square module may stand before another as well as next to it.
  if (linear.length === 0 || (isSquare && linear.length > 1)) return undefined;
  const necks = norms.filter((group) => widthOf(group) === width);
  const follows = followers(
    groups,
    norms.filter((group) => !necks.includes(group)),
  );
  const tails = tailsOf(linear, width);
  if (necks.length > 1 || !follows || !tails) return undefined;
  return tails.map((chain) => [
    ...necks,
    ...chain.flatMap((group) => [group, ...(follows.get(group) ?? [])]),
  ]);
}

/** Which norms stand behind which group: the one just before it, or the only one of its width. */
function followers(
  groups: readonly Group[],
  norms: readonly Group[],
): ReadonlyMap<Group, readonly Group[]> | undefined {
  const found = new Map<Group, readonly Group[]>();
  for (const norm of norms) {
    const fits = (group: Group | undefined): group is Group =>
      group !== undefined && !isNorm(group) && endOf(group) === widthOf(norm) && !found.has(group);
    const before = groups[groups.indexOf(norm) - 1];
    const candidates = fits(before) ? [before] : groups.filter(fits);
    const [only] = candidates;
    if (!only || candidates.length > 1) return undefined;
    found.set(only, [norm]);
  }
  return found;
}

/** Every way from the vector to a group that no other follows. */
function tailsOf(linear: readonly Group[], width: number): readonly (readonly Group[])[] | undefined {
  const ways = new Map<Group, readonly Group[]>();
  const inner = new Set<Group>();
  for (let waiting = linear; waiting.length > 0;) {
    const placed = waiting.filter((group) => {
      if (widthOf(group) === width) return ways.set(group, [group]);
      const before = linear[linear.indexOf(group) - 1];
      const fits = [...ways.keys()].filter((other) => endOf(other) === widthOf(group));
      const parent = before && fits.includes(before) ? before : fits.length === 1 ? fits[0] : undefined;
      if (!parent) return false;
      inner.add(parent);
      return ways.set(group, [...(ways.get(parent) ?? []), group]);
    });
    if (placed.length === 0) return undefined;
    waiting = waiting.filter((group) => !placed.includes(group));
  }
  return linear.flatMap((group) => (inner.has(group) ? [] : [ways.get(group) ?? []]));
}

/**
 * The layers of a chain with the functions between linear ones. Modules without parameters leave a
 * gap in the numbers of a sequence: the first gap behind a linear layer is where its function is.
 * Without numbers it stands in front of the next linear layer.
 */
function withFunctions(
  groups: readonly Group[],
  side: FunctionSide | undefined,
  places: FunctionPlace[],
  silent: Set<string>,
): readonly HeadStep[] {
  const layers = groups.flatMap((group) => group.layers);
  for (const group of groups) if (modulesBefore(group) > 0) silent.add(`${group.path}.0`);
  const steps: HeadStep[] = [];
  const gaps = gapsOf(layers);
  const linear = layers.flatMap(({ kind }, index) => (kind === 'linear' ? [index] : []));
  const functions = new Set<number>();
  const first = places.length;
  linear.slice(1).forEach((to, order) => {
    const from = linear[order] ?? 0;
    const open = range(from + 1, to).filter((index) => gaps[index] !== 'none');
    const certain = open.filter((index) => gaps[index] === 'some');
    const choices = certain.length > 0 ? certain : open.length > 0 ? open : [to];
    const byDefault: FunctionSide = certain.length > 0 ? 'before' : 'behind';
    functions.add(((side ?? byDefault) === 'before' ? choices[0] : choices.at(-1)) ?? to);
    places.push({ isTight: open.length === 0, hasNorm: choices.length > 1, side: byDefault });
  });
  layers.forEach((layer, index) => {
    if (functions.has(index)) steps.push({ kind: 'activation', place: first + countBelow(functions, index) });
    else if (gaps[index] === 'some') silent.add(missingBefore(layer.path));
    steps.push(layer);
  });
  return steps;
}

const range = (from: number, to: number): readonly number[] =>
  Array.from({ length: to - from + 1 }, (_, index) => from + index);

const countBelow = (indices: ReadonlySet<number>, limit: number): number =>
  [...indices].filter((index) => index < limit).length;

/** `head.1` for `head.2`, in front of which something without parameters stands. */
function missingBefore(path: string): string {
  const at = path.lastIndexOf('.');
  const [holder, number] = [path.slice(0, at), Number(path.slice(at + 1))];
  return number > 0 || at < 0 ? `${holder}.${number - 1}` : missingBefore(holder);
}

type Gap = 'some' | 'none' | 'unknown';

/** Whether something without parameters stands in front of each layer but the first. */
const gapsOf = (layers: Layers): readonly Gap[] =>
  layers.map((layer, index): Gap => {
    const before = layers[index - 1];
    const steps = before ? distance(before, layer) : 1;
    return Number.isNaN(steps) ? 'unknown' : steps > 1 ? 'some' : 'none';
  });
