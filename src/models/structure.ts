import type { Checkpoint } from '../checkpoint/checkpoint';
import { recognise, type Known } from '../architectures/recognise/recognise';
import { renamed, type Mapping } from '../architectures/recognise/structure/mapping';
import { doubtsOf, readStructure, type Candidate } from '../architectures/recognise/structure/read';

/** What a file is read as whose names no library uses. */
export interface Structure {
  /** The file under its own names. */
  readonly file: Checkpoint;
  readonly mapping: Mapping;
  /** What it is read as, `ViT-B/16 (Vision Transformer)`; undefined if a mapping was given. */
  readonly title?: string;
  /** Whose names they are; undefined if somebody gave the mapping. */
  readonly layout?: string;
  /** Titles of other models that the shapes fit as well. */
  readonly others: readonly string[];
  /** What nothing but the order of the file tells. */
  readonly doubts: readonly string[];
}

/** How names that say nothing are to be read. */
export interface Naming {
  /** Files that are not known by their names are read by the shapes and order of their tensors. */
  readonly byStructure?: boolean;
  /** What tensors are taken for instead of their names. */
  readonly mapping?: Mapping;
}

/**
 * What a file is read as that is not known by its names; undefined if it is known, or is not to be
 * read so. `assumed` are hyper-parameters that the user sets. Throws if a mapping does not go with
 * the file.
 */
export function structureOf(
  file: Checkpoint,
  { byStructure, mapping }: Naming,
  assumed: readonly string[] = [],
): Structure | undefined {
  if (mapping) {
    renamed(file, mapping);
    return { file, mapping, others: [], doubts: doubtsOf(mapping, file.selected.tensors) };
  }
  return byStructure === true && recognise(file).family === null
    ? offeredStructure(file, assumed)
    : undefined;
}

/** What an unknown file could be read as, to be confirmed; undefined if no family fits. */
export function offeredStructure(file: Checkpoint, assumed: readonly string[] = []): Structure | undefined {
  const reading = readStructure(file, assumed);
  if (!reading) return undefined;
  const { mapping, layout, others, doubts } = reading;
  const told = others.map((other) => `${titleOf(other)}, as ${other.layout}`);
  return { file, mapping, title: titleOf(reading), layout, others: told, doubts };
}

const titleOf = ({ recognition: { title, familyTitle } }: Candidate): string => `${title} (${familyTitle})`;

/** What can be done with a file that `offeredStructure` reads. */
export const offeredHint =
  'its structure can be read: confirm it in the inspector, or use --by-structure (inspect --by-structure shows it)';

/** Sources of values that hold for a library's models: whether this is one, nobody has said. */
const byLibrary = /, as .+ builds |^default of |^as .+ does$/;

/** A model that was read by structure: with warnings, and ⚠ at what names would have told. */
export const readByStructure = (recognition: Known, structure: Structure): Known => ({
  ...recognition,
  evidence: Object.fromEntries(
    Object.entries(recognition.evidence).map(([key, found]) => [
      key,
      byLibrary.test(found.source)
        ? { ...found, assumed: true, source: `${found.source}; the names were read by structure` }
        : found,
    ]),
  ),
  warnings: [...structureWarnings(structure), ...recognition.warnings],
});

/** Other readings that a warning names. */
const named = 3;

/** Warnings of a model that was read by structure. */
function structureWarnings({ mapping, layout, others, doubts }: Structure): readonly string[] {
  const source = layout === undefined ? 'by the mapping that was given' : `as ${layout}`;
  const rest = others.length - named;
  const more = rest > 0 ? ` and ${rest} more` : '';
  return [
    `Read by structure, check: the names of ${mapping.length} tensors say nothing, their shapes and order were read ${source}.`,
    'Neither shapes nor order tell heads, activation, norm ε, pooling, or whether norms stand before their layers; what is assumed is marked.',
    ...(others.length > 0
      ? [`Other readings fit the same shapes: ${others.slice(0, named).join('; ')}${more}.`]
      : []),
    ...(doubts.length > 0
      ? [`Told by the order of the file alone, since the shapes are equal: ${doubts.join('; ')}.`]
      : []),
  ];
}
