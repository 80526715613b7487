import type { Checkpoint } from '../../../checkpoint/checkpoint';
import type { Tensor } from '../../../checkpoint/tensors';
import { isBuffer } from '../../buffers';
import { recognise, type Known } from '../recognise';
import { layouts, type Layout } from './layouts';
import { renamed, type Mapping } from './mapping';
import { matchesOf, type Match, type Standing } from './match';
import { twins } from './twins';

/** One way to read a file whose names say nothing. */
export interface Candidate {
  readonly mapping: Mapping;
  /** Whose names they are, and in which order: for people. */
  readonly layout: string;
  readonly recognition: Known;
}

/** A file as the shapes of its tensors and their order show it. */
export interface Reading extends Candidate {
  /** Other readings that fit as well, the likelier first; empty if there is none. */
  readonly others: readonly Candidate[];
  /** What nothing but the order of the file tells, a sentence each. */
  readonly doubts: readonly string[];
}

/** Tensors of a file that is read by structure at most: the largest published has 2,400. */
const mostTensors = 4000;
/** Readings whose graph is written; those behind them are less likely. */
const mostTried = 24;

/** What files hold of the layouts: integers are buffers whatever they are called. */
const readable = (tensors: readonly Tensor[]): readonly Tensor[] =>
  tensors.filter(({ dtype }) => !isBuffer({ name: '', dtype }));

const normWeight = /(?:norm|ln)[^./]*[./](?:weight|scale)$/;

/** Whether some norms have a bias and others none, which few models mix. */
function mixesNorms(names: readonly string[]): boolean {
  const held = new Set(names);
  const norms = names.filter((name) => normWeight.test(name));
  const biased = norms.filter((name) => held.has(name.replace(/(?:weight|scale)$/, 'bias')));
  return biased.length > 0 && biased.length < norms.length;
}

const unusual = ({ apart, names }: Match): number => apart + Number(mixesNorms(names));

/** Members of the outer lists: of two readings the one with fewer stages is the likelier. */
const stagesIn = ({ names }: Match): number =>
  new Set(names.flatMap((name) => /^.*?\d+(?=[./])/.exec(name)?.[0] ?? [])).size;

const likelierFirst = (left: Match, right: Match): number =>
  unusual(left) - unusual(right) || right.published - left.published || stagesIn(left) - stagesIn(right);

/** What the names make of the file; undefined if no family has such a model. */
function recognised(checkpoint: Checkpoint, mapping: Mapping): Known | undefined {
  try {
    const recognition = recognise(renamed(checkpoint, mapping));
    return recognition.family === null ? undefined : recognition;
  } catch {
    // A reading that does not fit may fail in any way: its sizes were never those of a model.
    return undefined;
  }
}

/** What becomes of each tensor, to tell readings that differ from those in other words. */
function meaning({ mapping, recognition: { architecture, label, translation } }: Candidate): string {
  const own = new Map(mapping.map(({ name, as }) => [as, name]));
  const parameters = [...(translation?.parameters ?? [])].map(
    ([name, { view }]) => `${name} ${own.get(view.tensor)} ${view.first} ${view.stored.join('x')}`,
  );
  return [architecture, label, ...parameters.toSorted()].join('\n');
}

const orders: Readonly<Record<Layout['order'], string>> = {
  module: 'in the order of its modules',
  name: 'in the order of its names',
};

/** The first of the matches that give all tensors the same names. */
function distinct(matches: readonly Match[]): readonly Match[] {
  const seen = new Set<string>();
  return matches.filter(({ names }) => {
    const key = names.join(' ');
    return !seen.has(key) && seen.add(key);
  });
}

/** Names of a match, and those of models that compute otherwise with the same shapes in order. */
const alternatives = ({ layout, names }: Match): readonly { layout: string; names: readonly string[] }[] => {
  const title = `${layout.title}, ${orders[layout.order]}`;
  const others = twins
    .filter((twin) => names.some((name) => twin.of.test(name)) && layout.title.includes(twin.family))
    .map((twin) => ({
      layout: `${title}, ${twin.as}`,
      names: names.map((name) => name.replace(twin.of, twin.to)),
    }));
  return [{ layout: title, names }, ...others];
};

