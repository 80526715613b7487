import { isNumber, modulesOf, sharedPath } from './moduleNames';
import type { StateDict, Tensor } from './tensors';

/** Tensors that lie together in a file, under `path`. */
export interface TensorGroup {
  readonly path: string;
  readonly tensors: readonly Tensor[];
}

/**
 * Which of a training checkpoint's state dicts is the model that people want to see: the smaller,
 * the earlier.
 */
const preferences: readonly [path: RegExp, rank: number][] = [
  [/(^|[._])(optim\w*|scheduler|lr_schedulers?|loss\w*|criterion|discriminator|queue)([._]|$)/i, 6],
  [/(^|[._])(student|online|momentum_teacher_head|predictor)([._]|$)/i, 5],
  [/(^|[._])teacher\.(?!backbone)/i, 5],
  [/(^|[._])(ema|emas|averaged_model|swa)([._]|$)|model_ema|_ema$/i, 0],
  [/(^|[._])(teacher|target_encoder)([._]|$)/i, 1],
  [
    /(^|\.)(state_dict|model_state_dict|model_state|model|module|net|network|weights|params|backbone|encoder|target)$/i,
    2,
  ],
  [/^$/, 3],
];
const otherRank = 4;

/**
 * What DistributedDataParallel, torch.compile and transformers' wrapper around timm put before
 * every name.
 */
const wrappers = ['module.', '_orig_mod.', 'timm_model.'];

/**
 * Networks that self-distillation keeps under names of one state dict:
 * `teacher.backbone.cls_token`.
 */
const roles = /^(?:module\.|_orig_mod\.)*(student|teacher|model_ema|ema|ema_model|target_encoder)\./;

/**
 * State dicts of a file that is one flat table of names (safetensors, .npz): split by role,
 * prefixes stripped, the best first.
 */
export function unwrapNames(tensors: readonly Tensor[]): StateDict[] {
  if (tensors.length === 0) return [{ name: '', tensors, stripped: '' }];
  return orderStateDicts([{ path: '', tensors }]);
}

/**
 * Turns the groups of a file into its state dicts, in order of preference: EMA, the teacher's
 * backbone, state_dict / model, the file's own top level, the rest (student, heads, losses).
 * `lightning`: PyTorch Lightning wrote it, and the network is the attribute `model` of its module.
 */
export function orderStateDicts(groups: readonly TensorGroup[], lightning = false): StateDict[] {
  const stateDicts = groups
    .flatMap(splitRoles)
    .flatMap(splitTwins)
    .map(stripWrappers)
    .flatMap((stateDict) =>
      isSelfDistilled(stateDict.name) ? splitPrefix(stateDict, 'backbone.', true) : [stateDict],
    )
    .flatMap((stateDict) => (lightning ? splitPrefix(stateDict, 'model.', false) : [stateDict]))
    .map(stripWrappers);
  return stateDicts
    .map((stateDict) => ({ stateDict, rank: rankOf(stateDict.name) }))
    .sort((a, b) => a.rank - b.rank)
    .map(({ stateDict }) => stateDict);
}

/** How far down the list of preferences a state dict of this name comes. */
export function rankOf(path: string): number {
  return preferences.find(([pattern]) => pattern.test(path))?.[1] ?? otherRank;
}

function isSelfDistilled(path: string): boolean {
  return /(^|\.)(student|teacher)$/.test(path);
}

/** Networks of one role alone are no choice: what is called `student` may be all there is. */
function splitRoles({ path, tensors }: TensorGroup): StateDict[] {
  const groups = groupBy(tensors, (tensor) => roles.exec(tensor.name)?.[1] ?? '');
  if (groups.size - Number(groups.has('')) < 2) return [{ name: path, tensors, stripped: '' }];
  return [...groups].map(([role, members]) => {
    const prefix = role === '' ? '' : (roles.exec(members[0]?.name ?? '')?.[0] ?? '');
    return strip({ name: join(path, role), tensors: members, stripped: '' }, prefix);
  });
}

/** Subtrees that are compared; a file has a few networks. */
const comparedSubtrees = 24;

/**
 * Subtrees with the same names and shapes are networks and their copies (momentum encoders, online
 * and target networks): each becomes a state dict, and what lies beside them another. They hold a
 * convolution, which towers of text do not, and are no members of a list.
 */
