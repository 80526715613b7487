import type { Probe } from '../domain/probes';
import type { ModuleRow } from '../domain/report';
import type { Model } from '../models/model';

/** A parameter by the name that the tree has for it, and by the file's own. */
export type NamedTwice = readonly [canonical: string, own: string];

/** Parameters of a model's network by both names; none if the file is not known. */
export const namesOf = ({ recognition }: Pick<Model, 'recognition'>): readonly NamedTwice[] =>
  recognition.family === null
    ? []
    : [...(recognition.translation?.parameters ?? [])].map(([name, { tensor }]) => [name, tensor.name]);

/**
 * What the file calls each layer with attention (`vit.encoder.layer.3.attention`,
 * `Transformer/encoderblock_3`); its canonical path if it has no parameters.
 */
export function ownLayerNames(
  probes: readonly Pick<Probe, 'layer'>[],
  names: readonly NamedTwice[],
): readonly string[] {
  const modules = ownModules(names);
  return probes.map(({ layer }) => joined(modules.get(layer)?.shared ?? []) || layer);
}

/** What the file calls the module of a path: its own path, or those that the module gathers. */
interface OwnModule {
  /** What all tensors of the module begin with, in parts: `vit.`, `encoder.`, `layer.`, `0.`. */
  readonly shared: readonly string[];
  /** What follows in the names of its tensors, once each: `attention`, `intermediate`. */
  readonly next: readonly string[];
}

/** Modules that one canonical module gathers are named up to this many. */
const listed = 3;

/**
 * Rows with the file's own names where these are others than the canonical ones: the path, and the
 * part of it below the row around it, as a tree shows it.
 */
export function withOwnNames(rows: readonly ModuleRow[], names: readonly NamedTwice[]): readonly ModuleRow[] {
  if (names.every(([canonical, own]) => canonical === own)) return rows;
  const modules = ownModules(names);
  return rows.map((row) => {
    const own = modules.get(row.path);
    if (!own || row.path === '') return row;
    const around = sharedAround(rows, row, modules);
    const path = joined(own.shared);
    const below = own.shared.slice(around.length);
    const gathered = own.next.slice(0, listed).map((part) => joined([part]));
    const name = below.length > 0 ? joined(below) : gathered.join(' + ');
    return {
      ...row,
      // What gathers several modules of the file has no path there.
      ...(path !== row.path && below.length > 0 && { ownPath: path }),
      ...(row.kind === 'module' && name !== row.name && name !== '' && { ownName: name }),
    };
  });
}

/** What the names of the row around this one begin with. */
function sharedAround(
  rows: readonly ModuleRow[],
  row: ModuleRow,
  modules: ReadonlyMap<string, OwnModule>,
): readonly string[] {
  let around = rows[row.parent];
  // A group stands for its first member; around it is what holds the list.
  while (around && (around.kind === 'group' ? row.folded : false)) around = rows[around.parent];
  if (!around || around.path === '') return [];
  return modules.get(around.path)?.shared ?? [];
}

/** The own name of a parameter, and how many names its canonical one has below the module. */
interface Held {
  readonly parts: readonly string[];
  readonly below: number;
}

/** The file's own names of every module above its parameters. */
function ownModules(names: readonly NamedTwice[]): ReadonlyMap<string, OwnModule> {
  const gathered = new Map<string, Held[]>();
  for (const [canonical, own] of names) {
    const parts = partsOf(own);
    const paths = [...pathsAbove(canonical), canonical];
    paths.forEach((path, level) => {
      const held = { parts, below: paths.length - 1 - level };
      const known = gathered.get(path);
      if (known) known.push(held);
      else gathered.set(path, [held]);
    });
  }
  return new Map([...gathered].map(([path, all]) => [path, ownModule(all)]));
}

/** What all begin with, as far as each module below keeps a name of its own. */
function ownModule(all: readonly Held[]): OwnModule {
  const [{ parts: first } = { parts: [] }] = all;
  let length = first.length;
  for (const { parts, below } of all) {
    length = Math.min(length, Math.max(0, parts.length - below));
    while (!startsAlike(parts, first, length)) length--;
  }
  const next = all.flatMap(({ parts }) => parts.slice(length, length + 1));
  return { shared: first.slice(0, length), next: [...new Set(next)] };
}

const startsAlike = (left: readonly string[], right: readonly string[], length: number): boolean =>
  right.slice(0, length).every((part, index) => part === left[index]);

/** A name's parts with what ends them: JAX writes `Transformer/encoderblock_0/kernel`. */
const partsOf = (name: string): readonly string[] => name.split(/(?<=[./])/);

/** Parts as the path of a module. */
const joined = (parts: readonly string[]): string => parts.join('').replace(/[./]$/, '');

function pathsAbove(name: string): readonly string[] {
  const parts = name.split('.');
  return parts.slice(1).map((_, index) => parts.slice(0, index + 1).join('.'));
}