/** Every reading that a family's graph can be written of, each once, the likeliest first. */
function candidates(checkpoint: Checkpoint, assumed: readonly string[]): readonly Candidate[] {
  const tensors = readable(checkpoint.selected.tensors);
  if (tensors.length === 0 || tensors.length > mostTensors) return [];
  const found = candidatesIn(checkpoint, tensors, assumed, 'published');
  // A stage of one block has as its last what no published model ends with.
  return found.length > 0 ? found : candidatesIn(checkpoint, tensors, assumed, 'any');
}

function candidatesIn(
  checkpoint: Checkpoint,
  tensors: readonly Tensor[],
  assumed: readonly string[],
  standing: Standing,
): readonly Candidate[] {
  const shapes = tensors.map(({ shape }) => shape);
  const matches = layouts()
    .flatMap((layout) => matchesOf(layout, shapes, standing))
    .toSorted(likelierFirst);
  const found = new Map<string, Candidate>();
  for (const { layout, names } of distinct(matches).slice(0, mostTried).flatMap(alternatives)) {
    const mapping = tensors.map(({ name }, index) => ({ name, as: names[index] ?? name }));
    const recognition = recognised(checkpoint, mapping);
    if (!recognition || assumed.some((key) => !recognition.assumable.includes(key))) continue;
    const candidate = { mapping, layout, recognition };
    const means = meaning(candidate);
    if (!found.has(means)) found.set(means, candidate);
  }
  return [...found.values()];
}

/** Number of names that a doubt lists. */
const listed = 8;

/** The first member of the longest list: what is said of it holds of all. */
function firstMember(mapping: Mapping): string {
  const members = mapping.flatMap(({ as }) => /^(?:.*?[./_])?0(?=[./])/.exec(as)?.[0] ?? []);
  const counts = new Map<string, number>();
  for (const member of members) counts.set(member, (counts.get(member) ?? 0) + 1);
  return [...counts].toSorted(([, left], [, right]) => right - left)[0]?.[0] ?? '';
}

/**
 * Names of tensors of one shape that stand in one block, or outside of all: which is which, only
 * their order tells.
 */
export function doubtsOf(mapping: Mapping, tensors: readonly Tensor[]): readonly string[] {
  const shapes = new Map(tensors.map(({ name, shape }) => [name, shape]));
  const member = firstMember(mapping);
  const alike = new Map<string, string[]>();
  for (const { name, as } of mapping) {
    const inMember = member !== '' && as.startsWith(`${member}.`);
    if (!inMember && /[./_]\d+[./]/.test(as)) continue;
    const place = inMember ? `in ${member}` : 'outside of the blocks';
    const key = `${place}, [${(shapes.get(name) ?? []).join(', ')}]`;
    alike.set(key, [...(alike.get(key) ?? []), inMember ? as.slice(member.length + 1) : as]);
  }
  return [...alike]
    .filter(([, names]) => names.length > 1)
    .map(([key, names]) => {
      const more = names.length > listed ? ` and ${names.length - listed} more` : '';
      return `${key}: ${names.slice(0, listed).join(', ')}${more}`;
    });
}

/**
 * Reads a file by the shapes of its tensors and their order alone, whatever they are called: as one
 * of the layouts in which libraries write their models, if a family's graph can be written of it.
 * Undefined if there is none.
 *
 * @param assumed hyper-parameters that the user sets: only models that have them are meant
 */
export function readStructure(checkpoint: Checkpoint, assumed: readonly string[] = []): Reading | undefined {
  const [likeliest, ...others] = candidates(checkpoint, assumed);
  if (!likeliest) return undefined;
  return {
    ...likeliest,
    others,
    doubts: doubtsOf(likeliest.mapping, checkpoint.selected.tensors),
  };
}