function splitTwins(stateDict: StateDict): StateDict[] {
  const twins = twinsIn(stateDict.tensors);
  const [first] = twins;
  if (first === undefined) return [stateDict];
  const networks = twins.map((root) =>
    strip(
      {
        ...stateDict,
        name: join(stateDict.name, root.slice(0, -1)),
        tensors: stateDict.tensors.filter(({ name }) => name.startsWith(root)),
      },
      root,
    ),
  );
  const rest = stateDict.tensors.filter(({ name }) => !twins.some((root) => name.startsWith(root)));
  const parent = twins.reduce(sharedPath, first);
  return [...networks, ...byFirstName(stateDict, rest, parent)];
}

/** Tensors that lie beside a network, as state dicts by their first name behind a path. */
function byFirstName(stateDict: StateDict, tensors: readonly Tensor[], parent = ''): StateDict[] {
  const start = (name: string): string => {
    const at = name.startsWith(parent) ? parent.length : 0;
    return name.slice(0, at) + name.slice(at).replace(/\..*$/s, '');
  };
  return [...groupBy(tensors, ({ name }) => start(name))].map(([first, members]) => {
    const whole = members.every(({ name }) => name.startsWith(`${first}.`));
    const named = { ...stateDict, name: join(stateDict.name, first), tensors: members };
    return strip(named, whole ? `${first}.` : '');
  });
}

/** Paths of the largest subtrees that are alike; none if all differ. */
function twinsIn(tensors: readonly Tensor[]): readonly string[] {
  const { children, sizes, listed } = modulesOf(tensors.map(({ name }) => name));
  const holdsNetwork = (path: string): boolean => {
    const own = [...(children.get(path) ?? [])];
    return own.length > 1 && !own.every(isNumber);
  };
  const roots = [...listed]
    .filter((path) => path !== '' && !path.split('.').some(isNumber) && holdsNetwork(path))
    .toSorted((left, right) => (sizes.get(right) ?? 0) - (sizes.get(left) ?? 0))
    .slice(0, comparedSubtrees);
  for (const [index, root] of roots.entries()) {
    const alike = roots
      .slice(index + 1)
      .filter((other) => sizes.get(other) === sizes.get(root) && unnumbered(other) !== unnumbered(root));
    if (alike.length === 0) continue;
    const own = fingerprint(root, tensors);
    const twins = alike.filter((other) => fingerprint(other, tensors) === own);
    if (twins.length > 0 && own.includes(convolution)) return [root, ...twins];
  }
  return [];
}

/** Paths that differ in numbers alone are members of a list: `block3-1`, `block3-2`. */
const unnumbered = (path: string): string => path.replace(/\d+/g, '');

/** Ends the line of a tensor with four axes or more in a fingerprint. */
const convolution = ' conv\n';

/** Names and shapes below a path. */
function fingerprint(root: string, tensors: readonly Tensor[]): string {
  return tensors
    .filter(({ name }) => name.startsWith(root))
    .map(
      ({ name, shape }) =>
        `${name.slice(root.length)} ${shape.join('x')}${shape.length > 3 ? convolution : '\n'}`,
    )
    .toSorted()
    .join('');
}

function stripWrappers(stateDict: StateDict): StateDict {
  const wrapper = wrappers.find((prefix) =>
    stateDict.tensors.every(({ name }) => name.startsWith(prefix) && name.length > prefix.length),
  );
  return wrapper && stateDict.tensors.length > 0 ? stripWrappers(strip(stateDict, wrapper)) : stateDict;
}

/**
 * Parts the tensors under `prefix` from the others (heads, losses), which become state dicts by
 * their first name.
 */
function splitPrefix(stateDict: StateDict, prefix: string, named: boolean): StateDict[] {
  const inside = stateDict.tensors.filter((tensor) => tensor.name.startsWith(prefix));
  if (inside.length === 0) return [stateDict];
  const outside = stateDict.tensors.filter((tensor) => !tensor.name.startsWith(prefix));
  const name = named ? join(stateDict.name, prefix.slice(0, -1)) : stateDict.name;
  return [strip({ ...stateDict, name, tensors: inside }, prefix), ...byFirstName(stateDict, outside)];
}

function strip({ name, tensors, stripped }: StateDict, prefix: string): StateDict {
  if (prefix === '') return { name, tensors, stripped };
  return {
    name,
    tensors: tensors.map((tensor) => ({ ...tensor, name: tensor.name.slice(prefix.length) })),
    stripped: stripped + prefix,
  };
}

export function join(path: string, name: string): string {
  return path && name ? `${path}.${name}` : path || name;
}

function groupBy<T>(items: readonly T[], key: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const group = groups.get(key(item));
    if (group) group.push(item);
    else groups.set(key(item), [item]);
  }
  return groups;
}
