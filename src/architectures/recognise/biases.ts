/**
 * Biases that a file has lost. A module without a stored bias is computed without one, as many
 * libraries build it; which modules do so in published models is known (../published/biasFree.ts).
 */
import type { Known } from '../family';
import { biasFree } from '../published/biasFree';

/** A module that the graph reads a weight of, and whether a bias of it is stored. */
export interface Weighted {
  /** Its canonical path without places in lists: modules of one kind have one. */
  readonly kind: string;
  /** The name that its bias has in the file, or would have. */
  readonly bias: string;
  readonly isStored: boolean;
}

/** Tables of words and of positions, which are added to or chosen from. */
const tables = /_embeddings?\.weight$/;

/**
 * Modules of a network whose weight is read. Of a whole model, those of its backbone: names that no
 * row of the backbone's naming touches are of what stands around it, which the table is not about.
 */
export function weightedModules(
  { translation, whole }: Known,
  used: ReadonlySet<string>,
): readonly Weighted[] {
  const parameters = translation?.parameters ?? new Map<string, never>();
  return [...parameters].flatMap(([name, { tensor }]) => {
    if (!name.endsWith('.weight') || tables.test(name) || !used.has(tensor.name)) return [];
    if (whole && name.endsWith(tensor.name)) return [];
    const path = name.slice(0, -'.weight'.length);
    const parent = path.replace(/[^.]*$/, '');
    return [
      {
        kind: path.replace(/(^|\.)\d+(?=\.|$)/g, '$1'),
        bias: tensor.name.replace(/(?:weight|kernel|scale)$/, 'bias'),
        // EVA's and BEiT's queries and values have theirs apart.
        isStored: parameters.has(`${path}.bias`) || parameters.has(`${parent}q_bias`),
      },
    ];
  });
}

/** Names of biases that a file lacks. */
interface LostBiases {
  /** Other modules of their kind have theirs. */
  readonly amongOthers: readonly string[];
  /** Of the only module of its kind, which has one in all published models. */
  readonly alone: readonly string[];
}

/**
 * Biases that all published models of a kind have and a file lacks. A kind of several modules of
 * which none has a bias is a model built without.
 */
export function lostBiases(known: Known, used: ReadonlySet<string>): LostBiases {
  const free = biasFree(known.label);
  if (!free) return { amongOthers: [], alone: [] };
  const kinds = new Map<string, Weighted[]>();
  for (const module of weightedModules(known, used))
    if (!free.has(module.kind)) kinds.set(module.kind, [...(kinds.get(module.kind) ?? []), module]);
  const without = [...kinds.values()].map((modules) => ({
    modules,
    lost: modules.filter(({ isStored }) => !isStored).map(({ bias }) => bias),
  }));
  return {
    amongOthers: without.flatMap(({ modules, lost }) => (lost.length < modules.length ? lost : [])),
    alone: without.flatMap(({ modules, lost }) => (modules.length === 1 ? lost : [])),
  };
}
