import type { Tensor } from '../../checkpoint/tensors';
import { derivedMembers, rolesOfParts, type Named } from './derived';
import { isNumber, modulesOf, sharedPath, type Modules } from '../../checkpoint/moduleNames';

/** A tensor under the name that it bears in its network. */
export interface Member {
  /** Relative to the network's path, without what wrappers put in between. */
  readonly name: string;
  /** As the file has it; with `derived` if the parameter is computed from several. */
  readonly tensor: Tensor;
  /** It lies under the network's path. */
  readonly inside: boolean;
}

/** A subtree of the file that may be a network of a known family, and all that lies beside it. */
export interface Network {
  /** What stands before the names of its tensors: `model.backbone.`; empty if nothing does. */
  readonly root: string;
  /** Those inside first: of two that come to bear one name, theirs counts. */
  readonly members: readonly Member[];
  /** What tensors are that parameters are computed from, by their names in the file. */
  readonly roles: ReadonlyMap<string, 'parameter' | 'buffer'>;
}

/** Subtrees that are tried: a file has a few networks, and each costs a pass over all namings. */
const rootsTried = 16;
/** Names of wrappers that are tried. */
const infixesTried = 4;
/** A network has more tensors than a head. */
const leastTensors = 4;

/**
 * The networks that a file may hold, reading by reading: as it is, without what torch's wrappers
 * put in between, and then without a name that some other wrapper may have put there. Each reading
 * is the file itself and its subtrees from the largest on.
 *
 * @param loraScale what low-rank adapters are weighted with, if somebody says it
 */
export function* networksIn(tensors: readonly Tensor[], loraScale?: number): Generator<Iterable<Network>> {
  const own = derivedMembers(tensors, loraScale);
  const clean = withoutInfixes(own, privateInfixes(own));
  yield networksOf(clean);
  const modules = modulesOf(clean.map(({ name }) => name));
  for (const infix of onlyChildren(modules).slice(0, infixesTried))
    yield networksOf(withoutInfixes(clean, new Set([infix])));
}

/** All tensors as one network, under the names that they have in the file. */
export const wholeNetwork = (tensors: readonly Tensor[]): Network => networkAt('', derivedMembers(tensors));

function* networksOf(named: readonly Named[]): Generator<Network> {
  yield networkAt('', named);
  const modules = modulesOf(named.map(({ name }) => name));
  for (const root of rootsOf(modules).slice(0, rootsTried)) yield networkAt(root, named);
}

function networkAt(root: string, named: readonly Named[]): Network {
  const members = named.map(({ name, tensor }): Member => {
    const inside = name.startsWith(root);
    return { name: name.slice(inside ? root.length : sharedPath(root, name).length), tensor, inside };
  });
  return {
    root,
    members:
      root === ''
        ? members
        : [...members.filter(({ inside }) => inside), ...members.filter(({ inside }) => !inside)],
    roles: rolesOfParts(members),
  };
}

/**
 * Paths that may hold a whole network, the largest first and of those that hold the same the outer:
 * any that holds half of the file, and smaller ones with several parts that are no members of a
 * list, or hold one.
 */
function rootsOf({ children, sizes, listed }: Modules): readonly string[] {
  const size = (path: string): number => sizes.get(path) ?? 0;
  const half = size('') / 2;
  const isUnnumbered = (path: string): boolean => !path.split('.').some(isNumber);
  return [...children]
    .filter(([path]) => path !== '' && size(path) >= leastTensors)
    .filter(([path, own]) => size(path) >= half || (own.size > 1 && (listed.has(path) || isUnnumbered(path))))
    .filter(([, own]) => ![...own].every(isNumber))
    .map(([path]) => path)
    .toSorted((left, right) => size(right) - size(left) || left.length - right.length);
}

/**
 * Private attributes (`_orig_mod`, `_fsdp_wrapped_module`) that hold all of the module that they
 * lie in: no library's network has such, and torch's wrappers all do.
 */
function privateInfixes(named: readonly Named[]): ReadonlySet<string> {
  if (!named.some(({ name }) => isPrivate(name) || name.includes('._'))) return new Set();
  return new Set(onlyChildren(modulesOf(named.map(({ name }) => name))).filter(isPrivate));
}

const isPrivate = (name: string): boolean => name.startsWith('_');

/**
 * Names that are the only child of their module wherever they stand, and hold more than a leaf: the
 * most frequent first.
 */
function onlyChildren({ children, sizes }: Modules): readonly string[] {
  const alone = new Map<string, number>();
  const refused = new Set<string>();
  for (const [path, own] of children)
    for (const child of own) {
      if (isNumber(child)) continue;
      const shared = own.size > 1 && !(path === '' && child.startsWith('_'));
      if (shared || !children.has(`${path}${child}.`)) refused.add(child);
      else alone.set(child, (alone.get(child) ?? 0) + (sizes.get(path) ?? 0));
    }
  return [...alone]
    .filter(([name]) => !refused.has(name))
    .toSorted(([, left], [, right]) => right - left)
    .map(([name]) => name);
}

function withoutInfixes(named: readonly Named[], infixes: ReadonlySet<string>): readonly Named[] {
  if (infixes.size === 0) return named;
  const parts = new RegExp(`(?<=^|\\.)(?:${[...infixes].map(escaped).join('|')})\\.`, 'g');
  return named.map(({ name, tensor }) => ({ name: name.replace(parts, ''), tensor }));
}

const escaped = (name: string): string => name.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
