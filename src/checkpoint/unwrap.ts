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

function rankOf(path: string): number {
  return preferences.find(([pattern]) => pattern.test(path))?.[1] ?? otherRank;
}

function isSelfDistilled(path: string): boolean {
  return /(^|\.)(student|teacher)$/.test(path);
}

function splitRoles({ path, tensors }: TensorGroup): StateDict[] {
  const groups = groupBy(tensors, (tensor) => roles.exec(tensor.name)?.[1] ?? '');
  return [...groups].map(([role, members]) => {
    const prefix = role === '' ? '' : (roles.exec(members[0]?.name ?? '')?.[0] ?? '');
    return strip({ name: join(path, role), tensors: members, stripped: '' }, prefix);
  });
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
  const outside = groupBy(
    stateDict.tensors.filter((tensor) => !tensor.name.startsWith(prefix)),
    (tensor) => tensor.name.replace(/\..*$/s, ''),
  );
  const name = named ? join(stateDict.name, prefix.slice(0, -1)) : stateDict.name;
  return [
    strip({ ...stateDict, name, tensors: inside }, prefix),
    ...[...outside].map(([first, tensors]) => {
      const whole = tensors.every((tensor) => tensor.name.startsWith(`${first}.`));
      return strip({ ...stateDict, name: join(stateDict.name, first), tensors }, whole ? `${first}.` : '');
    }),
  ];
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
