import type { MappedTensor } from '../../src/protocol/inspector';

/** Names that a person gave instead of those offered, by the file's own. */
export type Edits = ReadonlyMap<string, string>;

type Named = Pick<MappedTensor, 'name' | 'as'>;

/** The mapping with what a person changed. */
export const edited = (rows: readonly Named[], edits: Edits): readonly Named[] =>
  rows.map(({ name, as }) => ({ name, as: edits.get(name) ?? as }));

/**
 * Reads a tensor as `as`. The tensor that had the name gets the one that is given up: two that were
 * taken for one another change places.
 */
export function changed(rows: readonly Named[], edits: Edits, name: string, as: string): Edits {
  const now = edited(rows, edits);
  const before = now.find((row) => row.name === name)?.as;
  const holder = now.find((row) => row.as === as && row.name !== name);
  const next = new Map(edits).set(name, as);
  if (holder && before !== undefined) next.set(holder.name, before);
  const offered = new Map(rows.map((row) => [row.name, row.as]));
  return new Map([...next].filter(([own, given]) => offered.get(own) !== given));
}
