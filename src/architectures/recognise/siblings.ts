import { sum } from '../../domain/lists';

/**
 * Parameters that each block of a list has, if any alike has: layer scales, and biases that stand
 * beside a product.
 */
const perBlock = /^(?:gamma|lambda|layer_scale|ls\d?\.|[qv]_bias|attn\.[qv]_bias)/;

/**
 * Parameters that a file lacks by its own measure. A family takes a module without a stored bias or
 * scale for one that has none, so that a lost one would go unnoticed:
 * - a bias or layer scale that at least half of a list's members have: `blocks.3.norm1.bias` beside
 *   `blocks.0.norm1.bias`;
 * - any other parameter that one in four or fewer of a list's members lack, which have all else
 *   that the others share, and nothing of their own;
 * - the bias of one norm, if all others have theirs;
 * - one of a batch normalisation's two parameters or statistics, if the other is stored.
 */
export function lostParameters(names: Iterable<string>): readonly string[] {
  const known = new Set(names);
  return [...listsOf(known)]
    .flatMap(([list, members]) => lostOfList(list, members))
    .concat(lostOfNorms(known), lostOfAllNorms(known));
}

/**
 * What each member of a numbered list holds, by the list's path: `blocks.` -> 3 -> `norm1.bias`.
 */
type Members = ReadonlyMap<string, ReadonlySet<string>>;

/**
 * The innermost numbered list of each name. Modules that are themselves numbered are left out:
 * members of a sequence differ.
 */
function listsOf(names: Iterable<string>): ReadonlyMap<string, Members> {
  const lists = new Map<string, Map<string, Set<string>>>();
  for (const name of names) {
    const [, list, index, rest] =
      /^((?:.*\.)?(?:encoder_layer_)?)(\d+)\.(\D\w*(?:\.\D\w*)*)$/.exec(name) ?? [];
    if (list === undefined) continue;
    let members = lists.get(list);
    if (!members) lists.set(list, (members = new Map()));
    const rests = members.get(index!);
    if (rests) rests.add(rest!);
    else members.set(index!, new Set([rest!]));
  }
  return lists;
}

function lostOfList(list: string, members: Members): readonly string[] {
  const kinds = kindsOf(members);
  // All hold the same.
  if (kinds.length < 2) return [];
  const held = new Set(kinds.flatMap(({ rests }) => [...rests]));
  return [...held].flatMap((rest) => {
    const alike = kindsAlike(rest, kinds);
    const without = alike.filter(({ rests }) => !rests.has(rest));
    const share = isOfEach(rest) ? 2 : fewLack;
    if (without.length === 0 || share * sizeOf(without) > sizeOf(alike)) return [];
    const lacking = new Set(without.flatMap(({ indices }) => indices));
    return [...members.keys()].flatMap((index) => (lacking.has(index) ? `${list}${index}.${rest}` : []));
  });
}

/** Members of a list that hold the same: a hundred blocks are of a few kinds. */
interface Kind {
  readonly rests: ReadonlySet<string>;
  readonly indices: readonly string[];
}

function kindsOf(members: Members): readonly Kind[] {
  const kinds = new Map<string, { rests: ReadonlySet<string>; indices: string[] }>();
  for (const [index, rests] of members) {
    const key = [...rests].join(' ');
    const kind = kinds.get(key);
    if (kind) kind.indices.push(index);
    else kinds.set(key, { rests, indices: [index] });
  }
  return [...kinds.values()];
}

const sizeOf = (kinds: readonly Kind[]): number => sum(kinds.map(({ indices }) => indices.length));

/** Of other parameters one of so many members may lack it at most: blocks of a list may differ. */
const fewLack = 4;

const isOfEach = (rest: string): boolean => rest.endsWith('.bias') || perBlock.test(rest);

/**
 * Kinds of members that should have a parameter if one has it: of a bias those with its weight, of
 * a scale those with all else that its holders share.
 */
function kindsAlike(rest: string, kinds: readonly Kind[]): readonly Kind[] {
  if (rest.endsWith('.bias')) {
    const beside = ['weight', 'scale'].map((leaf) => rest.replace(/bias$/, leaf));
    // Of layers alike, those in front of a batch norm have none.
    const isNormed = ({ rests }: Kind): boolean =>
      [...rests].some((other) => other.endsWith('.running_mean'));
    const normed = kinds.some((kind) => kind.rests.has(rest) && isNormed(kind));
    return kinds.filter(
      (kind) =>
        beside.some((name) => kind.rests.has(name)) && (normed || kind.rests.has(rest) || !isNormed(kind)),
    );
  }
  // A parameter of the member itself: members of a sequence differ.
  if (!perBlock.test(rest) && !rest.includes('.')) return [];
  const holders = kinds.filter(({ rests }) => rests.has(rest));
  const shared = [...holders[0]!.rests].filter(
    (other) =>
      other !== rest &&
      !(perBlock.test(rest) && perBlock.test(other)) &&
      holders.every(({ rests }) => rests.has(other)),
  );
  const held = new Set(holders.flatMap(({ rests }) => [...rests]));
  const isAlike = (rests: ReadonlySet<string>): boolean =>
    shared.every((other) => rests.has(other)) &&
    (perBlock.test(rest) || [...rests].every((other) => held.has(other)));
  return kinds.filter(({ rests }) => isAlike(rests));
}

/** Norms that have a bias, from which on one without has lost it. */
const manyNorms = 4;

function lostOfAllNorms(names: ReadonlySet<string>): readonly string[] {
  const biases = [...names]
    .filter((name) => /(?:^|\.)\w*norm\w*\.weight$/.test(name))
    .map((name) => name.replace(/weight$/, 'bias'));
  const without = biases.filter((name) => !names.has(name));
  return without.length === 1 && biases.length > manyNorms ? without : [];
}

const pairs: readonly (readonly [string, string])[] = [
  ['weight', 'bias'],
  ['running_mean', 'running_var'],
];

function lostOfNorms(names: ReadonlySet<string>): readonly string[] {
  const norms = new Set([...names].flatMap((name) => /^(.*)\.running_(?:mean|var)$/.exec(name)?.[1] ?? []));
  return [...norms].flatMap((norm) =>
    pairs.flatMap((pair) => {
      const without = pair.filter((leaf) => !names.has(`${norm}.${leaf}`));
      return without.length === 1 ? [`${norm}.${without[0]}`] : [];
    }),
  );
}
