import type { Checkpoint } from '../../../checkpoint/checkpoint';

/** What a tensor of the file is taken for: the name that a known library would give it. */
export interface MappedName {
  /** In the file. */
  readonly name: string;
  /** In a naming that is known: `blocks.0.attn.qkv.weight`. */
  readonly as: string;
}

/** A tensor that is in no mapping keeps its name. */
export type Mapping = readonly MappedName[];

/** Names that a mapping may hold: more than any file has tensors. */
const mostNames = 100_000;

const isMappedName = (value: unknown): value is MappedName =>
  typeof value === 'object' &&
  value !== null &&
  typeof (value as Partial<MappedName>).name === 'string' &&
  typeof (value as Partial<MappedName>).as === 'string';

/**
 * A mapping as `vitrine inspect --by-structure --json` prints it, alone or with all else that it
 * prints. Throws if it is none; `source` is the file that it was read from.
 */
export function parseMapping(value: unknown, source: string): Mapping {
  const rows: unknown =
    typeof value === 'object' && value !== null && 'mapping' in value ? value.mapping : value;
  const needed = 'a list of {"name": …, "as": …} is needed, as inspect --by-structure --json prints it';
  if (!Array.isArray(rows)) throw new Error(`${source}: holds no mapping; ${needed}`);
  if (rows.length > mostNames)
    throw new Error(`${source}: ${rows.length} names found; ${mostNames} are allowed`);
  const strange = rows.findIndex((row) => !isMappedName(row));
  if (strange >= 0)
    throw new Error(`${source}: row ${strange + 1} is no name with what it is read as; ${needed}`);
  return rows.filter(isMappedName).map(({ name, as }) => ({ name, as }));
}

/**
 * The checkpoint with its tensors under the names of a mapping. Throws if it names a tensor that
 * the file does not have, or gives two the same name.
 */
export function renamed(checkpoint: Checkpoint, mapping: Mapping): Checkpoint {
  const { selected, path } = checkpoint;
  const names = new Map(mapping.map(({ name, as }) => [name, as]));
  const held = new Set(selected.tensors.map(({ name }) => name));
  const strange = mapping.find(({ name }) => !held.has(name));
  if (strange) throw new Error(`${path}: the mapping names ${strange.name}, which the file does not have`);
  const tensors = selected.tensors.map((tensor) => ({
    ...tensor,
    name: names.get(tensor.name) ?? tensor.name,
  }));
  const taken = new Set<string>();
  for (const { name } of tensors) {
    if (taken.has(name)) throw new Error(`${path}: the mapping reads two tensors as ${name}`);
    taken.add(name);
  }
  return { ...checkpoint, selected: { ...selected, tensors } };
}
