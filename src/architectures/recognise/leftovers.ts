import type { Tensor } from '../../checkpoint/tensors';
import { bareName, type Translation } from '../dialect';
import { pathsOf } from '../../checkpoint/moduleNames';
import type { Member } from '../networks/networks';

/** A module of the file, or a parameter of its own, that the recognised network does not read. */
export interface Leftover {
  /** `classifier`, `pretext_token`, as its network calls it. */
  readonly path: string;
  readonly members: readonly Member[];
}

/** What a network's graph leaves unread. */
export interface Leftovers {
  /** What lies beside the network, in the file's order. */
  readonly beside: readonly Leftover[];
  /** What lies in the middle of it, so that it cannot be that network. */
  readonly within: readonly Tensor[];
}

/**
 * Sorts unread parameters: a module none of whose parameters is read, at the top of the network or
 * where its head is, lies beside; any other would change what the network computes.
 *
 * @param used names of the file's tensors that the graph reads
 * @param unread members without a place, buffers among them
 */
export function leftoversOf(
  translation: Translation,
  used: ReadonlySet<string>,
  unread: readonly Member[],
  isBuffer: (tensor: Tensor) => boolean,
): Leftovers {
  if (unread.every(({ tensor }) => isBuffer(tensor))) return { beside: [], within: [] };
  const { read, heads } = readPaths(translation, used);
  const groups = new Map<string, Member[]>();
  const within: Tensor[] = [];
  for (const member of unread) {
    const path = member.inside ? outerUnread(bareName(translation, member), read, heads) : first(member.name);
    if (path === undefined) {
      if (!isBuffer(member.tensor)) within.push(member.tensor);
    } else if (groups.has(path)) groups.get(path)?.push(member);
    else groups.set(path, [member]);
  }
  const beside = [...groups]
    .filter(([, members]) => members.some(({ tensor }) => !isBuffer(tensor)))
    .map(([path, members]) => ({ path, members }));
  return { beside, within };
}

const first = (name: string): string => name.replace(/\..*$/s, '');

/** Paths of modules that the graph reads from, and those of them that hold nothing but its head. */
function readPaths(
  translation: Translation,
  used: ReadonlySet<string>,
): { readonly read: ReadonlySet<string>; readonly heads: ReadonlySet<string> } {
  const canonical = new Map<string, string[]>();
  for (const [name, { tensor }] of translation.parameters)
    if (canonical.has(tensor.name)) canonical.get(tensor.name)?.push(name);
    else canonical.set(tensor.name, [name]);
  const read = new Set<string>();
  const others = new Set<string>();
  for (const member of translation.network.members) {
    if (!used.has(member.tensor.name)) continue;
    const isHead = (canonical.get(member.tensor.name) ?? []).every((name) => headNames.test(name));
    for (const path of pathsOf(bareName(translation, member))) {
      read.add(path);
      if (!isHead) others.add(path);
    }
  }
  return { read, heads: new Set([...read].filter((path) => !others.has(path))) };
}

/** Canonical names of what stands behind a backbone. */
const headNames = /^(?:head|heads|fc|fc_norm|classifier|head_dist)\b/;

/**
 * The outermost module around a name from which nothing is read, or the name itself; undefined if
 * it lies in a module that is no head and is read.
 */
function outerUnread(
  name: string,
  read: ReadonlySet<string>,
  heads: ReadonlySet<string>,
): string | undefined {
  const paths = pathsOf(name);
  const depth = paths.findIndex((path) => !read.has(path));
  const holder = paths[depth < 0 ? paths.length - 1 : depth - 1] ?? '';
  if (holder !== '' && !heads.has(holder)) return undefined;
  return depth < 0 ? name : (paths[depth] ?? '').slice(0, -1);
}

/**
 * Whether a leftover may stand between backbone and head, so that what the head says is not what
 * the model would: a single parameter (a token), or a module of vectors alone (a norm).
 */
export const standsBetween = ({ members }: Leftover): boolean =>
  members.every(({ name, tensor }) => tensor.shape.length < 2 || !/(?:^|\.)(?:weight|bias)$/.test(name));

/**
 * Whether a leftover may take the vector of this width that a head reads and hand on another: it
 * has a matrix from that width and one to it.
 */
export const mayReplace = ({ members }: Leftover, width: number): boolean =>
  [0, 1].every((axis) =>
    members.some(({ tensor: { shape } }) => shape.length === 2 && shape[axis] === width),
  );

/**
 * Whether a leftover is a parameter that pretraining alone reads: what stands for masked patches.
 */
export const isOfPretraining = ({ path, members }: Leftover): boolean =>
  /mask/.test(path) && members.every(({ name }) => name === path || name.endsWith(`.${path}`));
