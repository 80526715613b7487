import { at, largest } from '../../domain/lists';
import type { DefaultsName } from '../../preprocessing/defaults';
import { listLength } from '../listLength';
import { sizeTitle, type Sizes } from '../sizes';
import { classesOf, imageSizeOf, recognisedFrom, sourcesOf, type Sources } from '../decide';
import type { Evidence, EvidenceRecord, Found, Recognised } from '../family';
import { configOf, stored, type ConfigOf } from '../evidence';

type PerStage = Evidence<readonly number[]>;

/** A parameter's name in a block, or names of which each kind of block has one. */
type Names = string | readonly string[];

/** The stages of a network, as names and shapes show them. */
export interface MeasuredStages {
  readonly sources: Sources;
  readonly depths: readonly number[];
  readonly dims: readonly number[];
  /** Evidence of both, under the pattern that the family counts by. */
  readonly counted: { readonly depth: PerStage; readonly dim: PerStage };
  /**
   * A side of a parameter in the first block of every stage, of the first of several names that it
   * has; 0 if that block has none.
   */
  readonly each: (name: Names, axis: number) => PerStage;
  /**
   * Rows of such a parameter, or another side, per channel of the stage: of the first layer of an
   * MLP, its ratio.
   */
  readonly ratio: (name: string, axis?: number) => PerStage;
}

const escaped = (text: string): string => text.replaceAll('.', '\\.');

/** Numbers that stand for the star behind `start` in the names, in order: `stages.` gives 0, 1 … */
function numbersAfter(tensors: Found['tensors'], start: string): readonly number[] {
  const pattern = new RegExp(`^${escaped(start)}(\\d+)\\.`);
  const found = new Set<number>();
  for (const name of tensors.keys()) {
    const number = pattern.exec(name)?.[1];
    if (number !== undefined) found.add(Number(number));
  }
  listLength(start.replace(/\.$/, ''), found);
  return [...found].sort((a, b) => a - b);
}

/**
 * Counts stages and blocks by the path of a block, `stages.*.blocks.*` or `layer*.*`: the stars
 * stand for the numbers of stage and block, from 0 or 1. A stage begins with the first block that
 * has the parameter `width`, which has as many rows as the stage has channels; what comes before it
 * in the list is no block. Undefined if a stage has no such block.
 */
export function measureStages(found: Found, block: string, width: Names): MeasuredStages | undefined {
  const { tensors } = found;
  const [start = '', middle = ''] = block.split('*');
  const stages = numbersAfter(tensors, start).map((stage) => {
    const list = `${start}${stage}${middle}`;
    const blocks = numbersAfter(tensors, list);
    const hasWidth = (index: number): boolean =>
      [width].flat().some((name) => tensors.has(`${list}${index}.${name}`));
    const first = blocks.find(hasWidth) ?? Infinity;
    return { list, first, depth: largest(blocks) - first + 1 };
  });
  const each: MeasuredStages['each'] = (names, axis) => {
    const shapes = stages.map(({ list, first }) => {
      const own = [names].flat().map((name) => tensors.get(`${list}${first}.${name}`)?.shape);
      return own.find((shape) => shape !== undefined);
    });
    const sides = shapes.map((shape) => shape?.[axis] ?? 0);
    return stored(sides, `${block.slice(0, -1)}${stages[0]?.first}.${[names].flat().join(' or ')}`);
  };
  const dim = each(width, 0);
  if (dim.value.length === 0 || dim.value.includes(0)) return undefined;
  const depth = stored(
    stages.map(({ depth }) => depth),
    block.slice(0, block.lastIndexOf('.')),
  );
  const ratio: MeasuredStages['ratio'] = (name, axis = 0) => {
    const { value: rows, source } = each(name, axis);
    return stored(
      dim.value.map((width, stage) => at(rows, stage) / width),
      source,
    );
  };
  const sources = sourcesOf(found);
  return { sources, depths: depth.value, dims: dim.value, counted: { depth, dim }, each, ratio };
}

type Nothing = Readonly<Record<never, never>>;

/** What a staged family adds to its counted stages. */
interface StagedFamily<S extends EvidenceRecord, T extends EvidenceRecord, P extends object> {
  readonly label: string;
  /** The whole title, or the family's name and its published sizes. */
  readonly title: string | readonly [family: string, sizes: Sizes];
  /** Path of the classifier. */
  readonly head: string;
  /** Pixels per row and column of the last map: steps by which the image may grow. */
  readonly stride: number;
  /**
   * Evidence that follows depth and width; a key that is derived otherwise is the family's own
   * here.
   */
  readonly shapes?: S;
  /** Evidence that follows image size and classes: what names and shapes do not decide. */
  readonly settings?: T;
  /** What `build` reads and nobody is shown. */
  readonly plumbing?: P;
  /** Image size, if it is not 224 × 224 by default. */
  readonly image?: ReturnType<typeof imageSizeOf>;
  /** Pixels if no published model has others: `imagenet` without it. */
  readonly pixels?: DefaultsName;
  readonly warnings?: readonly string[];
}

/** Config of a staged network: what its evidence settles, and its plumbing. */
type StagedConfig<S, T, P> = ConfigOf<MeasuredStages['counted'] & S & T> & P;

/** The config that a family's `recognise` settles: `type Config = SettledBy<typeof recognise>`. */
export type SettledBy<R extends (found: Found) => Recognised<unknown> | undefined> =
  ReturnType<R> extends Recognised<infer C> | undefined ? C : never;

/**
 * Ends the recognition of a staged network: depth, width, image size, classes, title, config and
 * what published models say follow from the counted stages; the family adds its own evidence.
 */
export function stagedConfig<
  S extends EvidenceRecord = Nothing,
  T extends EvidenceRecord = Nothing,
  P extends object = Nothing,
>(stages: MeasuredStages, family: StagedFamily<S, T, P>): Recognised<StagedConfig<S, T, P>> {
  const { sources, depths, dims, counted } = stages;
  const { label, title, head, stride, shapes, settings, plumbing, pixels = 'imagenet', warnings } = family;
  const { imageSize, evidence: sized } = family.image ?? imageSizeOf(sources);
  const derived = { image_size: sized, classes: classesOf(sources.found.tensors, head) };
  const own = { ...shapes, ...settings };
  const settled = { ...counted, ...own };
  return recognisedFrom(sources, {
    label,
    title: typeof title === 'string' ? title : sizeTitle(...title, depths, dims),
    imageSize,
    sizeStep: [stride, stride],
    pixels,
    // The first record with a key decides its place, the last one its value.
    evidence: { ...counted, ...shapes, ...derived, ...own },
    config: { ...configOf(settled), ...plumbing } as StagedConfig<S, T, P>,
    warnings: warnings ?? [],
  });
}
